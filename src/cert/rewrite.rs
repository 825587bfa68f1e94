//! Rewrites a certificate so that webpki can represent it.
//!
//! webpki refuses some well-formed certificates, because it cannot represent them: dates before
//! 1970, unique identifiers, path lengths above 255, policies marked critical, names that differ from
//! the issuer's in case or string type. Such a certificate is rewritten to an equivalent one. `rules`
//! checks what the rewritten certificate leaves out, and reports malformed certificates.

use rustls_pki_types::{Der, TrustAnchor};
use webpki::EndEntityCert;

use super::canonical::canonical;
use super::critical;
use super::der::{Reader, tag, write};
use super::link::Link;
use super::mend;
use super::reading::{Moment, Reading, id};

/// Whether a certificate has to be rewritten: webpki cannot represent it, or it has name constraints,
/// which `rules` evaluates, so that their cost is limited. webpki cannot represent malformed ones
/// either: where it stops at an extension that we know, only the rewritten certificate shows the rest.
pub(super) fn is_beyond_webpki(link: &Link<'_>) -> bool {
    let certificate = &link.reading;
    let is_before_1970 = |moment: Option<Moment<'_>>| moment.is_some_and(|m| m.seconds < 0);
    let (_, path_length) = certificate.basic_constraints().unwrap_or_default();
    certificate.extension(id::NAME_CONSTRAINTS).is_some()
        || is_before_1970(certificate.not_before)
        || is_before_1970(certificate.not_after)
        || path_length.is_some_and(|length| u8::try_from(length).is_err())
        || EndEntityCert::try_from(link.der).is_err()
}

/// The rewritten certificate. Its signature no longer fits.
pub(super) fn rewrite(certificate: &Reading<'_>) -> Vec<u8> {
    let name = |name: Option<&[u8]>| {
        let inside = name.and_then(|name| Some(Reader::new(name).element()?.value));
        write(tag::SEQUENCE, &[&canonical(inside.unwrap_or_default())])
    };
    let version = match certificate.version {
        Some(1) | None => Vec::new(),
        Some(version) => {
            write(tag::context(0), &[&write(tag::INTEGER, &[&[version.saturating_sub(1)]])])
        }
    };
    let tbs = write(
        tag::SEQUENCE,
        &[
            &version,
            &write(tag::INTEGER, &[certificate.serial.unwrap_or(&[1])]),
            certificate.inner_algorithm.unwrap_or_default(),
            &name(certificate.issuer),
            &validity(certificate),
            &name(certificate.subject),
            certificate.spki.unwrap_or_default(),
            &extensions(certificate),
        ],
    );
    let algorithm = certificate.algorithm.unwrap_or_default();
    let signature = certificate.signature.unwrap_or_default();
    write(tag::SEQUENCE, &[&tbs, algorithm, &write(tag::BIT_STRING, &[&[0], signature])])
}

/// The validity. A date before 1970 becomes the beginning of 1970, and one that cannot be read limits
/// nothing.
fn validity(certificate: &Reading<'_>) -> Vec<u8> {
    let epoch = write(tag::GENERALIZED_TIME, &[b"19700101000000Z"]);
    let never = write(tag::GENERALIZED_TIME, &[b"99991231235959Z"]);
    let moment = |moment: Option<Moment<'_>>, unread: &[u8]| match moment {
        Some(moment) if moment.seconds >= 0 => moment.whole.to_vec(),
        Some(_) => epoch.clone(),
        None => unread.to_vec(),
    };
    let (begins, ends) = (certificate.not_before, certificate.not_after);
    write(tag::SEQUENCE, &[&moment(begins, &epoch), &moment(ends, &never)])
}

/// The extensions that webpki evaluates, without the limits that `rules` checks, and the unknown ones.
fn extensions(certificate: &Reading<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for extension in &certificate.extensions {
        match extension.id {
            id::BASIC_CONSTRAINTS => {
                let is_ca = certificate.basic_constraints().is_some_and(|(is_ca, _)| is_ca);
                let flag: &[u8] = if is_ca { &[tag::BOOLEAN, 1, 0xff] } else { &[] };
                let value = write(tag::SEQUENCE, &[flag]);
                let id = write(tag::OID, &[extension.id]);
                let value = write(tag::OCTET_STRING, &[&value]);
                out.extend(write(tag::SEQUENCE, &[&id, &value]));
            }
            id::EXTENDED_KEY_USAGE => out.extend_from_slice(extension.whole),
            id::KEY_USAGE
            | id::SUBJECT_ALT_NAME
            | id::NAME_CONSTRAINTS
            | id::CRL_DISTRIBUTION_POINTS => {}
            _ if extension.critical && !critical::is_known(extension) => {
                out.extend_from_slice(extension.whole);
            }
            _ => {}
        }
    }
    match out.is_empty() {
        true => out,
        false => write(tag::context(3), &[&write(tag::SEQUENCE, &[&out])]),
    }
}

/// The name in canonical form, without the constraints that `rules` checks.
pub(super) fn rewritten_anchor(anchor: TrustAnchor<'_>) -> TrustAnchor<'static> {
    let key = mend::carried_key(&webpki::spki_for_anchor(&anchor));
    TrustAnchor {
        subject: Der::from(canonical(&anchor.subject).into_owned()),
        subject_public_key_info: Der::from(inside(&key).to_vec()),
        name_constraints: None,
    }
}

fn inside(element: &[u8]) -> &[u8] {
    Reader::new(element).element().map_or(&[], |element| element.value)
}

#[cfg(test)]
mod tests {
    use webpki::EndEntityCert;

    use super::super::sample::authority;
    use super::super::well_formed::is_well_formed;
    use super::*;

    #[test]
    fn what_is_rewritten_can_be_read_and_is_well_formed() {
        let der = authority(3);
        assert!(is_well_formed(&der));
        let rewritten = rewrite(&Reading::new(&der));
        assert!(is_well_formed(&rewritten));
        assert_eq!(Reading::new(&rewritten).basic_constraints(), Some((true, None)));
        assert!(EndEntityCert::try_from(&rewritten.into()).is_ok());
    }
}
