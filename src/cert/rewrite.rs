//! Rewrites a certificate so that webpki can represent it.
//!
//! webpki refuses some well-formed certificates, because it cannot represent them: dates before
//! 1970, unique identifiers, path lengths above 255, policies marked critical, constraints on names
//! other than DNS names and addresses, names that differ from the issuer's in case or string type.
//! Such a certificate is rewritten to an equivalent one. `rules` checks what has to be left out.

use rustls_pki_types::{Der, TrustAnchor};
use webpki::EndEntityCert;

use super::canonical::canonical;
use super::der::{Element, Reader, tag, write};
use super::link::Link;
use super::mend;
use super::reading::{Extension, Moment, Reading, id, moment};

/// Extensions that a client knows, although webpki does not: they are no reason to refuse a
/// certificate when they are critical, with the word for the record where they go unevaluated.
const KNOWN: [(&[u8], Option<&str>); 6] = [
    (id::CERTIFICATE_POLICIES, Some("certificate_policies")),
    (id::POLICY_MAPPINGS, Some("policy_mappings")),
    (id::POLICY_CONSTRAINTS, Some("policy_constraints")),
    (id::INHIBIT_ANY_POLICY, Some("inhibit_any_policy")),
    (id::NETSCAPE_CERT_TYPE, None),
    // It exempts the certificate of an OCSP responder from being looked up itself.
    (id::OCSP_NO_CHECK, None),
];

/// Whether a certificate is well-formed, but has something that webpki cannot represent.
pub(super) fn is_beyond_webpki(link: &Link<'_>) -> bool {
    let certificate = &link.reading;
    let is_before_1970 = |moment: Option<Moment<'_>>| moment.is_some_and(|m| m.seconds < 0);
    let (_, path_length) = certificate.basic_constraints().unwrap_or_default();
    let is_beyond = certificate.extension(id::NAME_CONSTRAINTS).is_some()
        || is_before_1970(certificate.not_before)
        || is_before_1970(certificate.not_after)
        || path_length.is_some_and(|length| u8::try_from(length).is_err())
        || EndEntityCert::try_from(link.der).is_err();
    is_beyond && is_well_formed(link.der)
}

fn is_known(extension: &Extension<'_>) -> bool {
    KNOWN.iter().any(|(id, _)| *id == extension.id)
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

/// With moments before 1970 moved to its beginning.
fn validity(certificate: &Reading<'_>) -> Vec<u8> {
    let epoch = write(tag::GENERALIZED_TIME, &[b"19700101000000Z"]);
    let moment = |moment: Option<Moment<'_>>| match moment {
        Some(moment) if moment.seconds >= 0 => moment.whole.to_vec(),
        _ => epoch.clone(),
    };
    write(tag::SEQUENCE, &[&moment(certificate.not_before), &moment(certificate.not_after)])
}

/// Those that webpki looks at on a path, without the limits that `rules` checks, and those that
/// nobody knows.
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
            _ if extension.critical && !is_known(extension) => {
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

/// The critical extensions that were not evaluated.
pub(super) fn not_evaluated(links: &[&Link<'_>]) -> Vec<&'static str> {
    let is_critical = |id: &[u8]| {
        let of = |link: &&Link<'_>| link.reading.extension(id).is_some_and(|found| found.critical);
        links.iter().any(of)
    };
    KNOWN.iter().filter(|(id, _)| is_critical(id)).filter_map(|(_, word)| *word).collect()
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

/// Whether this is the DER of an X.509 certificate, all of it and nothing else.
pub(super) fn is_well_formed(der: &[u8]) -> bool {
    let check = || {
        let mut outer = Reader::new(der);
        let mut certificate = Reader::new(strict(&mut outer, tag::SEQUENCE)?.value);
        let tbs = strict(&mut certificate, tag::SEQUENCE)?;
        let algorithm = strict(&mut certificate, tag::SEQUENCE)?;
        let signature = strict(&mut certificate, tag::BIT_STRING)?;
        let is_whole = outer.is_empty() && certificate.is_empty();
        (is_whole && signature.value.first().is_some_and(|&bits| bits < 8)).then_some(())?;
        is_well_formed_tbs(tbs, algorithm)
    };
    check().is_some()
}

fn is_well_formed_tbs(tbs: Element<'_>, algorithm: Element<'_>) -> Option<()> {
    let mut tbs = Reader::new(tbs.value);
    if tbs.peek() == Some(tag::context(0)) {
        let version = strict(&mut tbs, tag::context(0))?.value;
        matches!(version, [tag::INTEGER, 1, 0..=2]).then_some(())?;
    }
    let serial = strict(&mut tbs, tag::INTEGER)?;
    let inner_algorithm = strict(&mut tbs, tag::SEQUENCE)?;
    (!serial.value.is_empty() && inner_algorithm.whole == algorithm.whole).then_some(())?;
    strict(&mut tbs, tag::SEQUENCE)?;
    let mut validity = Reader::new(strict(&mut tbs, tag::SEQUENCE)?.value);
    for _ in 0..2 {
        is_moment(validity.element()?).then_some(())?;
    }
    validity.is_empty().then_some(())?;
    strict(&mut tbs, tag::SEQUENCE)?;
    let mut key = Reader::new(strict(&mut tbs, tag::SEQUENCE)?.value);
    strict(&mut key, tag::SEQUENCE)?;
    strict(&mut key, tag::BIT_STRING)?;
    key.is_empty().then_some(())?;
    for unique_identifier in [0x81, 0x82] {
        if tbs.peek() == Some(unique_identifier) {
            strict(&mut tbs, unique_identifier)?;
        }
    }
    if tbs.peek() == Some(tag::context(3)) {
        let mut explicit = Reader::new(strict(&mut tbs, tag::context(3))?.value);
        let extensions = strict(&mut explicit, tag::SEQUENCE)?;
        explicit.is_empty().then_some(())?;
        are_well_formed_extensions(extensions)?;
    }
    tbs.is_empty().then_some(())
}

fn are_well_formed_extensions(extensions: Element<'_>) -> Option<()> {
    let mut extensions = Reader::new(extensions.value);
    let mut seen = Vec::new();
    while !extensions.is_empty() {
        let mut fields = Reader::new(strict(&mut extensions, tag::SEQUENCE)?.value);
        let kind = strict(&mut fields, tag::OID)?.value;
        if fields.peek() == Some(tag::BOOLEAN) {
            matches!(strict(&mut fields, tag::BOOLEAN)?.value, [0 | 0xff]).then_some(())?;
        }
        let value = strict(&mut fields, tag::OCTET_STRING)?.value;
        let is_sound = fields.is_empty() && has_well_formed_value(kind, value);
        is_sound.then_some(())?;
        seen.push(kind);
    }
    seen.sort_unstable();
    seen.is_sorted_by(|one, other| one != other).then_some(())
}

/// Checks only the extensions that are evaluated here.
fn has_well_formed_value(kind: &[u8], value: &[u8]) -> bool {
    let mut reader = Reader::new(value);
    let element = match kind {
        id::KEY_USAGE => strict(&mut reader, tag::BIT_STRING),
        id::BASIC_CONSTRAINTS => strict(&mut reader, tag::SEQUENCE).filter(are_basic_constraints),
        id::SUBJECT_ALT_NAME | id::NAME_CONSTRAINTS | id::EXTENDED_KEY_USAGE => {
            strict(&mut reader, tag::SEQUENCE)
        }
        _ => return true,
    };
    element.is_some() && reader.is_empty()
}

fn are_basic_constraints(element: &Element<'_>) -> bool {
    let mut fields = Reader::new(element.value);
    let mut is_sound = true;
    if fields.peek() == Some(tag::BOOLEAN) {
        let flag = strict(&mut fields, tag::BOOLEAN);
        is_sound = flag.is_some_and(|flag| matches!(flag.value, [0 | 0xff]));
    }
    if fields.peek() == Some(tag::INTEGER) {
        let length = strict(&mut fields, tag::INTEGER);
        is_sound &= length.is_some_and(|length| matches!(length.value, [0..=0x7f, ..]));
    }
    is_sound && fields.is_empty()
}

/// RFC 5280, section 4.1.2.5: to the second, and in UTC.
fn is_moment(element: Element<'_>) -> bool {
    const UTC_TIME: u8 = 0x17;
    let length = match element.tag {
        UTC_TIME => 13,
        tag::GENERALIZED_TIME => 15,
        _ => return false,
    };
    let is_in_form = matches!(element.value, [digits @ .., b'Z']
        if digits.len() + 1 == length && digits.iter().all(u8::is_ascii_digit));
    is_in_form && moment(element).is_some()
}

/// The next element, when it has this tag and DER's shortest length.
fn strict<'a>(reader: &mut Reader<'a>, tag: u8) -> Option<Element<'a>> {
    let element = reader.expect(tag)?;
    let header = element.whole.len() - element.value.len();
    let shortest = match element.value.len() {
        ..0x80 => 2,
        0x80..0x100 => 3,
        0x100..0x1_0000 => 4,
        0x1_0000..0x100_0000 => 5,
        _ => 6,
    };
    (header == shortest).then_some(element)
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use webpki::EndEntityCert;

    use super::*;

    fn certificate() -> Vec<u8> {
        let mut params = CertificateParams::new(["example.com".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(3));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn what_is_rewritten_can_be_read_and_is_well_formed() {
        let der = certificate();
        assert!(is_well_formed(&der));
        let rewritten = rewrite(&Reading::new(&der));
        assert!(is_well_formed(&rewritten));
        assert_eq!(Reading::new(&rewritten).basic_constraints(), Some((true, None)));
        assert!(EndEntityCert::try_from(&rewritten.into()).is_ok());
    }

    #[test]
    fn whatever_is_cut_or_longer_is_not_well_formed() {
        let der = certificate();
        for length in 0..der.len() {
            assert!(!is_well_formed(&der[..length]), "{length}");
        }
        assert!(!is_well_formed(&[&der[..], &[0]].concat()));
    }

    #[test]
    fn lengths_are_the_shortest() {
        let long = [&[0x30, 0x81, 0x03][..], &[2, 1, 5]].concat();
        assert!(strict(&mut Reader::new(&long), tag::SEQUENCE).is_none());
        let short = [&[0x30, 0x03][..], &[2, 1, 5]].concat();
        assert!(strict(&mut Reader::new(&short), tag::SEQUENCE).is_some());
    }
}
