//! Checks signatures over certificates without any code of tlsweep.

use rustls::crypto::aws_lc_rs::default_provider;

use crate::forge::{Key, tag};

/// The first element of these bytes: its tag, itself with its header, its content, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        ..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
            (length.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (value, after) = rest.split_at_checked(length)?;
    Some((tag, &bytes[..bytes.len() - after.len()], value, after))
}

/// The three parts of something signed (a certificate, or a BasicOCSPResponse): what is signed, the
/// content of the AlgorithmIdentifier, and the signature.
fn parts(signed: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (tag::SEQUENCE, _, inside, _) = element(signed)? else { return None };
    let (tag::SEQUENCE, tbs, _, rest) = element(inside)? else { return None };
    let (tag::SEQUENCE, _, algorithm, rest) = element(rest)? else { return None };
    let (tag::BIT_STRING, _, signature, _) = element(rest)? else { return None };
    Some((tbs, algorithm, signature.get(1..)?))
}

/// Whether the signature over `signed` was made with this key.
pub fn holds(signed: &[u8], key: &Key) -> bool {
    let verified = || {
        let (tbs, algorithm, signature) = parts(signed)?;
        let (_, _, spki, _) = element(&key.spki)?;
        let (_, _, of_key, _) = element(spki)?;
        let fits = default_provider().signature_verification_algorithms.all.iter().find(|known| {
            known.signature_alg_id().as_ref() == algorithm
                && known.public_key_alg_id().as_ref() == of_key
        });
        fits?.verify_signature(key.bits(), tbs, signature).ok()
    };
    key.can_sign() && verified().is_some()
}

/// The BasicOCSPResponse in a response.
pub fn basic(response: &[u8]) -> Option<&[u8]> {
    let (_, _, response, _) = element(response)?;
    let (_, _, _, rest) = element(response)?;
    let (_, _, explicit, _) = element(rest)?;
    let (_, _, bytes, _) = element(explicit)?;
    let (_, _, _, rest) = element(bytes)?;
    let (_, _, basic, _) = element(rest)?;
    Some(basic)
}
