//! Certificates of which the bytes themselves are the fault, and such as only OpenSSL still makes.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tlsweep::cert::Problem::{
    BadEncoding, BadSignature, ChainTooLong, Expired, NameMismatch, SelfSigned, UnknownIssuer,
    WeakKey, WeakSignature,
};

use crate::support::certs::{
    Entity, Pki, children, element, examine, example, judge, problems, valid,
};

/// SHA-1 and short keys, which only OpenSSL still makes.
#[test]
fn weak_signatures_and_keys() {
    let Some(weak) = Weak::make() else {
        return;
    };
    let roots = [&weak.root];
    assert_eq!(problems(&[&weak.leaf("good")], &roots), []);
    assert_eq!(problems(&[&weak.leaf("sha1")], &roots), [WeakSignature]);
    assert_eq!(problems(&[&weak.leaf("md5")], &roots), [WeakSignature]);
    assert_eq!(problems(&[&weak.leaf("rsa1024")], &roots), [WeakKey]);
    assert_eq!(problems(&[&weak.leaf("both")], &roots), [WeakSignature, WeakKey]);
    assert_eq!(problems(&[&weak.leaf("under1024"), &weak.leaf("ca1024")], &roots), [WeakKey]);
    assert_eq!(problems(&[&weak.leaf("self1024")], &roots), [SelfSigned, WeakKey]);
    let mut flipped = weak.leaf("under1024").to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(problems(&[&flipped.into(), &weak.leaf("ca1024")], &roots), [BadSignature, WeakKey]);
    let mut flipped = weak.leaf("sha1").to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(problems(&[&flipped.into()], &roots), [BadSignature, WeakSignature]);
}

#[test]
fn broken_encodings() {
    let Pki { root, ca: one, leaf } = Pki::new();
    let roots = [&root.der];
    for garbage in [&b""[..], b"garbage", &[0x30, 0], &[0x30, 0x82, 0xff, 0xff], &[0; 1000]] {
        let garbage = CertificateDer::from(garbage);
        assert_eq!(problems(&[&garbage.into_owned(), &one.der], &roots), [BadEncoding]);
    }
    // What stands around the certificate takes nothing from what it says.
    let trailing = [leaf.der.as_ref(), b"junk"].concat().into();
    assert_eq!(problems(&[&trailing, &one.der], &roots), [BadEncoding]);
    let junk_beside = b"junk"[..].to_vec().into();
    assert_eq!(problems(&[&leaf.der, &junk_beside, &one.der], &roots), []);
    assert_eq!(problems(&[&leaf.der, &junk_beside], &roots), [UnknownIssuer]);

    let twice = leaf.altered(&one, |fields| {
        let mut extensions = children(&children(fields.last().unwrap())[0]);
        extensions.push(extensions[1].clone());
        *fields.last_mut().unwrap() = element(0xa3, &[element(0x30, &extensions)]);
    });
    assert_eq!(problems(&[&twice, &one.der], &roots), [BadEncoding]);
    let no_key = leaf.altered(&one, |fields| fields[6] = vec![0x30, 0]);
    assert!(problems(&[&no_key, &one.der], &roots).len() <= 1);

    // However short: never a panic, always bad; what was reached is told.
    let expired = one.issue(valid(example(), 2021, 2022));
    for length in 0..expired.der.len() {
        let cut = expired.der[..length].to_vec().into();
        let found = problems(&[&cut, &one.der], &roots);
        assert_eq!(found.first(), Some(&BadEncoding), "{length} bytes");
        assert!(!found.contains(&NameMismatch), "{length} bytes: {found:?}");
    }
    let nearly_whole = expired.der[..expired.der.len() - 1].to_vec().into();
    let found = problems(&[&nearly_whole, &one.der], &roots);
    assert!(found.contains(&Expired), "{found:?}");
}

/// Every byte in turn is made wrong: whatever is then said, it is said soon.
#[test]
fn no_byte_makes_it_panic() {
    let Pki { root, ca: one, leaf } = Pki::new();
    let judge = judge(&[&root.der]);
    for at in 0..leaf.der.len() {
        for wrong in [0x00, 0x30, 0x80, 0xff] {
            let mut der = leaf.der.to_vec();
            der[at] = wrong;
            let chain = [der.into(), one.der.clone()];
            examine(&judge, &chain, "example.com");
            let [leaf, _] = chain;
            examine(&judge, &[one.der.clone(), leaf], "example.com");
        }
    }
}

#[test]
fn a_mesh_of_cross_signed_authorities_is_given_up_in_time() {
    let members = ["a", "b", "c", "d"].map(Entity::root);
    let mut mesh = vec![members[0].issue(example()).der];
    for member in &members {
        let others = members.iter().filter(|other| other.der != member.der);
        mesh.extend(others.map(|issuer| member.cross_signed_by(issuer)));
    }
    // One name for a dozen keys, each of them certified by the next.
    let namesakes = (0..12).map(|_| Entity::root("same")).collect::<Vec<_>>();
    let mut same = vec![namesakes[0].issue(example()).der];
    same.extend((0..12).map(|at| namesakes[at].cross_signed_by(&namesakes[(at + 1) % 12])));

    let judge = judge(&[&Entity::root("root").der]);
    for (chain, considered) in [(mesh, 12), (same, 4)] {
        let started = processor_time();
        let examined = examine(&judge, &chain, "example.com");
        let taken = processor_time() - started;
        assert_eq!(examined.considered, Some(considered));
        let found = examined.trust.unwrap().problems;
        let given_up = found.contains(&UnknownIssuer) || found.contains(&ChainTooLong);
        assert!(given_up, "{found:?}");
        assert!(taken < Duration::from_secs(1), "took {taken:?}");
    }
}

/// The processor time of this thread: a busy machine must not fail the test.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = stat.split(' ').next().and_then(|time| time.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

/// A PKI of OpenSSL's.
struct Weak {
    folder: tempfile::TempDir,
    root: CertificateDer<'static>,
}

impl Weak {
    fn make() -> Option<Self> {
        const SCRIPT: &str = r#"
            new() { # name, key, subject, signing CA, digest, extensions
                openssl req -new -newkey $2 -nodes -keyout $1.key -subj "/CN=$3" -out $1.csr
                printf "$6" > $1.ext
                openssl x509 -req -in $1.csr -CA $4.pem -CAkey $4.key -$5 -days 3650 \
                    -extfile $1.ext -set_serial 1 -out $1.pem
            }
            leaf='subjectAltName=DNS:example.com'
            ca='basicConstraints=critical,CA:TRUE'
            openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -subj /CN=root -days 3650 \
                -sha1 -out root.pem
            new good rsa:2048 leaf root sha256 $leaf
            new sha1 rsa:2048 leaf root sha1 $leaf
            new md5 rsa:2048 leaf root md5 $leaf
            new rsa1024 rsa:1024 leaf root sha256 $leaf
            new both rsa:1024 leaf root sha1 $leaf
            new ca1024 rsa:1024 small root sha256 $ca
            new under1024 rsa:2048 leaf ca1024 sha256 $leaf
            openssl req -x509 -newkey rsa:1024 -nodes -keyout self.key -subj /CN=self -days 3650 \
                -addext $leaf -addext basicConstraints=CA:FALSE -out self1024.pem
        "#;
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("sh").args(["-ec", SCRIPT]).current_dir(&folder).output().unwrap();
        if !made.status.success() {
            let strict = std::env::var_os("TLSWEEP_REAL_SERVERS").is_some();
            let said = String::from_utf8_lossy(&made.stderr);
            assert!(!strict, "{said}");
            eprintln!("skipped, for want of openssl: {said}");
            return None;
        }
        let root = read(folder.path(), "root");
        Some(Self { folder, root })
    }

    fn leaf(&self, name: &str) -> CertificateDer<'static> {
        read(self.folder.path(), name)
    }
}

fn read(folder: &Path, name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(folder.join(name).with_extension("pem")).unwrap()
}
