//! Faults of the bytes: signatures, versions, extensions, DER.

use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose};
use tlsweep::cert::Problem::{
    BadEncoding, BadPurpose, BadSignature, CriticalExtension, Expired, NameMismatch, SelfSigned,
    UnknownIssuer, UnsupportedSignature, UnsupportedVersion, WeakKey, WeakSignature,
};

use super::{Case, Der, of_ca, of_chain, of_leaf, pki, root, unique};
use crate::support::certs::{Entity, Pki, children, element, example, server, valid};
use crate::support::weak::Weak;

pub(crate) fn signatures() -> Vec<Case> {
    let known = pki();
    let unknown = pki();
    let Pki { ca: one, leaf, .. } = &known;
    let unknown_algorithm = leaf.altered(one, |fields| {
        let id_ecdsa_sha224 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1];
        fields[2] = element(0x30, &[element(6, &[id_ecdsa_sha224.to_vec()])]);
    });
    let bad = &[BadSignature][..];
    let unsupported = &[UnsupportedSignature][..];
    let both = [BadSignature, UnknownIssuer];
    let chain = [&unknown.leaf.flipped(), &unknown.ca.der];
    vec![
        of_chain("a flipped leaf", &known, &[&leaf.flipped(), &one.der], bad),
        of_chain("a flipped CA", &known, &[&leaf.der, &one.flipped()], bad),
        Case::new("flipped and unknown", &unknown.leaf.key, &chain, &root().der, &both),
        of_chain("an unknown algorithm", &known, &[&unknown_algorithm, &one.der], unsupported),
    ]
}

pub(crate) fn extensions_and_versions() -> Vec<Case> {
    let critical = |params: &mut CertificateParams| {
        let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0]);
        unknown.set_criticality(true);
        params.custom_extensions = vec![unknown];
    };
    let all_at_once = |leaf: &mut CertificateParams| {
        critical(leaf);
        *leaf = valid(leaf.clone(), 2021, 2022);
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        leaf.subject_alt_names = server(&["other.example"]).subject_alt_names;
    };
    let four = [CriticalExtension, BadPurpose, NameMismatch, Expired];
    let known = pki();
    let unknown = pki();
    let v1 = known.leaf.altered(&known.ca, |fields| {
        fields.remove(0);
        fields.pop();
    });
    let v2 = |pki: &Pki| pki.leaf.altered(&pki.ca, |fields| fields[0] = vec![0xa0, 3, 2, 1, 1]);
    let own = Entity::self_signed(unique(example()));
    let own_v1 = own.altered(&own, |fields| drop(fields.remove(0)));
    let stranger = root();
    // Without extensions it is for no name at all.
    let nameless = [UnsupportedVersion, NameMismatch];
    let from_nowhere = [UnsupportedVersion, UnknownIssuer];
    let own_faults = [UnsupportedVersion, SelfSigned];
    let lost = [&v2(&unknown), &unknown.ca.der];
    vec![
        of_leaf("critical in the leaf", critical, &[CriticalExtension]),
        of_ca("critical in the CA", critical, &[CriticalExtension]),
        of_leaf("critical and more", all_at_once, &four),
        of_chain("version 1", &known, &[&v1, &known.ca.der], &nameless),
        of_chain("version 2", &known, &[&v2(&known), &known.ca.der], &[UnsupportedVersion]),
        Case::new("unknown version 2", &unknown.leaf.key, &lost, &stranger.der, &from_nowhere),
        Case::new("own version 1", &own.key, &[&own_v1], &stranger.der, &own_faults),
    ]
}

pub(crate) fn broken() -> Vec<Case> {
    let known = pki();
    let Pki { ca: one, leaf, .. } = &known;
    let mut cases = Vec::new();
    for garbage in [&b""[..], b"garbage", &[0x30, 0], &[0x30, 0x82, 0xff, 0xff], &[0; 1000]] {
        let name = format!("garbage of {} bytes", garbage.len());
        let garbage = Der::from(garbage.to_vec());
        let chain = [&garbage, &one.der];
        cases.push(of_chain(&name, &known, &chain, &[BadEncoding]).unreadable());
    }
    // What stands around the certificate takes nothing from what it says.
    let trailing = Der::from([leaf.der.as_ref(), b"junk"].concat());
    let chain = [&trailing, &one.der];
    cases.push(of_chain("junk behind the leaf", &known, &chain, &[BadEncoding]));
    let junk = Der::from(b"junk".to_vec());
    cases.push(of_chain("junk beside it", &known, &[&leaf.der, &junk, &one.der], &[]));
    let chain = [&leaf.der, &junk];
    cases.push(of_chain("junk for an issuer", &known, &chain, &[UnknownIssuer]));

    let twice = leaf.altered(one, |fields| {
        let mut extensions = children(&children(fields.last().unwrap())[0]);
        extensions.push(extensions[1].clone());
        *fields.last_mut().unwrap() = element(0xa3, &[element(0x30, &extensions)]);
    });
    let chain = [&twice, &one.der];
    cases.push(of_chain("an extension twice", &known, &chain, &[BadEncoding]));

    // The last byte is the signature's.
    let expired = one.issue(valid(example(), 2021, 2022));
    let faults = [BadEncoding, BadSignature, Expired];
    let cut = |length: usize| Der::from(expired.der[..length].to_vec());
    let chain = [&cut(expired.der.len() - 1), &one.der];
    let case = Case::new("cut", &expired.key, &chain, &known.root.der, &faults);
    cases.push(case);
    let chain = [&cut(expired.der.len() / 2), &one.der];
    let faults = [BadEncoding, Expired];
    let case = Case::new("half", &expired.key, &chain, &known.root.der, &faults);
    cases.push(case.unreadable());
    cases
}

/// None without OpenSSL, which says so.
pub(crate) fn weak() -> Vec<Case> {
    let Some(weak) = Weak::make() else {
        return Vec::new();
    };
    let case = |name: &str, of: &str, flip: bool, above: Option<&str>, problems: &[_]| {
        let mut leaf = weak.certificate(of).to_vec();
        *leaf.last_mut().unwrap() ^= u8::from(flip);
        let chain = [Some(leaf.into()), above.map(|above| weak.certificate(above))];
        Case {
            name: format!("weak: {name}"),
            host: "example.com".to_owned(),
            chain: chain.into_iter().flatten().collect(),
            key: weak.key(of),
            root: weak.root.clone(),
            problems: problems.to_vec(),
            name_ok: Some(true),
            has_key: true,
        }
    };
    let small = Some("ca1024");
    vec![
        case("only the root", "good", false, None, &[]),
        case("SHA-1", "sha1", false, None, &[WeakSignature]),
        case("MD5", "md5", false, None, &[WeakSignature]),
        case("SHA-1 in RSASSA-PSS", "pss", false, None, &[WeakSignature]),
        case("RSA-1024", "rsa1024", false, None, &[WeakKey]),
        case("both", "both", false, None, &[WeakSignature, WeakKey]),
        case("under a small key", "under1024", false, small, &[WeakKey]),
        case("its own issuer", "self1024", false, None, &[SelfSigned, WeakKey]),
        case("flipped", "under1024", true, small, &[BadSignature, WeakKey]),
        case("flipped MD5", "md5", true, None, &[BadSignature, WeakSignature]),
        case("flipped SHA-1", "sha1", true, None, &[BadSignature, WeakSignature]),
    ]
}
