//! Critical extensions: which of them a client knows.

use super::reading::{Extension, Reading, id};

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

/// Extensions that webpki knows.
const KNOWN_TO_WEBPKI: [&[u8]; 6] = [
    id::BASIC_CONSTRAINTS,
    id::KEY_USAGE,
    id::EXTENDED_KEY_USAGE,
    id::SUBJECT_ALT_NAME,
    id::NAME_CONSTRAINTS,
    id::CRL_DISTRIBUTION_POINTS,
];

/// Whether a client knows this extension, although webpki does not.
pub(super) fn is_known(extension: &Extension<'_>) -> bool {
    KNOWN.iter().any(|(id, _)| *id == extension.id)
}

/// Whether a critical extension is one that nobody knows.
pub(super) fn has_unknown(certificate: &Reading<'_>) -> bool {
    let mut critical = certificate.extensions.iter().filter(|extension| extension.critical);
    critical.any(|extension| !is_known(extension) && !KNOWN_TO_WEBPKI.contains(&extension.id))
}

/// The critical extensions of these certificates that were not evaluated.
pub(super) fn not_evaluated(certificates: &[&Reading<'_>]) -> Vec<&'static str> {
    let is_critical = |id: &[u8]| {
        let mut found = certificates.iter().filter_map(|certificate| certificate.extension(id));
        found.any(|extension| extension.critical)
    };
    KNOWN.iter().filter(|(id, _)| is_critical(id)).filter_map(|(_, word)| *word).collect()
}
