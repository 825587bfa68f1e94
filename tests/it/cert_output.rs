//! A certificate whose names would break a line, a column or a terminal, in every format.

use serde_json::{Value, json};
use tempfile::TempDir;
use tlsweep::cert::pem;

use crate::support::certs::{Entity, Pki, ca, children, element, example, valid};
use crate::support::cmd::{Outcome, Tlsweep};
use crate::support::peer::Peer;
use crate::support::served::showing;

/// Quotes, commas, line ends, NUL, escape sequences and marks that turn text around.
const WILD: &str =
    "a\"b',c;d\r\ne\tf\0g\x1b[31mh\u{7f}\u{85}\u{202e}i\u{2066}\u{200f}\u{2028}\u{feff}ü=<>+#\\ ";
/// The same by RFC 4514.
const WILD_4514: &str = "CN=a\\\"b'\\,c\\;d\r\ne\tf\\00g\x1b[31mh\u{7f}\u{85}\u{202e}i\u{2066}\u{200f}\u{2028}\u{feff}ü=\\<\\>\\+#\\\\\\ ";
const NOT_UTF8: &[u8] = b"x\xff\xfe\"y\n";
const NOT_UTF8_4514: &str = "O=x\\ff\\fe\\\"y\n";

struct Wild {
    _dir: TempDir,
    roots: String,
    peer: Peer,
}

impl Wild {
    /// A server whose leaf has such a subject, such an issuer and such names.
    fn serve() -> Self {
        let Pki { root, ca: one, leaf } = Pki::of(Entity::root("root"), ca("one"), example());
        let wild = leaf.altered(&one, |fields| {
            let attribute = |oid: u8, text: &[u8]| {
                let oid = element(6, &[vec![0x55, 4, oid]]);
                let value = element(0x0c, &[text.to_vec()]);
                element(0x31, &[element(0x30, &[oid, value])])
            };
            fields[5] = element(0x30, &[attribute(10, NOT_UTF8), attribute(3, WILD.as_bytes())]);
            let names = [
                element(0x82, &[b"example.com".to_vec()]),
                element(0x82, &[WILD.as_bytes().to_vec()]),
                element(0x82, &[NOT_UTF8.to_vec()]),
                element(0x81, &[WILD.as_bytes().to_vec()]),
                element(0x86, &[NOT_UTF8.to_vec()]),
                element(0xa4, &[fields[5].clone()]),
            ];
            let subject_alt_name = element(
                0x30,
                &[element(6, &[vec![0x55, 0x1d, 0x11]]), element(4, &[element(0x30, &names)])],
            );
            let mut extensions = children(&children(fields.last().unwrap())[0]);
            let old = [6, 3, 0x55, 0x1d, 0x11];
            extensions.retain(|extension| !extension.windows(5).any(|window| window == old));
            extensions.push(subject_alt_name);
            *fields.last_mut().unwrap() = element(0xa3, &[element(0x30, &extensions)]);
        });
        let dir = TempDir::new().unwrap();
        let roots = dir.path().join("roots.pem");
        std::fs::write(&roots, pem(&root.der)).unwrap();
        let peer = showing(&[wild, one.der], &leaf.key.serialize_der()).unwrap().start();
        Self { _dir: dir, roots: roots.to_str().unwrap().to_owned(), peer }
    }

    fn run(&self, run: Tlsweep) -> Outcome {
        let outcome = run
            .args(["--roots", &self.roots])
            .sweep([format!("{},example.com", self.peer.target())]);
        outcome.assert_complete();
        assert_harmless(outcome.text());
        outcome
    }
}

fn subject() -> String {
    format!("{WILD_4514},{NOT_UTF8_4514}")
}

fn names() -> Vec<String> {
    vec!["example.com".to_owned(), WILD.to_owned(), "x\\ff\\fe\"y\n".to_owned()]
}

/// The alternative names that are no DNS names.
fn other_names() -> Vec<String> {
    vec![
        format!("email:{WILD}"),
        "uri:x\\ff\\fe\"y\n".to_owned(),
        format!("directory:{}", subject()),
    ]
}

/// Nothing in it moves a cursor, turns text around or hides it.
fn assert_harmless(text: &str) {
    let lines = |c: char| matches!(c, '\n' | '\t');
    let marks = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let harmful = text.chars().find(|&c| (c.is_control() && !lines(c)) || marks(c));
    assert_eq!(harmful, None, "{text:?}");
}

#[test]
fn json_decodes_to_the_true_names() {
    let wild = Wild::serve();
    let outcome = wild.run(Tlsweep::json());
    assert_eq!(outcome.text().matches('\n').count(), 1);
    assert!(!outcome.text().contains('\t'));
    let record = outcome.only_record();
    assert_eq!(record["cert"]["subject"], subject());
    assert_eq!(record["cert"]["names"], json!(names()));
    assert_eq!(record["cert"]["other_names"], json!(other_names()));
    assert_eq!(record["trust"]["name_ok"], true, "{record:#}");

    let chosen = wild.run(Tlsweep::json_fields("cert.subject,cert.names"));
    assert_eq!(chosen.text().matches('\n').count(), 1);
    let cert: &Value = &chosen.only_record()["cert"];
    assert_eq!(cert, &json!({"subject": subject(), "names": names()}));
}

#[test]
fn csv_stays_a_table() {
    let wild = Wild::serve();
    let outcome = wild.run(Tlsweep::new().args(["--format", "csv"]));
    assert_eq!(outcome.text().matches('\n').count(), 2, "a header and a row");
    assert!(!outcome.text().contains('\t'));
    let mut reader = csv::Reader::from_reader(outcome.text().as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows = reader.records().map(Result::unwrap).collect::<Vec<_>>();
    let [row] = rows.as_slice() else { panic!("{rows:#?}") };
    let cell = |name| row.get(header.iter().position(|column| column == name).unwrap()).unwrap();
    let escaped = |text: &str| tlsweep::escape::escaped(text);
    assert_eq!(cell("cert.subject"), escaped(&subject()));
    let joined = |names: Vec<String>| {
        let names = names.iter().map(|name| escaped(name).replace(' ', r"\x20"));
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(cell("cert.names"), joined(names()));
    assert_eq!(cell("cert.other_names"), joined(other_names()));
    // The organisation claims to be UTF-8 and is not.
    assert_eq!(cell("trust.verdict"), "bad_encoding");
}

#[test]
fn text_stays_one_line_of_nine_columns() {
    let wild = Wild::serve();
    let outcome = wild.run(Tlsweep::new());
    let lines = outcome.text().lines().collect::<Vec<_>>();
    let [line] = lines.as_slice() else { panic!("{lines:#?}") };
    let columns = line.split('\t').collect::<Vec<_>>();
    assert_eq!(columns.len(), 9, "{line:?}");
    assert_eq!(columns[1], "ok");
    assert_eq!(columns[6], "bad_encoding");
}

/// The leaf ends later than its issuer, and the path ends with the issuer.
#[test]
fn the_end_of_the_path_has_a_row_in_detail() {
    let issuer = valid(ca("one"), 2020, 2060);
    for (issuer, row) in [(issuer, Some("path          ends 2060-01-01, ")), (ca("one"), None)] {
        let Pki { root, ca: one, leaf } = Pki::of(Entity::root("root"), issuer, example());
        let dir = TempDir::new().unwrap();
        let roots = dir.path().join("roots.pem");
        std::fs::write(&roots, pem(&root.der)).unwrap();
        let chain = [leaf.der.clone(), one.der];
        let peer = showing(&chain, &leaf.key.serialize_der()).unwrap().start();
        let outcome = Tlsweep::new()
            .args(["--format", "detail", "--roots", roots.to_str().unwrap()])
            .args([format!("{},example.com", peer.addr)])
            .run("");
        let text = outcome.assert_complete().text();
        let found = text.lines().map(str::trim_start).find(|line| line.starts_with("path "));
        assert_eq!(found.is_some(), row.is_some(), "{text}");
        assert!(found.unwrap_or_default().starts_with(row.unwrap_or_default()), "{text}");
    }
}
