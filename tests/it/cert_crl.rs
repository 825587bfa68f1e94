//! Revocation lists: which of them cover what, and what becomes of the verdict.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, date_time_ymd,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use tempfile::TempDir;
use tlsweep::cert::{
    CrlError, CrlStatus, Crls, Examined, Judge, Presented, Problem, RevokedBy, Wanted, pem,
};

use crate::support::certs::{Entity, HELD, Pki, ca, example, judge, now, valid};
use crate::support::cmd::Tlsweep;
use crate::support::programs::{Program, shown};
use crate::support::served::showing;

const LEAF: u64 = 4_711;
const INTERMEDIATE: u64 = 300;

fn numbered(mut params: CertificateParams, serial: u64) -> CertificateParams {
    params.serial_number = Some(serial.into());
    params
}

fn pki() -> Pki {
    Pki::of(
        Entity::root("root"),
        numbered(ca("intermediate"), INTERMEDIATE),
        numbered(example(), LEAF),
    )
}

/// A list that is current, complete and revokes these.
fn params(revoked: &[u64]) -> CertificateRevocationListParams {
    CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(2089, 1, 1),
        crl_number: 1_u64.into(),
        issuing_distribution_point: None,
        revoked_certs: revoked
            .iter()
            .map(|&serial| RevokedCertParams {
                serial_number: serial.into(),
                revocation_time: date_time_ymd(2021, 1, 1),
                reason_code: None,
                invalidity_date: None,
            })
            .collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

fn list(issuer: &Entity, params: CertificateRevocationListParams) -> Vec<u8> {
    let issuer = Issuer::from_params(&issuer.params, &issuer.key);
    params.signed_by(&issuer).unwrap().der().to_vec()
}

fn of_point(
    revoked: &[u64],
    uri: &str,
    scope: Option<CrlScope>,
) -> CertificateRevocationListParams {
    let distribution_point = CrlDistributionPoint { uris: vec![uri.to_owned()] };
    let point = CrlIssuingDistributionPoint { distribution_point, scope };
    CertificateRevocationListParams { issuing_distribution_point: Some(point), ..params(revoked) }
}

fn crls(lists: &[Vec<u8>]) -> Arc<Crls> {
    let mut crls = Crls::default();
    lists.iter().for_each(|list| crls.add(list).unwrap());
    Arc::new(crls)
}

fn examine(judge: &Judge, chain: &[&CertificateDer<'static>], after: Duration) -> Examined {
    let chain = chain.iter().map(|&der| der.clone()).collect::<Vec<_>>();
    let name = ServerName::try_from("example.com").unwrap();
    let presented = Presented { chain: &chain, name: Some(&name), ocsp: &[], proof: &HELD };
    judge.examine(presented, now() + after, Wanted::default())
}

/// What becomes of the chain with these lists.
fn verdict(pki: &Pki, lists: &[Vec<u8>]) -> (Option<CrlStatus>, Vec<Problem>) {
    let judge = judge(&[&pki.root.der]).with_crls(crls(lists));
    let examined = examine(&judge, &[&pki.leaf.der, &pki.ca.der], Duration::ZERO);
    let trust = examined.trust.unwrap();
    let is_revoked = trust.problems.contains(&Problem::Revoked);
    assert_eq!(trust.revoked_by, is_revoked.then_some(RevokedBy::Crl));
    (examined.revocation.and_then(|revocation| revocation.crl), trust.problems)
}

#[test]
fn every_certificate_of_the_path_is_looked_up() {
    let pki = pki();
    let (root, ca) = (&pki.root, &pki.ca);
    let revoked = (Some(CrlStatus::Revoked), vec![Problem::Revoked]);
    let good = (Some(CrlStatus::Good), vec![]);
    let not_covered = (Some(CrlStatus::NotCovered), vec![]);
    for (lists, expected) in [
        (vec![], (None, vec![])),
        (vec![list(ca, params(&[LEAF]))], revoked.clone()),
        (vec![list(root, params(&[INTERMEDIATE]))], revoked.clone()),
        (vec![list(ca, params(&[1, 2])), list(root, params(&[3]))], good),
        // One of the two certificates has no list.
        (vec![list(ca, params(&[]))], not_covered.clone()),
        (vec![list(root, params(&[]))], not_covered),
        // The numbers of the other issuer.
        (
            vec![list(root, params(&[LEAF])), list(ca, params(&[INTERMEDIATE]))],
            (Some(CrlStatus::Good), vec![]),
        ),
        // One of several lists of an issuer.
        (vec![list(ca, params(&[])), list(ca, params(&[LEAF]))], revoked),
    ] {
        assert_eq!(verdict(&pki, &lists), expected);
    }
}

#[test]
fn lists_that_do_not_count() {
    let pki = pki();
    let not_covered = (Some(CrlStatus::NotCovered), vec![]);
    let ended = CertificateRevocationListParams {
        next_update: date_time_ymd(2021, 1, 1),
        ..params(&[LEAF])
    };
    let early = CertificateRevocationListParams {
        this_update: date_time_ymd(2088, 1, 1),
        ..params(&[LEAF])
    };
    // The same name, another key.
    let impostor = Entity::self_signed(ca("intermediate"));
    let foreign = Entity::root("somebody else");
    let mut spoiled = list(&pki.ca, params(&[LEAF]));
    *spoiled.last_mut().unwrap() ^= 1;
    for list in [
        list(&pki.ca, ended),
        list(&pki.ca, early),
        list(&impostor, params(&[LEAF])),
        list(&foreign, params(&[LEAF])),
        spoiled,
    ] {
        assert_eq!(verdict(&pki, &[list]), not_covered);
    }
}

#[test]
fn an_issuer_that_may_not_sign_lists_revokes_nothing() {
    let mut params_of_ca = numbered(ca("intermediate"), INTERMEDIATE);
    params_of_ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let pki = Pki::of(Entity::root("root"), params_of_ca, numbered(example(), LEAF));
    // rcgen itself would refuse to sign a list as this CA.
    let key = KeyPair::try_from(pki.ca.key.serialize_der()).unwrap();
    let signer = Entity { params: ca("intermediate"), key, der: pki.ca.der.clone() };
    let lists = [list(&signer, params(&[LEAF]))];
    assert_eq!(verdict(&pki, &lists), (Some(CrlStatus::NotCovered), vec![]));
}

#[test]
fn lists_in_parts_cover_what_names_the_same_point() {
    let mut leaf = numbered(example(), LEAF);
    leaf.crl_distribution_points =
        vec![CrlDistributionPoint { uris: vec!["http://crl.test/1".to_owned()] }];
    let with_point =
        Pki::of(Entity::root("root"), numbered(ca("intermediate"), INTERMEDIATE), leaf);
    let without = pki();
    let users = || Some(CrlScope::UserCertsOnly);
    let cas = || Some(CrlScope::CaCertsOnly);
    for (pki, uri, scope, is_revoked) in [
        (&with_point, "http://crl.test/1", None, true),
        (&with_point, "http://crl.test/1", users(), true),
        (&with_point, "http://crl.test/1", cas(), false),
        (&with_point, "http://crl.test/2", None, false),
        (&without, "http://crl.test/2", None, true),
        (&without, "http://crl.test/2", cas(), false),
    ] {
        let (status, problems) = verdict(pki, &[list(&pki.ca, of_point(&[LEAF], uri, scope))]);
        assert_eq!(problems.contains(&Problem::Revoked), is_revoked, "{uri}");
        let revoked = CrlStatus::Revoked;
        assert_eq!(status, Some(if is_revoked { revoked } else { CrlStatus::NotCovered }), "{uri}");
    }
}

#[test]
fn another_path_goes_around_a_revoked_intermediate() {
    let (old, new) = (Entity::root("old root"), Entity::root("new root"));
    let ca = old.issue(numbered(ca("intermediate"), INTERMEDIATE));
    let crossed = ca.cross_signed_by(&new);
    let leaf = ca.issue(numbered(example(), LEAF));
    let judge =
        judge(&[&old.der, &new.der]).with_crls(crls(&[list(&old, params(&[INTERMEDIATE]))]));
    let examined = examine(&judge, &[&leaf.der, &ca.der, &crossed], Duration::ZERO);
    let trust = examined.trust.unwrap();
    assert_eq!(trust.problems, []);
    assert_eq!(trust.anchor.as_deref(), Some("CN=new root"));
    let examined = examine(&judge, &[&leaf.der, &ca.der], Duration::ZERO);
    assert_eq!(examined.trust.unwrap().problems, [Problem::Revoked]);
}

#[test]
fn other_problems_stand_beside_it() {
    let leaf = valid(numbered(example(), LEAF), 2020, 2021);
    let pki = Pki::of(Entity::root("root"), numbered(ca("intermediate"), INTERMEDIATE), leaf);
    let (status, problems) = verdict(&pki, &[list(&pki.ca, params(&[LEAF]))]);
    assert_eq!(status, Some(CrlStatus::Revoked));
    assert_eq!(problems, [Problem::Revoked, Problem::Expired]);
    // Whom nobody trusts may have any name and number.
    let judge =
        judge(&[&Entity::root("other").der]).with_crls(crls(&[list(&pki.ca, params(&[LEAF]))]));
    let examined = examine(&judge, &[&pki.leaf.der, &pki.ca.der], Duration::ZERO);
    assert!(!examined.trust.unwrap().problems.contains(&Problem::Revoked));
    assert_eq!(examined.revocation.unwrap().crl, Some(CrlStatus::NotCovered));
}

#[test]
fn a_cached_verdict_ends_when_the_list_does() {
    let pki = pki();
    let lists = crls(&[list(&pki.ca, params(&[LEAF]))]);
    let judge = judge(&[&pki.root.der]).with_crls(lists);
    let chain = [&pki.leaf.der, &pki.ca.der];
    let is_revoked =
        |after| examine(&judge, &chain, after).trust.unwrap().problems.contains(&Problem::Revoked);
    assert!(is_revoked(Duration::ZERO));
    // In 2089 the list ends, in 2090 the certificates.
    let until_2089 =
        Duration::from_secs(3_755_376_000) - now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(is_revoked(until_2089 - Duration::from_secs(1)));
    assert!(!is_revoked(until_2089 + Duration::from_secs(1)));
    assert!(is_revoked(Duration::ZERO));
}

#[test]
fn files_that_cannot_be_used_say_why() {
    let pki = pki();
    let good = list(&pki.ca, params(&[LEAF]));
    let add = |file: &[u8]| Crls::default().add(file);
    let pem = |der: &[u8]| {
        let certificate = pem(&CertificateDer::from(der.to_vec()));
        certificate.replace("CERTIFICATE", "X509 CRL").into_bytes()
    };
    assert_eq!(add(&good), Ok(()));
    assert_eq!(add(&pem(&good)), Ok(()));
    assert_eq!(add(&[pem(&good), b"words between\n".to_vec(), pem(&good)].concat()), Ok(()));
    assert_eq!(add(b""), Err(CrlError::Empty));
    assert_eq!(
        add(b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
        Err(CrlError::Empty)
    );
    assert!(matches!(add(b"-----BEGIN X509 CRL-----\nMAA=\n"), Err(CrlError::Pem(1, _))));
    for length in 0..good.len() {
        assert!(add(&good[..length]).is_err(), "{length}");
    }
    let second = add(&[pem(&good), pem(b"no list")].concat());
    assert!(matches!(second, Err(CrlError::List(2, _))), "{second:?}");
}

/// The CA of `openssl ca`, in a folder.
struct OpensslCa {
    openssl: Program,
    dir: TempDir,
}

impl OpensslCa {
    fn new(openssl: Program) -> Self {
        let dir = TempDir::new().unwrap();
        let config = "[ca]\ndefault_ca = own\n[own]\ndir = .\ndatabase = index\nnew_certs_dir = .\n\
            serial = serial\ncrlnumber = crlnumber\ncertificate = ca.pem\nprivate_key = ca.key\n\
            default_md = sha256\npolicy = any\ndefault_days = 30\ndefault_crl_days = 30\n\
            copy_extensions = copy\nx509_extensions = leaf\ncrl_extensions = complete\n[any]\n\
            commonName = supplied\n[leaf]\n\
            basicConstraints = CA:FALSE\n[complete]\nauthorityKeyIdentifier = keyid\n[delta]\n\
            authorityKeyIdentifier = keyid\n2.5.29.27 = critical,DER:020101\n[req]\n\
            distinguished_name = dn\n[dn]\n[root]\nbasicConstraints = critical,CA:TRUE\n\
            keyUsage = keyCertSign,cRLSign\nsubjectKeyIdentifier = hash\n";
        let new = Self { openssl, dir };
        new.write("cnf", config);
        new.write("index", "");
        new.write("serial", "1000\n");
        new.write("crlnumber", "01\n");
        let root = "req -x509 -config cnf -extensions root -newkey ec -pkeyopt \
            ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 60 -subj /CN=own";
        new.run(root);
        for name in ["one", "two"] {
            new.run(&format!(
                "req -config cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key \
                 -out {name}.csr -subj /CN={name} -addext subjectAltName=DNS:localhost"
            ));
            new.run(&format!("ca -config cnf -batch -in {name}.csr -out {name}.pem -notext"));
        }
        new.run("ca -config cnf -revoke one.pem");
        new
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn try_to(&self, command: &str) -> bool {
        let mut openssl = self.openssl.command();
        openssl.current_dir(&self.dir).args(command.split_whitespace());
        openssl.output().unwrap().status.success()
    }

    fn run(&self, command: &str) {
        let mut openssl = self.openssl.command();
        openssl.current_dir(&self.dir).args(command.split_whitespace());
        let output = openssl.output().unwrap();
        assert!(output.status.success(), "{command}: {}", shown(&output));
    }
}

/// Lists of `openssl ca -gencrl`, judged beside `openssl verify -crl_check`.
#[test]
fn openssl_says_the_same() {
    let Some(openssl) = Program::find("openssl") else {
        return;
    };
    let ca = OpensslCa::new(openssl);
    ca.run("ca -config cnf -gencrl -out list.pem");
    ca.run("crl -in list.pem -outform DER -out list.der");
    ca.run("ca -config cnf -gencrl -crlexts delta -out delta.pem");
    ca.run("ca -config cnf -gencrl -crl_lastupdate 20200101000000Z -crl_nextupdate 20200201000000Z -out ended.pem");
    let serve = |name: &str| {
        let read = |ending| fs::read(ca.path(&format!("{name}.{ending}"))).unwrap();
        let chain = CertificateDer::from_pem_slice(&read("pem")).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&read("key")).unwrap();
        showing(&[chain], key.secret_der()).unwrap()
    };
    for (name, is_revoked) in [("one", true), ("two", false)] {
        let verified =
            ca.try_to(&format!("verify -CAfile ca.pem -CRLfile list.pem -crl_check {name}.pem"));
        assert_eq!(verified, !is_revoked);
        let peer = serve(name).start();
        let sweep = |lists: &[&str]| {
            let lists = lists.iter().flat_map(|list| ["--crl".to_owned(), ca.path(list)]);
            let args = ["--roots".to_owned(), ca.path("ca.pem")].into_iter().chain(lists);
            Tlsweep::json().args(args).sweep([peer.target()])
        };
        for list in ["list.pem", "list.der"] {
            let outcome = sweep(&[list]);
            let record = outcome.only_record();
            let word = if is_revoked { "revoked" } else { "good" };
            assert_eq!(record["revocation"]["crl"], word, "{record:#}");
            let problems = record["trust"]["problems"].as_array().unwrap();
            assert_eq!(problems.contains(&Value::from("revoked")), is_revoked, "{record:#}");
            let by = is_revoked.then_some("crl");
            assert_eq!(record["trust"].get("revoked_by").and_then(Value::as_str), by, "{record:#}");
        }
        let ended = sweep(&["ended.pem"]);
        assert_eq!(ended.only_record()["revocation"]["crl"], "not_covered");
        assert!(ended.stderr.contains("a list ended on 2020-02-01T00:00:00Z"), "{}", ended.stderr);
        let delta = sweep(&["list.pem", "delta.pem"]);
        assert_eq!(delta.code, Some(2));
        assert!(
            delta.stderr.contains("delta.pem: list 1 cannot be used: it is a delta list"),
            "{}",
            delta.stderr
        );
    }
}
