//! Ways to a root: cross-signed, ended, short, and roots that are leaves.

use rustls_pki_types::CertificateDer;
use tlsweep::cert::Problem::{
    self, BadEncoding, BadPurpose, BadSignature, CaAsLeaf, ChainTooLong, CriticalExtension,
    Expired, IssuerNotCa, NameConstraint, NotYetValid, PathLength, SelfSigned, UnknownIssuer,
};

use super::{
    ROOT, Row, alone, below, for_a_test, hold, issuer, issuer_key, leaf, may_sign, root, root_key,
    usual,
};
use crate::support::certs::element;
use crate::support::draft::{
    BASIC_CONSTRAINTS, Draft, EXTENDED_KEY_USAGE, KEY_USAGE, NAME_CONSTRAINTS, NULL, SEQUENCE,
    attribute, critical, dns, generalized, is_ca, key_usage, name, oid, plain, purposes, utc,
};

type Der = CertificateDer<'static>;

fn ended(draft: Draft) -> Draft {
    draft.but(|draft| draft.validity[1] = utc("240101000000Z"))
}

/// A second root with its own key, the same cross-signed by the first one, and that one ended.
struct Crossed {
    root: Der,
    by_first: Der,
    ended: Der,
    /// The first root, which has ended.
    first_ended: Der,
    leaf: Der,
}

impl Crossed {
    fn new() -> Self {
        let second =
            |issuer: &str| Draft::new("Second", issuer, issuer_key()).with([is_ca(), may_sign()]);
        let leaf = usual([]).but(|leaf| leaf.issuer = name("Second"));
        Self {
            root: second("Second").signed_by(issuer_key()),
            by_first: second("Root").signed_by(root_key()),
            ended: ended(second("Root")).signed_by(root_key()),
            first_ended: ended(root()).signed_by(root_key()),
            leaf: leaf.signed_by(issuer_key()),
        }
    }
}

#[test]
fn of_several_ways_one_is_enough() {
    let Crossed { root: second, by_first, ended, first_ended, leaf } = Crossed::new();
    let first = &*ROOT;
    let row = |what: &str, others: &[&Der], roots: &[&Der], is_right: bool| {
        let others = others.iter().map(|&der| der.clone());
        let chain = std::iter::once(leaf.clone()).chain(others).collect();
        Row::new(what, chain, if is_right { &[] } else { &[Expired] }).under(roots)
    };
    hold(&[
        row("crossed, the first root", &[&by_first], &[first], true),
        row("crossed, both roots", &[&by_first], &[first, &second], true),
        row("crossed, both roots in the other order", &[&by_first], &[&second, first], true),
        row("crossed and ended, the second root", &[&ended], &[&second], true),
        row("crossed and ended, both roots", &[&ended], &[&second, first], true),
        row("crossed and ended, the first ended", &[&ended], &[&first_ended, &second], true),
        row("the first root ended", &[&by_first], &[&first_ended], false),
        row("the first root ended, and the second", &[&by_first], &[&first_ended, &second], true),
        row("crossed and ended, the first root", &[&ended], &[first], false),
        row("an ended twin before", &[&ended, &by_first], &[first], true),
        row("an ended twin behind", &[&by_first, &ended], &[first], true),
    ]);
}

/// Of two issuers of one name, one is good. OpenSSL and GnuTLS take the first of them, whatever it is
/// worth.
#[test]
fn of_two_issuers_of_one_name_one_is_enough() {
    const NO_WAY_BACK: &str = "browsers try the second issuer when the first leads nowhere \
                               (RFC 4158, section 2.4); OpenSSL does not";
    let good = || issuer([]);
    let of = |draft: &Draft| draft.signed_by(root_key());
    let excluded = element(SEQUENCE, &[dns("a.test")]);
    let excluded = element(SEQUENCE, &[element(0xa1, &[excluded])]);
    let own = good().but(|issuer| issuer.issuer = name("Issuer")).signed_by(issuer_key());
    let strange = good().but(|issuer| issuer.issuer = name("Stranger")).signed_by(issuer_key());
    let other = good().but(|issuer| issuer.key = root().key);
    let forged = good().signed_by(issuer_key());
    let no_ca = good().but(|issuer| drop(issuer.extensions.remove(0)));
    let idle = good().but(|issuer| issuer.extensions[1] = key_usage(1, 0x02));
    let client = issuer([plain(EXTENDED_KEY_USAGE, &purposes(&["1.3.6.1.5.5.7.3.2"]))]);
    let unknown = issuer([critical("1.2.3.4", &NULL)]);
    let limited = issuer([critical(NAME_CONSTRAINTS, &excluded)]);
    let leaf = usual([]).but(|leaf| leaf.issuer = name("Issuer")).signed_by(issuer_key());
    let mut rows = Vec::new();
    for (what, twin, fault) in [
        ("another key", of(&other), BadSignature),
        ("a false signature", forged, BadSignature),
        ("no CA", of(&no_ca), IssuerNotCa),
        ("no keyCertSign", of(&idle), IssuerNotCa),
        ("for clients", of(&client), BadPurpose),
        ("an unknown extension", of(&unknown), CriticalExtension),
        ("excludes the name", of(&limited), NameConstraint),
        ("by itself", own, UnknownIssuer),
        ("by a stranger", strange, UnknownIssuer),
    ] {
        let row = |order: &str, issuers: Vec<Der>, expected: &[Problem]| {
            let chain = std::iter::once(leaf.clone()).chain(issuers).collect();
            Row::new(format!("{what}, {order}"), chain, expected)
        };
        rows.push(row("alone", vec![twin.clone()], &[fault]));
        rows.push(row("last", vec![of(&good()), twin.clone()], &[]));
        let first = row("first", vec![twin, of(&good())], &[]);
        rows.push(match what {
            "by itself" => first.openssl_differs(NO_WAY_BACK),
            _ => first.both_differ(NO_WAY_BACK),
        });
    }
    hold(&rows);
}

/// Where only the leaf is at fault on the good path, a twin of its issuer or root adds no fault.
#[test]
fn a_worse_path_adds_no_fault_to_the_better_one() {
    const TWICE: &str = "no extension may stand there twice (RFC 5280, section 4.2)";
    let twice = || usual([plain("1.2.3.4", &NULL), plain("1.2.3.4", &NULL)]);
    let of = |draft: &Draft| draft.signed_by(root_key());
    let root_twin = root().but(|root| root.key = issuer([]).key).signed_by(issuer_key());
    let issuer_twin = of(&issuer([]).but(|issuer| issuer.key = root().key));
    let below_issuer = twice().but(|leaf| leaf.issuer = name("Issuer")).signed_by(issuer_key());
    let issuers = vec![below_issuer, of(&issuer([])), issuer_twin];
    hold(&[
        Row::new("a root of another key", alone(&twice()), &[BadEncoding])
            .under(&[&ROOT, &root_twin])
            .openssl_differs(TWICE),
        Row::new("an issuer of another key", issuers, &[BadEncoding]).openssl_differs(TWICE),
    ]);
}

/// What a root from a file says of itself counts, although its name and key are trusted.
#[test]
fn roots_are_held_to_what_they_say() {
    const TWICE: &str = "no extension may stand there twice (RFC 5280, section 4.2)";
    const NO_WAY_BACK: &str = "OpenSSL takes the first root of a name, whatever it is worth";
    let of = |draft: Draft| draft.signed_by(root_key());
    let with = |extensions: Vec<Vec<u8>>| of(root().with(extensions));
    let key = |id: u8| plain("2.5.29.14", &[4, 1, id]);
    let twice = vec![plain("1.2.3.4", &NULL), plain("1.2.3.4", &NULL)];
    let junk = root().but(|root| root.extensions[1] = critical(KEY_USAGE, b"junk"));
    let fraction = root().but(|root| root.validity[1] = generalized("20900101000000.5Z"));
    let unknown = with(vec![critical("1.2.3.4", &NULL)]);
    let policies = element(SEQUENCE, &[element(SEQUENCE, &[oid("1.2.3")])]);
    let row = |what: &str, root: &Der, expected: &[Problem]| {
        Row::new(what, alone(&usual([])), expected).under(&[root])
    };
    let above = Row::new(
        "an unknown extension above an issuer",
        below(usual([]), &issuer([])),
        &[CriticalExtension],
    );
    let twin = Row::new("an unknown extension, and a good root", alone(&usual([])), &[]);
    hold(&[
        row("an unknown extension", &unknown, &[CriticalExtension]),
        above.under(&[&unknown]),
        twin.under(&[&unknown, &ROOT]).openssl_differs(NO_WAY_BACK),
        row(
            "a critical key identifier",
            &with(vec![critical("2.5.29.14", &[4, 1, 1])]),
            &[CriticalExtension],
        ),
        row("critical policies", &with(vec![critical("2.5.29.32", &policies)]), &[]),
        row("two key identifiers", &with(vec![key(1), key(2)]), &[BadEncoding]),
        row("an unknown one twice", &with(twice), &[BadEncoding]).openssl_differs(TWICE),
        row("junk for a key usage", &of(junk), &[BadEncoding]),
        row("a fraction of a second", &of(fraction), &[BadEncoding]),
    ]);
}

#[test]
fn roots_that_are_sent_are_trusted_only_when_they_are_known() {
    let sent = vec![usual([]).signed_by(root_key()), ROOT.clone()];
    let Crossed { root: second, .. } = Crossed::new();
    let unknown = Row::new("unknown", sent.clone(), &[UnknownIssuer]).under(&[&second]);
    hold(&[Row::new("known", sent, &[]), unknown]);
}

#[test]
fn roots_may_be_leaves() {
    let own = |extensions: Vec<Vec<u8>>| {
        let draft = leaf(extensions).but(|leaf| leaf.issuer.clone_from(&leaf.subject));
        draft.but(|draft| draft.key = root().key)
    };
    let plain = own(vec![for_a_test()]);
    let past = ended(plain.clone()).signed_by(root_key());
    let plain = plain.signed_by(root_key());
    let authority = own(vec![is_ca(), for_a_test()]);
    let authority = authority.but(|own| own.extensions[0] = key_usage(1, 0x86));
    let authority = authority.signed_by(root_key());
    let issued = usual([]).signed_by(root_key());
    let row = |what: &str, leaf: &Der, roots: &[&Der], expected| {
        Row::new(what, vec![leaf.clone()], expected).under(roots)
    };
    hold(&[
        row("self-signed and trusted", &plain, &[&plain], &[]),
        row("self-signed", &plain, &[&ROOT], &[SelfSigned]),
        row("self-signed, trusted, ended", &past, &[&past], &[Expired]),
        row("a CA of its own", &authority, &[&authority], &[CaAsLeaf])
            .both_differ("browsers take no CA for a server; OpenSSL and GnuTLS do not mind"),
        row("issued by another", &issued, &[&issued], &[UnknownIssuer]),
    ]);
}

#[test]
fn roots_may_be_issuers() {
    const PARTIAL: &str = "who lists an issuer as a root trusts it, as browsers and GnuTLS do; \
                           OpenSSL wants -partial_chain for that";
    let issuer = issuer([]);
    let chain = below(usual([]), &issuer);
    let root = chain[1].clone();
    hold(&[
        Row::new("sent", chain.clone(), &[]).under(&[&root]).openssl_differs(PARTIAL),
        Row::new("not sent", chain[..1].to_vec(), &[]).under(&[&root]).openssl_differs(PARTIAL),
    ]);
}

#[test]
fn paths_end_and_begin_and_have_a_length() {
    let limited = element(SEQUENCE, &[vec![1, 1, 0xff], vec![2, 1, 0]]);
    let limited = issuer([]).but(|issuer| {
        issuer.extensions[0] = critical(BASIC_CONSTRAINTS, &limited);
    });
    let lower = Draft::new("Lower", "Issuer", issuer_key()).with([is_ca(), may_sign()]);
    let leaf = usual([]).but(|leaf| leaf.issuer = name("Lower"));
    let long = vec![
        leaf.signed_by(issuer_key()),
        lower.signed_by(issuer_key()),
        limited.signed_by(root_key()),
    ];
    let spelled = usual([]).but(|leaf| {
        leaf.issuer = element(SEQUENCE, &[attribute("2.5.4.3", 0x13, b"issuer")]);
    });
    let spelled = vec![spelled.signed_by(issuer_key()), issuer([]).signed_by(root_key())];
    let at = |from: &str, until: &str| {
        alone(&usual([]).but(|leaf| leaf.validity = [utc(from), utc(until)]))
    };
    hold(&[
        Row::new("too long", long, &[PathLength]),
        Row::new("for one certificate", below(usual([]), &limited), &[]),
        Row::new("another spelling of the issuer", spelled, &[]),
        Row::new("a moment", at("240101000000Z", "240101000000Z"), &[Expired]),
        Row::new("ended", at("200101000000Z", "240101000000Z"), &[Expired]),
        Row::new("not begun", at("480101000000Z", "490101000000Z"), &[NotYetValid]),
        Row::new("backwards", at("480101000000Z", "240101000000Z"), &[Expired, NotYetValid]),
        Row::new("an ended issuer", below(usual([]), &ended(issuer([]))), &[Expired]),
    ]);
}

const KEY_ID: &str = "2.5.29.14";
const AUTHORITY: &str = "2.5.29.35";

/// An authority key identifier.
fn authority(parts: &[Vec<u8>]) -> Vec<u8> {
    plain(AUTHORITY, &element(SEQUENCE, parts))
}

#[test]
fn key_identifiers_are_a_hint() {
    const HINT: &str = "identifiers of keys help to find an issuer (RFC 4158, section 3.5.12); \
                        browsers refuse nobody for them, OpenSSL does";
    let key = |id: &str| plain(KEY_ID, &element(4, &[id.into()]));
    let by_key = |id: &str| authority(&[element(0x80, &[id.into()])]);
    let by_serial = |serial: u8| {
        authority(&[element(0xa1, &[element(0xa4, &[name("Root")])]), vec![0x82, 1, serial]])
    };
    let twin = issuer([key("b")]).but(|issuer| issuer.serial = vec![2, 1, 7]);
    let mut two = below(usual([by_key("b")]), &issuer([key("a")]));
    two.push(twin.signed_by(root_key()));
    hold(&[
        Row::new("the same", below(usual([by_key("a")]), &issuer([key("a")])), &[]),
        Row::new("another", below(usual([by_key("b")]), &issuer([key("a")])), &[])
            .both_differ(HINT),
        Row::new("of an issuer that has none", below(usual([by_key("b")]), &issuer([])), &[]),
        Row::new("the one of the second of two", two, &[]),
        Row::new("the serial number", below(usual([by_serial(1)]), &issuer([])), &[]),
        Row::new("another serial number", below(usual([by_serial(0x55)]), &issuer([])), &[])
            .openssl_differs(HINT),
    ]);
}

#[test]
fn extensions_of_other_worlds() {
    const UNKNOWN: &str = "browsers do not look at this extension; OpenSSL does";
    let proxy = element(SEQUENCE, &[element(SEQUENCE, &[oid("1.3.6.1.5.5.7.21.1")])]);
    let blocks = element(SEQUENCE, &[element(SEQUENCE, &[vec![4, 2, 0, 1], vec![5, 0]])]);
    let row =
        |what, extension, expected: &[_]| Row::new(what, alone(&usual([extension])), expected);
    hold(&[
        row("certificate transparency", plain("1.3.6.1.4.1.11129.2.4.2", &[4, 2, 0, 0]), &[]),
        row("a proxy", plain("1.3.6.1.5.5.7.1.14", &proxy), &[]).openssl_differs(UNKNOWN),
        row("junk for address blocks", plain("1.3.6.1.5.5.7.1.7", b"junk"), &[])
            .openssl_differs(UNKNOWN),
        row(
            "critical address blocks",
            critical("1.3.6.1.5.5.7.1.7", &blocks),
            &[CriticalExtension],
        )
        .openssl_differs(UNKNOWN),
    ]);
}

#[test]
fn paths_may_have_six_issuers_below_the_root() {
    const LONG: &str = "webpki, the verifier of rustls, takes six issuers; nobody has that many";
    let row = |count: usize, expected: &[Problem]| {
        let name_of = |number: usize| format!("Issuer {number}");
        let leaf = usual([]).but(|leaf| leaf.issuer = name(&name_of(1))).signed_by(issuer_key());
        let issuers = (1..=count).map(|number| {
            let upper = if number == count { "Root".to_owned() } else { name_of(number + 1) };
            let draft = Draft::new(&name_of(number), &upper, issuer_key());
            let key = if number == count { root_key() } else { issuer_key() };
            draft.with([is_ca(), may_sign()]).signed_by(key)
        });
        let chain = std::iter::once(leaf).chain(issuers).collect();
        Row::new(format!("{count} issuers"), chain, expected)
    };
    hold(&[
        row(2, &[]),
        row(6, &[]),
        row(8, &[ChainTooLong]).both_differ(LONG),
        row(12, &[ChainTooLong]).both_differ(LONG),
    ]);
}

/// A CA that certifies its own new key, and one that certifies itself (RFC 5280, section 6.1).
#[test]
fn issuers_may_be_issued_by_themselves() {
    const SAME_NAME: &str =
        "OpenSSL and GnuTLS end a path at the first issuer that bears its own name";
    let new_key = root().signed_by(issuer_key());
    let old_root = root().but(|root| root.key = issuer([]).key).signed_by(issuer_key());
    let limit = element(SEQUENCE, &[vec![1, 1, 0xff], vec![2, 1, 0]]);
    let upper = issuer([]).but(|issuer| {
        issuer.extensions[0] = critical(BASIC_CONSTRAINTS, &limit);
    });
    let lower = issuer([]).but(|issuer| {
        issuer.issuer = name("Issuer");
        issuer.key = root().key;
    });
    let leaf = usual([]).but(|leaf| leaf.issuer = name("Issuer")).signed_by(root_key());
    let limited = vec![leaf, lower.signed_by(issuer_key()), upper.signed_by(root_key())];
    hold(&[
        Row::new("a new key of the root", [alone(&usual([])), vec![new_key]].concat(), &[])
            .under(&[&old_root])
            .both_differ(SAME_NAME),
        Row::new("not counted in a path length", limited, &[]).both_differ(SAME_NAME),
    ]);
}
