//! Stapled OCSP responses, made by hand.

use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose;
use rustls_pki_types::CertificateDer;
use tlsweep::cert::Problem::{self, Revoked, UnknownIssuer};
use tlsweep::cert::{Judge, Ocsp, Presented, Signature, Status, Wanted};

use crate::support::certs::{Entity, HELD, ca, element, example, judge, now, valid};
use crate::support::ocsp::{GOOD, UNKNOWN, answer, response, revoked};

struct Setting {
    issuer: Entity,
    leaf: Entity,
    judge: Judge,
}

impl Setting {
    fn new() -> Self {
        let root = Entity::root("root");
        let issuer = root.issue(ca("issuer"));
        let leaf = issuer.issue(example());
        let judge = judge(&[&root.der]);
        Self { issuer, leaf, judge }
    }

    fn examine(&self, staple: &[u8]) -> (Ocsp, Vec<Problem>) {
        let chain = [self.leaf.der.clone(), self.issuer.der.clone()];
        examine(&self.judge, &chain, staple)
    }

    /// A current response that says this of the leaf, signed by its issuer.
    fn staple(&self, status: &[u8]) -> Vec<u8> {
        let answer = answer(&self.leaf.der, &self.issuer, status, -1, Some(1));
        response(&self.issuer, &[answer], None)
    }
}

fn examine(judge: &Judge, chain: &[CertificateDer<'_>], staple: &[u8]) -> (Ocsp, Vec<Problem>) {
    let presented = Presented { chain, name: None, ocsp: staple, proof: &HELD };
    let examined = judge.examine(presented, now(), Wanted::default());
    (examined.ocsp.unwrap(), examined.trust.unwrap().problems)
}

#[test]
fn statuses_are_told() {
    let setting = Setting::new();
    for (said, status, problems) in [
        (GOOD, Status::Good, &[][..]),
        (&revoked(), Status::Revoked, &[Revoked]),
        (UNKNOWN, Status::Unknown, &[]),
    ] {
        let (ocsp, found) = setting.examine(&setting.staple(said));
        assert_eq!(ocsp.status, status);
        assert_eq!(ocsp.signature, Some(Signature::Valid));
        assert_eq!(ocsp.current, Some(true));
        assert_eq!(ocsp.responder.as_deref(), Some("CN=issuer"));
        assert!(ocsp.produced_at.is_some() && ocsp.next_update.is_some());
        assert_eq!(found, problems, "{status:?}");
        let since = ocsp.revoked_at.as_deref();
        assert_eq!(since, (status == Status::Revoked).then_some("2024-01-01T00:00:00Z"));
    }
    for (code, status) in [
        (1, Status::MalformedRequest),
        (2, Status::InternalError),
        (3, Status::TryLater),
        (5, Status::SigRequired),
        (6, Status::Unauthorized),
    ] {
        let refusal = element(0x30, &[vec![0x0a, 1, code]]);
        assert_eq!(setting.examine(&refusal).0.status, status);
    }
}

#[test]
fn a_stale_or_early_response_revokes_nothing() {
    let setting = Setting::new();
    for (from, until, current) in [(-2, Some(-1), false), (1, Some(2), false), (-2, None, true)] {
        let answer = answer(&setting.leaf.der, &setting.issuer, &revoked(), from, until);
        let staple = response(&setting.issuer, &[answer], None);
        let (ocsp, found) = setting.examine(&staple);
        assert_eq!(ocsp.current, Some(current));
        assert_eq!(found.contains(&Revoked), current);
    }
}

#[test]
fn a_response_that_others_signed_is_not_believed() {
    let setting = Setting::new();
    let stranger = Entity::self_signed(setting.issuer.params.clone());
    let answer = answer(&setting.leaf.der, &setting.issuer, &revoked(), -1, Some(1));
    let answers = std::slice::from_ref(&answer);
    let (ocsp, found) = setting.examine(&response(&stranger, answers, None));
    assert_eq!(ocsp.signature, Some(Signature::Invalid));
    assert_eq!(found, []);

    let mut responder = valid(ca("responder"), 2020, 2090);
    responder.is_ca = rcgen::IsCa::NoCa;
    let unauthorised = setting.issuer.issue(responder.clone());
    let by = |responder: &Entity| {
        let staple = response(responder, answers, Some(&responder.der));
        setting.examine(&staple).0.signature
    };
    assert_eq!(by(&unauthorised), Some(Signature::Invalid));
    responder.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
    let mut authorised = setting.issuer.issue(responder.clone());
    assert_eq!(by(&authorised), Some(Signature::Valid));
    authorised.der = with_unsupported_signature(&authorised.der);
    assert_eq!(by(&authorised), Some(Signature::Unchecked));
    assert_eq!(by(&stranger.issue(responder.clone())), Some(Signature::Invalid));
    let expired = valid(responder, 2020, 2021);
    assert_eq!(by(&setting.issuer.issue(expired)), Some(Signature::Invalid));
}

/// The certificate, as if it were signed with SHA-224, which nothing here checks.
fn with_unsupported_signature(der: &[u8]) -> CertificateDer<'static> {
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3];
    let mut der = der.to_vec();
    for start in 0..der.len() - ECDSA.len() {
        if der[start..].starts_with(ECDSA) {
            der[start + ECDSA.len()] = 1;
        }
    }
    der.into()
}

#[test]
fn a_response_about_others_is_no_match() {
    let setting = Setting::new();
    let other = setting.issuer.issue(example());
    let answer_for_other = answer(&other.der, &setting.issuer, &revoked(), -1, Some(1));
    let staple = response(&setting.issuer, std::slice::from_ref(&answer_for_other), None);
    let (ocsp, found) = setting.examine(&staple);
    assert_eq!((ocsp.status, ocsp.signature), (Status::Mismatch, None));
    assert_eq!(found, []);

    let answer_for_leaf = answer(&setting.leaf.der, &setting.issuer, GOOD, -1, Some(1));
    let staple = response(&setting.issuer, &[answer_for_other, answer_for_leaf], None);
    assert_eq!(setting.examine(&staple).0.status, Status::Good);

    let stranger = Entity::root("stranger");
    let answer = answer(&setting.leaf.der, &stranger, &revoked(), -1, Some(1));
    let (ocsp, _) = setting.examine(&response(&setting.issuer, &[answer], None));
    assert_eq!(ocsp.status, Status::Mismatch);
}

#[test]
fn without_the_issuer_nothing_is_proven() {
    let setting = Setting::new();
    let chain = [setting.leaf.der.clone()];
    let (ocsp, found) = examine(&setting.judge, &chain, &setting.staple(&revoked()));
    assert_eq!((ocsp.status, ocsp.signature), (Status::Revoked, Some(Signature::Unchecked)));
    assert_eq!(found, [UnknownIssuer]);
}

#[test]
fn garbage_is_malformed() {
    let setting = Setting::new();
    let staple = setting.staple(GOOD);
    for garbage in [&b"x"[..], &[0x30, 0], &[0x30, 3, 0x0a, 1, 4], &[0; 99]] {
        assert_eq!(setting.examine(garbage).0.status, Status::Malformed);
    }
    for length in 1..staple.len() {
        assert_eq!(setting.examine(&staple[..length]).0.status, Status::Malformed);
    }
    for at in 0..staple.len() {
        let mut wrong = staple.clone();
        wrong[at] ^= 0xff;
        let (ocsp, _) = setting.examine(&wrong);
        let said = (ocsp.status, ocsp.signature);
        assert_ne!(said, (Status::Revoked, Some(Signature::Valid)), "byte {at}");
    }
}

/// 400 single responses beside 100 possible issuers of the same name: 16 of the ones and 13 of the
/// others are looked at, and the rest is counted.
#[test]
fn a_dense_staple_is_cut_and_counted() {
    let setting = Setting::new();
    let strangers = (0..100).map(|_| Entity::root("issuer").der);
    let chain = [setting.leaf.der.clone()].into_iter().chain(strangers).collect::<Vec<_>>();
    let stranger = Entity::root("issuer");
    let of_stranger = answer(&setting.leaf.der, &stranger, GOOD, -1, Some(1));
    let of_issuer = answer(&setting.leaf.der, &setting.issuer, &revoked(), -1, Some(1));
    let staple = |before: usize, after: usize| {
        let answers = std::iter::repeat_n(of_stranger.clone(), before)
            .chain([of_issuer.clone()])
            .chain(std::iter::repeat_n(of_stranger.clone(), after));
        response(&setting.issuer, &answers.collect::<Vec<_>>(), None)
    };
    let with = |place: usize| {
        let mut chain = chain.clone();
        chain.insert(place, setting.issuer.der.clone());
        chain
    };
    // Among the first of both: it counts.
    let (ocsp, problems) = examine(&setting.judge, &with(13), &staple(15, 384));
    assert_eq!((ocsp.status, ocsp.responses_count), (Status::Revoked, Some(400)));
    assert_eq!(ocsp.signature, Some(Signature::Valid));
    assert!(problems.contains(&Revoked), "{problems:?}");
    // Behind them: it does not.
    for (place, before) in [(14, 0), (1, 16)] {
        let (ocsp, problems) = examine(&setting.judge, &with(place), &staple(before, 399 - before));
        assert_eq!((ocsp.status, ocsp.responses_count), (Status::Mismatch, Some(400)));
        assert!(!problems.contains(&Revoked), "{place} {before}: {problems:?}");
    }
    let (ocsp, _) = examine(&setting.judge, &with(1), &staple(0, 15));
    assert_eq!((ocsp.status, ocsp.responses_count), (Status::Revoked, None));
}

/// The same judge, hour by hour: a staple and a certificate count for as long as they hold.
#[test]
fn what_is_remembered_holds_for_its_time_only() {
    let Setting { issuer, leaf, judge } = Setting::new();
    let chain = [leaf.der.clone(), issuer.der.clone()];
    let staple = response(&issuer, &[answer(&leaf.der, &issuer, &revoked(), -1, Some(1))], None);
    let at = |seconds: i64| {
        let moment = match u64::try_from(seconds) {
            Ok(later) => now() + Duration::from_secs(later),
            Err(_) => now() - Duration::from_secs(seconds.unsigned_abs()),
        };
        let presented = Presented { chain: &chain, name: None, ocsp: &staple, proof: &HELD };
        let examined = judge.examine(presented, moment, Wanted::default());
        (examined.ocsp.unwrap().current, examined.trust.unwrap().problems)
    };
    const DAY: i64 = 86_400;
    for (seconds, current, problems) in [
        (0, true, vec![Revoked]),
        (DAY + 60, false, vec![]),
        (DAY - 60, true, vec![Revoked]),
        (-DAY - 60, false, vec![]),
        (60 - DAY, true, vec![Revoked]),
    ] {
        assert_eq!(at(seconds), (Some(current), problems), "{seconds} s from now");
    }
}
