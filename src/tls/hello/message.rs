//! The bodies of a server's handshake messages.

use crate::bytes::Reader;
use crate::names::{Exchange, Group, Suite, Version};

/// A message, by its name, that is not as its RFC says.
#[derive(Debug)]
pub(super) struct Malformed(pub(super) &'static str);

/// A ServerHello, or the HelloRetryRequest that has its form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerHello {
    /// The version field, which TLS 1.3 leaves at TLS 1.2.
    pub legacy_version: Version,
    /// The server's random.
    pub random: [u8; 32],
    /// Bytes of the session's id.
    pub session_id_length: usize,
    /// The cipher suite.
    pub suite: Suite,
    /// The compression method; 0 is none.
    pub compression: u8,
    /// The extensions by number, in order.
    pub extensions: Vec<u16>,
    /// The version in `supported_versions`.
    pub selected_version: Option<Version>,
    /// The group of the key share, or that a HelloRetryRequest asks for.
    pub key_share_group: Option<Group>,
    /// The application protocol.
    pub alpn: Option<Vec<u8>>,
    /// The SignedCertificateTimestampList of RFC 6962.
    pub sct_list: Option<Vec<u8>>,
}

const EXTENSION_ALPN: u16 = 16;
const EXTENSION_SCT: u16 = 18;
const EXTENSION_EXTENDED_MASTER_SECRET: u16 = 23;
const EXTENSION_SESSION_TICKET: u16 = 35;
const EXTENSION_SUPPORTED_VERSIONS: u16 = 43;
const EXTENSION_KEY_SHARE: u16 = 51;
const EXTENSION_RENEGOTIATION_INFO: u16 = 0xff01;

/// The random of every HelloRetryRequest: the SHA-256 of its name (RFC 8446, section 4.1.3).
const RETRY_REQUEST: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

impl ServerHello {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        Self::read(&mut Reader::new(body)).ok_or(Malformed("ServerHello"))
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let legacy_version = Version(reader.u16()?);
        let random = reader.array()?;
        let session_id_length = reader.u8()?;
        reader.take(session_id_length.into()).filter(|id| id.len() <= 32)?;
        let mut hello = Self {
            legacy_version,
            random,
            session_id_length: session_id_length.into(),
            suite: Suite(reader.u16()?),
            compression: reader.u8()?,
            extensions: Vec::new(),
            selected_version: None,
            key_share_group: None,
            alpn: None,
            sct_list: None,
        };
        if !reader.is_empty() {
            let mut extensions = Reader::new(reader.vector16()?);
            while !extensions.is_empty() {
                let number = extensions.u16()?;
                hello.read_extension(number, Reader::new(extensions.vector16()?))?;
            }
        }
        reader.is_empty().then_some(hello)
    }

    fn read_extension(&mut self, number: u16, mut body: Reader<'_>) -> Option<()> {
        self.extensions.push(number);
        match number {
            EXTENSION_ALPN => {
                let mut protocols = Reader::new(body.vector16()?);
                self.alpn = Some(protocols.vector8()?.to_vec());
            }
            EXTENSION_SCT => self.sct_list = Some(body.rest().to_vec()),
            EXTENSION_SUPPORTED_VERSIONS => self.selected_version = Some(Version(body.u16()?)),
            EXTENSION_KEY_SHARE => self.key_share_group = Some(Group(body.u16()?)),
            _ => {}
        }
        Some(())
    }

    /// A ServerHello with this choice and no extensions.
    #[cfg(test)]
    pub(crate) fn made_up(version: Version, suite: Suite) -> Self {
        Self {
            legacy_version: version,
            random: [7; 32],
            session_id_length: 0,
            suite,
            compression: 0,
            extensions: Vec::new(),
            selected_version: None,
            key_share_group: None,
            alpn: None,
            sct_list: None,
        }
    }

    /// The version that the server chose.
    pub fn version(&self) -> Version {
        self.selected_version.unwrap_or(self.legacy_version)
    }

    /// True for a HelloRetryRequest.
    pub fn is_retry_request(&self) -> bool {
        self.random == RETRY_REQUEST
    }

    /// The lowest version that the server says it could have spoken, had it been offered.
    pub fn downgraded_from(&self) -> Option<Version> {
        match self.random.last_chunk() {
            Some(b"DOWNGRD\x01") => Some(Version::TLS_1_3),
            Some(b"DOWNGRD\x00") => Some(Version::TLS_1_2),
            _ => None,
        }
    }

    /// True when the extended master secret is in use (RFC 7627).
    pub fn extended_master_secret(&self) -> bool {
        self.extensions.contains(&EXTENSION_EXTENDED_MASTER_SECRET)
    }

    /// True when the server is going to send a session ticket (RFC 5077).
    pub fn has_ticket(&self) -> bool {
        self.extensions.contains(&EXTENSION_SESSION_TICKET)
    }

    /// True when renegotiation would be secure (RFC 5746).
    pub fn secure_renegotiation(&self) -> bool {
        self.extensions.contains(&EXTENSION_RENEGOTIATION_INFO)
    }
}

/// The facts of a ServerKeyExchange that need no cryptography.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyExchange {
    /// The server's share of the key exchange.
    pub parameters: Parameters,
    /// The scheme of the signature over it: TLS 1.2 only, and not when it is anonymous.
    pub signature_scheme: Option<u16>,
}

/// The public parameters of a key exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parameters {
    /// Diffie-Hellman over a prime field.
    Dh {
        /// Bits of the prime.
        prime_bits: usize,
    },
    /// Diffie-Hellman over a curve.
    Ecdh {
        /// The named group; for a curve spelt out, the number that says so.
        group: Group,
    },
    /// A short-lived RSA key, of the EXPORT suites.
    Rsa {
        /// Bits of the modulus.
        modulus_bits: usize,
    },
    /// None that are public: pre-shared keys, passwords, suites without a name.
    Other,
}

const EXPLICIT_PRIME: u8 = 1;
const EXPLICIT_CHAR2: u8 = 2;
const NAMED_CURVE: u8 = 3;

const ARBITRARY_EXPLICIT_PRIME_CURVES: Group = Group(0xff01);
const ARBITRARY_EXPLICIT_CHAR2_CURVES: Group = Group(0xff02);

impl KeyExchange {
    pub(super) fn parse(hello: &ServerHello, body: &[u8]) -> Result<Self, Malformed> {
        Self::read(hello, &mut Reader::new(body)).ok_or(Malformed("ServerKeyExchange"))
    }

    /// The suite says what its ServerKeyExchange holds.
    fn read(hello: &ServerHello, reader: &mut Reader<'_>) -> Option<Self> {
        let suite = hello.suite;
        let Some(exchange) = suite.exchange() else {
            return Some(Self { parameters: Parameters::Other, signature_scheme: None });
        };
        if suite.has_pre_shared_key() {
            reader.vector16()?;
        }
        let parameters = match exchange {
            Exchange::Ecdhe => match reader.u8()? {
                NAMED_CURVE => {
                    let group = Group(reader.u16()?);
                    reader.vector8()?;
                    Parameters::Ecdh { group }
                }
                EXPLICIT_PRIME => return Some(Self::explicit(ARBITRARY_EXPLICIT_PRIME_CURVES)),
                EXPLICIT_CHAR2 => return Some(Self::explicit(ARBITRARY_EXPLICIT_CHAR2_CURVES)),
                _ => return None,
            },
            Exchange::Dhe => {
                let prime_bits = bits(reader.vector16()?);
                reader.vector16()?;
                reader.vector16()?;
                Parameters::Dh { prime_bits }
            }
            Exchange::RsaExport => {
                let modulus_bits = bits(reader.vector16()?);
                reader.vector16()?;
                Parameters::Rsa { modulus_bits }
            }
        };
        let names_scheme = suite.signs_exchange() && hello.version() == Version::TLS_1_2;
        let signature_scheme = if names_scheme { Some(reader.u16()?) } else { None };
        Some(Self { parameters, signature_scheme })
    }

    fn explicit(group: Group) -> Self {
        Self { parameters: Parameters::Ecdh { group }, signature_scheme: None }
    }
}

/// The length in bits of a number in big-endian bytes.
fn bits(number: &[u8]) -> usize {
    let mut digits = number.iter().skip_while(|byte| **byte == 0);
    digits.next().map_or(0, |first| (8 - first.leading_zeros() as usize) + 8 * digits.count())
}

/// Reads a Certificate of TLS 1.2 or before.
///
/// The caller has counted them with [`CertificateCounter`](crate::certificate_count).
pub(super) fn certificates(body: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    read_certificates(&mut Reader::new(body)).ok_or(Malformed("Certificate"))
}

fn read_certificates(reader: &mut Reader<'_>) -> Option<Vec<Vec<u8>>> {
    let mut list = Reader::new(reader.vector24()?);
    let mut certificates = Vec::new();
    while !list.is_empty() {
        let certificate = list.vector24()?;
        certificates.push((!certificate.is_empty()).then(|| certificate.to_vec())?);
    }
    (reader.is_empty() && !certificates.is_empty()).then_some(certificates)
}

/// Reads a CertificateStatus. `None` for other types than OCSP.
pub(super) fn ocsp_response(body: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    const OCSP: u8 = 1;
    let reader = &mut Reader::new(body);
    match reader.u8() {
        Some(OCSP) => match reader.vector24() {
            Some(response) if reader.is_empty() => Ok(Some(response.to_vec())),
            _ => Err(Malformed("CertificateStatus")),
        },
        Some(_) => Ok(None),
        None => Err(Malformed("CertificateStatus")),
    }
}
