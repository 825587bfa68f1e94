//! Certificates and staples that name a CA which did not make them: they count for nothing.

use rcgen::{BasicConstraints, CertificateParams, GeneralSubtree, IsCa, NameConstraints};
use rustls_pki_types::CertificateDer;
use tlsweep::cert::Problem::{self, BadSignature, NameConstraint, PathLength, Revoked};
use tlsweep::cert::{Judge, Presented, Signature, Status, Wanted};

use crate::support::certs::{
    Entity, HELD, ca, children, element, example, judge, now, problems, server,
};
use crate::support::ocsp::{GOOD, answer, response, revoked};

/// What a limited CA is forged into: the same without its limits, under the signature of the genuine
/// one.
fn without_limits(genuine: &CertificateDer<'_>) -> CertificateDer<'static> {
    const NAME_CONSTRAINTS: &[u8] = &[6, 3, 0x55, 0x1d, 30];
    const BASIC_CONSTRAINTS: &[u8] = &[6, 3, 0x55, 0x1d, 19];
    let mut parts = children(genuine);
    let mut fields = children(&parts[0]);
    let extensions = children(&children(&fields[7])[0]);
    let has = |extension: &[u8], id: &[u8]| extension.windows(id.len()).any(|part| part == id);
    let kept = extensions.into_iter().filter(|extension| !has(extension, NAME_CONSTRAINTS));
    let kept = kept.map(|extension| match has(&extension, BASIC_CONSTRAINTS) {
        true => {
            let is_ca = element(4, &[vec![0x30, 3, 1, 1, 0xff]]);
            element(0x30, &[BASIC_CONSTRAINTS.to_vec(), is_ca])
        }
        false => extension,
    });
    fields[7] = element(0xa3, &[element(0x30, &kept.collect::<Vec<_>>())]);
    parts[0] = element(0x30, &fields);
    element(0x30, &parts).into()
}

fn limited(limit: impl FnOnce(&mut CertificateParams)) -> (Entity, Entity) {
    let root = Entity::root("root");
    let mut params = ca("limited");
    limit(&mut params);
    let limited = root.issue(params);
    (root, limited)
}

/// Rewritten for webpki, the forgery and its model are the same bytes.
#[test]
fn a_forgery_beside_its_model_lifts_no_name_constraint() {
    let (root, limited) = limited(|ca| {
        ca.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("allowed.test".to_owned())],
            excluded_subtrees: vec![],
        });
    });
    let leaf = limited.issue(example());
    let forged = without_limits(&limited.der);
    assert_ne!(forged, limited.der);
    for (chain, expected) in [
        (&[&leaf.der, &limited.der][..], &[NameConstraint][..]),
        (&[&leaf.der, &forged], &[BadSignature]),
        // Each issuer leads to a fault; that of the path whose signatures all hold counts.
        (&[&leaf.der, &limited.der, &forged], &[NameConstraint]),
        (&[&leaf.der, &forged, &limited.der], &[NameConstraint]),
    ] {
        assert_eq!(problems(chain, &[&root.der]), expected, "{} certificates", chain.len());
    }
    // What the CA may certify is still allowed when the forgery is sent as well.
    let allowed = limited.issue(server(&["example.com.allowed.test"]));
    let found = problems(&[&allowed.der, &forged, &limited.der], &[&root.der]);
    assert_eq!(found, [Problem::NameMismatch]);
}

#[test]
fn a_forgery_beside_its_model_lengthens_no_path() {
    let (root, limited) = limited(|ca| ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let lower = limited.issue(ca("lower"));
    let leaf = lower.issue(example());
    let forged = without_limits(&limited.der);
    for (chain, expected) in [
        (&[&leaf.der, &lower.der, &limited.der][..], &[PathLength][..]),
        (&[&leaf.der, &lower.der, &forged], &[BadSignature]),
        (&[&leaf.der, &lower.der, &limited.der, &forged], &[PathLength]),
        (&[&leaf.der, &lower.der, &forged, &limited.der], &[PathLength]),
    ] {
        assert_eq!(problems(chain, &[&root.der]), expected, "{} certificates", chain.len());
    }
}

/// The server adds a CA of its own making, which has the name of the issuer, and lets it answer.
#[test]
fn a_staple_counts_only_from_whoever_signed_the_leaf() {
    let root = Entity::root("root");
    let issuer = root.issue(ca("issuer"));
    let leaf = issuer.issue(example());
    let fake = Entity::root("issuer");
    let judge = judge(&[&root.der]);
    let by = |author: &Entity, status: &[u8]| {
        response(author, &[answer(&leaf.der, author, status, -1, Some(1))], None)
    };
    let chains = [
        vec![leaf.der.clone(), issuer.der.clone(), fake.der.clone()],
        vec![leaf.der.clone(), fake.der.clone(), issuer.der.clone()],
    ];
    for chain in chains {
        for (said, status, genuine) in
            [(GOOD, Status::Good, &[][..]), (&revoked(), Status::Revoked, &[Revoked])]
        {
            let found = examine(&judge, &chain, &by(&issuer, said));
            assert_eq!(found, (status, Some(Signature::Valid), genuine.to_vec()));
            let found = examine(&judge, &chain, &by(&fake, said));
            assert_eq!(found, (status, Some(Signature::Invalid), vec![]));
        }
    }
}

/// The answers of both are in one response: the one of the true issuer counts, wherever it stands.
#[test]
fn a_false_issuer_hides_no_answer_of_the_true_one() {
    let root = Entity::root("root");
    let issuer = root.issue(ca("issuer"));
    let leaf = issuer.issue(example());
    let fake = Entity::root("issuer");
    let judge = judge(&[&root.der]);
    let of = |author: &Entity, status: &[u8]| answer(&leaf.der, author, status, -1, Some(1));
    let chain = [leaf.der.clone(), fake.der.clone(), issuer.der.clone()];
    for answers in
        [[of(&fake, GOOD), of(&issuer, &revoked())], [of(&issuer, &revoked()), of(&fake, GOOD)]]
    {
        let found = examine(&judge, &chain, &response(&issuer, &answers, None));
        assert_eq!(found, (Status::Revoked, Some(Signature::Valid), vec![Revoked]));
    }
}

fn examine(
    judge: &Judge,
    chain: &[CertificateDer<'_>],
    ocsp: &[u8],
) -> (Status, Option<Signature>, Vec<Problem>) {
    let presented = Presented { chain, name: None, ocsp, proof: &HELD };
    let examined = judge.examine(presented, now(), Wanted::default());
    let ocsp = examined.ocsp.unwrap();
    (ocsp.status, ocsp.signature, examined.trust.unwrap().problems)
}
