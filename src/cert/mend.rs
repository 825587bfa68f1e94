//! Rewrites a certificate without its known faults, so that webpki finds the next one.
//!
//! webpki reports one fault and stops. Mending that fault and asking again, until nothing is left
//! or mending no longer helps, gives all faults by webpki's own rules. All mended certificates
//! claim one signature algorithm, which checks the original signatures.

use std::collections::HashSet;

use rustls_pki_types::alg_id;

use super::algorithms::{CLAIMED, CLAIMED_KEY};
use super::der::{Reader, tag, write};
use super::problem::{Problem, Problems};
use super::reading::{Extension, Reading, id};

/// Where a certificate stands in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Leaf,
    Issuer,
}

/// A mended certificate.
pub(super) struct Mended {
    /// The signed part with its header.
    pub(super) tbs: Vec<u8>,
    pub(super) der: Vec<u8>,
}

/// Mends these faults. Fields that cannot be read are replaced by valid ones.
///
/// `mark` replaces the serial number, which webpki ignores. It makes every mended certificate
/// unique: without it, a forged certificate and its model could become identical.
pub(super) fn mend(certificate: &Reading<'_>, role: Role, faults: Problems, mark: usize) -> Mended {
    let algorithm = write(tag::SEQUENCE, &[CLAIMED.as_ref()]);
    // webpki refuses a certificate whose inner and outer algorithm differ. Until that fault is
    // known, the mended certificate must still have it.
    let another = write(tag::SEQUENCE, &[alg_id::ECDSA_SHA384.as_ref()]);
    let names_two = certificate.inner_algorithm != certificate.algorithm
        && certificate.inner_algorithm.is_some()
        && certificate.algorithm.is_some()
        && !faults.contains(Problem::BadEncoding);
    let inner_algorithm = if names_two { &another } else { &algorithm };

    let tbs = write(
        tag::SEQUENCE,
        &[
            &version(certificate, faults),
            &write(tag::INTEGER, &[&[1], &mark.to_be_bytes()]),
            inner_algorithm,
            certificate.issuer.unwrap_or(EMPTY_SEQUENCE),
            &validity(certificate, faults),
            certificate.subject.unwrap_or(EMPTY_SEQUENCE),
            &carried_key(certificate.spki.unwrap_or_default()),
            &extensions(certificate, role, faults),
        ],
    );
    let signature = certificate.signature.unwrap_or_default();
    let der =
        write(tag::SEQUENCE, &[&tbs, &algorithm, &write(tag::BIT_STRING, &[&[0], signature])]);
    Mended { tbs, der }
}

/// A SubjectPublicKeyInfo that wraps another one. Its algorithm is the one that
/// [`Lenient`](super::algorithms::Lenient) handles, and its bit string is the whole `spki`.
pub(super) fn carried_key(spki: &[u8]) -> Vec<u8> {
    let algorithm = write(tag::SEQUENCE, &[CLAIMED_KEY.as_ref()]);
    write(tag::SEQUENCE, &[&algorithm, &write(tag::BIT_STRING, &[&[0], spki])])
}

const EMPTY_SEQUENCE: &[u8] = &[tag::SEQUENCE, 0];

fn version(certificate: &Reading<'_>, faults: Problems) -> Vec<u8> {
    let number = match certificate.version {
        Some(version) if !faults.contains(Problem::UnsupportedVersion) => version,
        _ => 3,
    };
    match number {
        1 => Vec::new(),
        _ => write(tag::context(0), &[&write(tag::INTEGER, &[&[number.saturating_sub(1)]])]),
    }
}

fn validity(certificate: &Reading<'_>, faults: Problems) -> Vec<u8> {
    let long_ago = write(tag::GENERALIZED_TIME, &[b"19700101000000Z"]);
    let far_off = write(tag::GENERALIZED_TIME, &[b"99991231235959Z"]);
    let not_before = certificate
        .not_before
        .filter(|_| !faults.contains(Problem::NotYetValid))
        .map_or(long_ago.as_slice(), |from| from.whole);
    let not_after = certificate
        .not_after
        .filter(|_| !faults.contains(Problem::Expired))
        .map_or(far_off.as_slice(), |until| until.whole);
    write(tag::SEQUENCE, &[not_before, not_after])
}

fn extensions(certificate: &Reading<'_>, role: Role, faults: Problems) -> Vec<u8> {
    let mut out = Vec::new();
    let mut seen = HashSet::new();
    for extension in &certificate.extensions {
        let again = !seen.insert(extension.id);
        if is_kept(extension, role, faults, again) {
            out.extend(written(extension, faults));
        }
    }
    if role == Role::Issuer && rewrites_basic_constraints(faults) {
        out.extend(basic_constraints(certificate, faults));
    }
    match out.is_empty() {
        true => out,
        false => write(tag::context(3), &[&write(tag::SEQUENCE, &[&out])]),
    }
}

fn is_kept(extension: &Extension<'_>, role: Role, faults: Problems, again: bool) -> bool {
    let is_whole = || {
        let mut value = Reader::new(extension.value);
        value.element().is_some() && value.is_empty()
    };
    if faults.contains(Problem::BadEncoding) && (again || !is_whole()) {
        return false;
    }
    match (extension.id, role) {
        (id::BASIC_CONSTRAINTS, Role::Leaf) => !faults.contains(Problem::CaAsLeaf),
        (id::BASIC_CONSTRAINTS, Role::Issuer) => !rewrites_basic_constraints(faults),
        (id::NAME_CONSTRAINTS, _) => !faults.contains(Problem::NameConstraint),
        (id::EXTENDED_KEY_USAGE, _) => !faults.contains(Problem::BadPurpose),
        (id::KEY_USAGE | id::SUBJECT_ALT_NAME | id::CRL_DISTRIBUTION_POINTS, _) => true,
        _ => !(extension.critical && faults.contains(Problem::CriticalExtension)),
    }
}

fn written(extension: &Extension<'_>, faults: Problems) -> Vec<u8> {
    if !faults.contains(Problem::BadEncoding) {
        return extension.whole.to_vec();
    }
    let critical: &[u8] = match extension.critical {
        true => &[tag::BOOLEAN, 1, 0xff],
        false => &[],
    };
    write(
        tag::SEQUENCE,
        &[
            &write(tag::OID, &[extension.id]),
            critical,
            &write(tag::OCTET_STRING, &[extension.value]),
        ],
    )
}

fn rewrites_basic_constraints(faults: Problems) -> bool {
    [Problem::IssuerNotCa, Problem::PathLength, Problem::BadEncoding]
        .into_iter()
        .any(|fault| faults.contains(fault))
}

fn basic_constraints(certificate: &Reading<'_>, faults: Problems) -> Vec<u8> {
    let (ca, path_length) = certificate.basic_constraints().unwrap_or_default();
    if !ca && !faults.contains(Problem::IssuerNotCa) {
        return Vec::new();
    }
    let path_length = path_length
        .filter(|_| !faults.contains(Problem::PathLength))
        .and_then(|length| u8::try_from(length).ok())
        .filter(|&length| length < 0x80)
        .map(|length| write(tag::INTEGER, &[&[length]]))
        .unwrap_or_default();
    let value = write(tag::SEQUENCE, &[&[tag::BOOLEAN, 1, 0xff], &path_length]);
    write(
        tag::SEQUENCE,
        &[&write(tag::OID, &[id::BASIC_CONSTRAINTS]), &write(tag::OCTET_STRING, &[&value])],
    )
}

#[cfg(test)]
mod tests {
    use webpki::EndEntityCert;

    use super::super::sample::authority;
    use super::*;

    /// The SubjectPublicKeyInfo that was given to [`carried_key`].
    fn original_key(carried: &[u8]) -> Option<&[u8]> {
        let mut fields = Reader::new(Reader::new(carried).expect(tag::SEQUENCE)?.value);
        fields.expect(tag::SEQUENCE)?;
        let (_unused_bits, spki) = fields.expect(tag::BIT_STRING)?.value.split_first()?;
        Some(spki)
    }

    #[test]
    fn without_faults_only_key_and_algorithm_are_replaced() {
        let der = authority(0);
        let reading = Reading::new(&der);
        for role in [Role::Leaf, Role::Issuer] {
            let mended = mend(&reading, role, Problems::default(), 0);
            assert!(mended.der.windows(mended.tbs.len()).any(|part| part == mended.tbs));
            let again = Reading::new(&mended.der);
            assert_eq!(original_key(again.spki.unwrap()), reading.spki);
            assert_eq!(again.signature, reading.signature);
            assert_eq!(again.subject, reading.subject);
            assert_eq!(again.issuer, reading.issuer);
            assert_eq!(again.serial, Some(&[1, 0, 0, 0, 0, 0, 0, 0, 0][..]));
            let extensions = |reading: &Reading<'_>| {
                let all = reading.extensions.iter();
                all.map(|extension| extension.whole.to_vec()).collect::<Vec<_>>()
            };
            assert_eq!(extensions(&again), extensions(&reading));
        }
    }

    #[test]
    fn whatever_is_mended_can_be_read() {
        let der = authority(0);
        for fault in Problem::ALL {
            let mended = mend(
                &Reading::new(&der),
                Role::Issuer,
                Problems::from_iter([Problem::BadEncoding, fault]),
                1,
            );
            let der = mended.der.into();
            assert!(EndEntityCert::try_from(&der).is_ok(), "{fault}");
        }
        let nothing = mend(&Reading::new(b""), Role::Leaf, Problems::from_iter(Problem::ALL), 2);
        assert!(EndEntityCert::try_from(&nothing.der.into()).is_ok());
    }
}
