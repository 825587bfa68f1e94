//! A line of input, parsed into what is to be dialled.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use rustls_pki_types::{DnsName, ServerName};

use crate::escape::written_length;
use crate::limits::{TARGET_LIMIT, UNMAPPED_NAME_LIMIT};

/// A URL scheme that means TLS from the first byte.
struct Scheme {
    name: &'static str,
    /// `None`: the port of a target that names none.
    port: Option<u16>,
    /// What the protocol offers in the ALPN extension, by IANA's names; empty where it has none.
    alpn: &'static [&'static str],
}

/// The ALPN protocols of HTTPS, which are offered as well where the protocol is not known.
pub const HTTPS_ALPN: &[&str] = &["h2", "http/1.1"];

const fn scheme(name: &'static str, port: Option<u16>, alpn: &'static [&'static str]) -> Scheme {
    Scheme { name, port, alpn }
}

const SCHEMES: &[Scheme] = &[
    scheme("amqps", Some(5671), &[]),
    scheme("ftps", Some(990), &["ftp"]),
    scheme("https", Some(443), HTTPS_ALPN),
    scheme("http", Some(80), HTTPS_ALPN),
    scheme("imaps", Some(993), &["imap"]),
    scheme("ircs", Some(6697), &["irc"]),
    scheme("ldaps", Some(636), &[]),
    scheme("mqtts", Some(8883), &["mqtt"]),
    scheme("nntps", Some(563), &["nntp"]),
    scheme("pop3s", Some(995), &["pop3"]),
    scheme("rediss", Some(6379), &[]),
    scheme("sips", Some(5061), &["sip/2"]),
    scheme("smtps", Some(465), &[]),
    scheme("ssl", None, HTTPS_ALPN),
    scheme("tcp", None, HTTPS_ALPN),
    scheme("tls", None, HTTPS_ALPN),
    scheme("wss", Some(443), HTTPS_ALPN),
    scheme("xmpps", Some(5223), &["xmpp-client"]),
];

/// The ALPN lists of all schemes.
pub fn scheme_alpns() -> impl Iterator<Item = &'static [&'static str]> {
    SCHEMES.iter().map(|scheme| scheme.alpn)
}

/// One parsed line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// The first field of the line, unchanged.
    pub text: String,
    /// Whom to dial.
    pub host: Host,
    /// The scheme, in lower case, when the target is a URL.
    pub scheme: Option<String>,
    /// The port, when the line or the scheme of its URL names one.
    pub port: Option<u16>,
    /// The server name that the line asks for, if any.
    pub sni: Sni,
    /// The rest of the line, for the user's own purposes.
    pub tag: Option<String>,
}

/// A name to look up, or an address to dial as it is.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Host {
    /// An IPv4 or IPv6 address.
    Address(IpAddr),
    /// A name in lower case and punycode, without a trailing dot.
    Name(DnsName<'static>),
}

/// The server name indication (RFC 6066, section 3) that a line or a flag asks for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Sni {
    /// Nothing is said.
    #[default]
    Unsaid,
    /// `-`: send none.
    Nothing,
    /// Send this name.
    Name(DnsName<'static>),
}

/// Why a line is not a target, in one sentence with the remedy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidTarget(pub String);

impl Target {
    /// The name to send and to check the certificate against.
    ///
    /// The line goes before `flag`, the flag before the host.
    pub fn server_name(&self, flag: &Sni) -> ServerIdentity {
        let said = match (&self.sni, flag) {
            (Sni::Unsaid, said) | (said, _) => said,
        };
        let host = match &self.host {
            Host::Address(address) => ServerName::IpAddress((*address).into()),
            Host::Name(name) => ServerName::DnsName(name.clone()),
        };
        match said {
            Sni::Name(name) => ServerIdentity {
                checked: ServerName::DnsName(name.clone()),
                sent: Some(name.clone()),
            },
            Sni::Nothing => ServerIdentity { checked: host, sent: None },
            Sni::Unsaid => ServerIdentity {
                sent: match &self.host {
                    Host::Name(name) => Some(name.clone()),
                    Host::Address(_) => None,
                },
                checked: host,
            },
        }
    }
}

impl Target {
    /// What to offer in the ALPN extension, as far as the URL's scheme says.
    pub fn alpn(&self) -> Option<&'static [&'static str]> {
        let scheme = self.scheme.as_deref()?;
        SCHEMES.iter().find(|known| known.name == scheme).map(|known| known.alpn)
    }
}

/// Whom the peer is asked to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerIdentity {
    /// The name or address that the certificate must be good for.
    pub checked: ServerName<'static>,
    /// The name in the ClientHello.
    pub sent: Option<DnsName<'static>>,
}

impl Target {
    /// Parses `TARGET[,SNI[,TAG]]`; the tag is the rest of the line.
    ///
    /// `starttls` knows the default ports of further schemes.
    ///
    /// # Errors
    /// Why the line is not a target.
    pub fn parse(
        line: &str,
        starttls: impl Fn(&str) -> Option<u16>,
    ) -> Result<Self, InvalidTarget> {
        let mut fields = line.trim().splitn(3, ',').map(str::trim);
        let text = fields.next().unwrap_or_default();
        let sni = fields.next().unwrap_or_default().parse()?;
        let tag = fields.next().filter(|tag| !tag.is_empty());
        let Endpoint { scheme, host, port } = endpoint(text, starttls)?;
        if written_length(text) + written_length(tag.unwrap_or_default()) > TARGET_LIMIT {
            return Err(invalid(format!(
                "target and tag are too long for a line of output, which has {TARGET_LIMIT} bytes \
                 for them after escaping; shorten the tag or the path"
            )));
        }
        Ok(Self { text: text.to_owned(), scheme, host, port, sni, tag: tag.map(str::to_owned) })
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    /// Parses a line with no other schemes than those that mean TLS from the first byte.
    fn from_str(line: &str) -> Result<Self, Self::Err> {
        Self::parse(line, |_scheme| None)
    }
}

impl FromStr for Sni {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Ok(Self::Unsaid),
            "-" => Ok(Self::Nothing),
            _ => match text.parse() {
                Ok(Host::Name(name)) => Ok(Self::Name(name)),
                Ok(Host::Address(_)) => {
                    Err(invalid("the SNI is an address, which RFC 6066 forbids; `-` sends none"))
                }
                Err(InvalidTarget(reason)) => Err(invalid(format!("the SNI: {reason}"))),
            },
        }
    }
}

impl FromStr for Host {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(invalid("the host is empty"));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let last = name.rsplit('.').next().unwrap_or_default();
        if is_number(last) {
            return Err(invalid(
                "a host cannot end in a number unless it is an address; is the line rank,domain?",
            ));
        }
        let ascii = match is_plain(name) {
            true => Cow::Borrowed(name),
            false if name.contains(['/', '\\']) => {
                return Err(invalid("a host cannot hold a slash; write scheme://host/path"));
            }
            false => to_ascii(name)?,
        };
        match DnsName::try_from(&*ascii) {
            Ok(name) if !ascii.ends_with('.') => Ok(Self::Name(name.to_owned())),
            _ => Err(invalid(why_no_name(&ascii))),
        }
    }
}

/// Whether a last label makes many programs take the host for an address (WHATWG URL).
fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x").or_else(|| label.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// Applies the IDNA rules (UTS 46).
///
/// Punycode takes time by the square of a label's length, so names that are too long are refused before.
fn to_ascii(name: &str) -> Result<Cow<'_, str>, InvalidTarget> {
    if name.len() > UNMAPPED_NAME_LIMIT {
        return Err(invalid("the name is longer than 253 characters"));
    }
    let is_long = |name: &str| name.split('.').any(|label| label.chars().nth(63).is_some());
    let ascii_labels = name.split('.').filter(|label| label.is_ascii());
    if ascii_labels.clone().any(is_long) || is_long(&idna::domain_to_unicode(name).0) {
        return Err(invalid("a label of the name is longer than 63 characters"));
    }
    idna::domain_to_ascii_cow(name.as_bytes(), idna::AsciiDenyList::EMPTY)
        .map_err(|_error| invalid("not a host name: the IDNA rules refuse it"))
}

/// Whether the IDNA rules leave a name as it is, which is quicker to see than to try.
fn is_plain(name: &str) -> bool {
    let is_plain = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    let name = name.as_bytes();
    name.iter().all(is_plain) && !name.windows(2).any(|pair| pair == b"--")
}

fn why_no_name(ascii: &str) -> &'static str {
    if ascii.len() > 253 {
        "the name is longer than 253 characters"
    } else if ascii.split('.').any(str::is_empty) {
        "the name has an empty label"
    } else if ascii.split('.').any(|label| label.len() > 63) {
        "a label of the name is longer than 63 characters"
    } else {
        "not a host name: letters, digits, hyphens inside labels, underscores and dots"
    }
}

/// The first field of a line.
struct Endpoint {
    scheme: Option<String>,
    host: Host,
    port: Option<u16>,
}

/// `host`, `host:port`, `host port`, `host:port/path`, `[v6]`, `[v6]:port`, a bare v6 address or a URL.
fn endpoint(text: &str, starttls: impl Fn(&str) -> Option<u16>) -> Result<Endpoint, InvalidTarget> {
    if text.is_empty() {
        return Err(invalid("the first field is empty"));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        let (host, port) = host_and_spaced_port(text)?;
        let scheme = None;
        return Ok(Endpoint { scheme, host, port });
    };
    let scheme = scheme.to_ascii_lowercase();
    let known = SCHEMES.iter().find(|known| known.name == scheme).map(|known| known.port);
    let default = known
        .or_else(|| starttls(&scheme).map(Some))
        .ok_or_else(|| invalid("the URL's scheme is unknown; write host:port"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_user, rest)| rest);
    let (host, port) = host_and_maybe_port(host_and_port)?;
    Ok(Endpoint { scheme: Some(scheme), host, port: port.or(default) })
}

/// Takes `host port`, as many tools print it, and `host:port/path`, which is a URL without a scheme.
fn host_and_spaced_port(text: &str) -> Result<(Host, Option<u16>), InvalidTarget> {
    let is_number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if let Some((host, digits)) = text.rsplit_once(char::is_whitespace)
        && is_number(digits)
    {
        return match host_and_maybe_port(host.trim_end())? {
            (host, None) => Ok((host, Some(port(digits)?))),
            (_, Some(_)) => Err(invalid("the target has two ports")),
        };
    }
    let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
    host_and_maybe_port(if authority.contains(':') { authority } else { text })
}

fn host_and_maybe_port(text: &str) -> Result<(Host, Option<u16>), InvalidTarget> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let Some((address, rest)) = bracketed.split_once(']') else {
            return Err(invalid("the bracket is not closed; write [address]:port"));
        };
        let address = v6(address)?;
        return match rest.strip_prefix(':') {
            Some(digits) => Ok((address, Some(port(digits)?))),
            None if rest.is_empty() => Ok((address, None)),
            None => Err(invalid("after the bracket comes :port or nothing")),
        };
    }
    match text.split_once(':') {
        None => Ok((text.parse()?, None)),
        Some((_, rest)) if rest.contains(':') => Ok((v6(text)?, None)),
        Some((name, digits)) => Ok((name.parse()?, Some(port(digits)?))),
    }
}

fn v6(text: &str) -> Result<Host, InvalidTarget> {
    if text.contains('%') {
        return Err(invalid("an address with a zone is not supported"));
    }
    text.parse::<Ipv6Addr>()
        .map(|address| Host::Address(IpAddr::V6(address)))
        .map_err(|_error| invalid("not an IPv6 address; write [address]:port"))
}

pub(super) fn port(digits: &str) -> Result<u16, InvalidTarget> {
    let number = match digits.bytes().all(|b| b.is_ascii_digit()) {
        true => digits.parse::<u16>().ok(),
        false => None,
    };
    match number {
        Some(number) if number > 0 => Ok(number),
        _ => Err(invalid("the port is not a number from 1 to 65535")),
    }
}

fn invalid(reason: impl Into<String>) -> InvalidTarget {
    InvalidTarget(reason.into())
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.as_ref().fmt(f),
        }
    }
}

impl fmt::Display for InvalidTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for InvalidTarget {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> (String, Option<u16>) {
        let target: Target = line.parse().unwrap();
        (target.host.to_string(), target.port)
    }

    fn reason(line: &str) -> String {
        line.parse::<Target>().unwrap_err().0
    }

    #[test]
    fn every_form_of_a_target() {
        for (line, host, port) in [
            ("example.com", "example.com", None),
            ("example.com:8443", "example.com", Some(8443)),
            ("EXAMPLE.com.:1", "example.com", Some(1)),
            ("192.0.2.1", "192.0.2.1", None),
            ("192.0.2.1:65535", "192.0.2.1", Some(65535)),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("[2001:db8::1]:443", "2001:db8::1", Some(443)),
            ("2001:db8::1", "2001:db8::1", None),
            ("https://example.com", "example.com", Some(443)),
            ("https://example.com/a:b?c#d", "example.com", Some(443)),
            ("https://user:secret@example.com:1?x", "example.com", Some(1)),
            ("HTTPS://[::1]:8443/", "::1", Some(8443)),
            ("tls://example.com", "example.com", None),
            ("imaps://example.com", "example.com", Some(993)),
            ("_dmarc.ex_ample.com", "_dmarc.ex_ample.com", None),
            ("bücher.example", "xn--bcher-kva.example", None),
            (" \texample.com\t ", "example.com", None),
            ("example.com 8443", "example.com", Some(8443)),
            ("example.com\t 8443,,tag", "example.com", Some(8443)),
            ("192.0.2.1 1", "192.0.2.1", Some(1)),
            ("2001:db8::1 443", "2001:db8::1", Some(443)),
            ("[2001:db8::1]\t443", "2001:db8::1", Some(443)),
            ("example.com:8443/a:b?c#d", "example.com", Some(8443)),
            ("example.com:8443?a", "example.com", Some(8443)),
            ("[2001:db8::1]:443/a", "2001:db8::1", Some(443)),
        ] {
            assert_eq!(parsed(line), (host.to_owned(), port), "{line}");
        }
    }

    #[test]
    fn what_is_not_a_target_says_why() {
        for (line, word) in [
            ("", "empty"),
            (":443", "empty"),
            ("example.com:", "port"),
            ("example.com:0", "port"),
            ("example.com:65536", "port"),
            ("example.com:-1", "port"),
            ("example.com:+1", "port"),
            ("example.com:https", "port"),
            ("example.com:99999999999999999999", "port"),
            ("[::1", "bracket"),
            ("[::1]443", "bracket"),
            ("[::1]:", "port"),
            ("[192.0.2.1]:443", "IPv6"),
            ("fe80::1%eth0", "zone"),
            ("a:b:c", "IPv6"),
            ("1,example.com", "rank"),
            ("256.1.1.1", "rank"),
            ("a..b", "empty label"),
            ("-a.example", "host name"),
            ("a b.example", "host name"),
            ("example.com 0", "port"),
            ("example.com 65536", "port"),
            ("example.com:1 2", "two ports"),
            ("a b 443", "host name"),
            ("443 443", "rank"),
            ("example.com:/a", "port"),
            ("a\0b.example", "host name"),
            ("gopher://example.com", "scheme"),
            ("example.com/path", "slash"),
            ("example.com,192.0.2.1", "SNI"),
            ("example.com,a..b", "SNI"),
        ] {
            assert!(reason(line).contains(word), "{line}: {}", reason(line));
        }
        assert!(reason(&format!("{}.example", "a".repeat(64))).contains("63"));
        assert!(reason(&format!("{}example", "abcdefg.".repeat(40))).contains("253"));
        // Some characters become several: U+3316 six.
        for label in ["\u{4e00}".repeat(64), "\u{3316}".repeat(11), "\u{4e00}".repeat(600)] {
            assert!(reason(&format!("a.{label}.example")).contains("63"));
        }
        assert!(reason(&format!("{}example", "\u{4e00}.".repeat(1000))).contains("253"));
    }

    proptest::proptest! {
        #[test]
        fn plain_names_are_what_idna_makes_of_them(name in "[a-z0-9._-]{1,30}") {
            if is_plain(&name) {
                let ascii = idna::domain_to_ascii_cow(name.as_bytes(), idna::AsciiDenyList::EMPTY);
                assert_eq!(ascii.unwrap(), name);
            }
        }
    }

    #[test]
    fn the_tag_is_the_rest_of_the_line() {
        let target: Target = "192.0.2.1:1 , name.example , a, b,,c ".parse().unwrap();
        assert_eq!(target.text, "192.0.2.1:1");
        assert_eq!(target.tag.as_deref(), Some("a, b,,c"));
        let target: Target = "example.com,,tag".parse().unwrap();
        assert_eq!((target.sni, target.tag.as_deref()), (Sni::Unsaid, Some("tag")));
    }

    #[test]
    fn the_line_goes_before_the_flag_and_the_flag_before_the_host() {
        let flag: Sni = "flag.example".parse().unwrap();
        let sent = |line: &str, flag: &Sni| {
            let identity = line.parse::<Target>().unwrap().server_name(flag);
            identity.sent.map(|name| name.as_ref().to_owned())
        };
        assert_eq!(sent("a.example", &Sni::Unsaid).as_deref(), Some("a.example"));
        assert_eq!(sent("a.example", &flag).as_deref(), Some("flag.example"));
        assert_eq!(sent("a.example,b.example", &flag).as_deref(), Some("b.example"));
        assert_eq!(sent("a.example,-", &flag), None);
        assert_eq!(sent("a.example", &Sni::Nothing), None);
        assert_eq!(sent("192.0.2.1", &Sni::Unsaid), None);
        assert_eq!(sent("192.0.2.1,b.example", &Sni::Unsaid).as_deref(), Some("b.example"));
    }
}
