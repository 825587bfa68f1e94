//! Every field and every word of what tlsweep writes is explained in the reference.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tlsweep::report::schema::{schema, schema_of};
use tlsweep::report::status::StatusLine;
use tlsweep::report::summary::Document;

use super::{chapter, reference};

/// Objects that have the same fields as another one, whose fields the reference explains.
const REPEATED: [(&str, &str); 5] = [
    ("chain.certificates", "cert"),
    ("enumeration.certificates.cert", "cert"),
    ("enumeration.certificates.trust", "trust"),
    ("ms.handshake", "ms.connect"),
    ("ms.total", "ms.connect"),
];

/// A field that holds a value.
struct Field {
    /// With dots. A field of the elements of `a.b` is `a.b.c`.
    name: String,
    /// What may stand in it, if that is a closed list.
    words: BTreeSet<String>,
}

#[test]
fn every_field_of_the_record_is_named() {
    assert_named(&fields(schema().as_value()), &passages(&reference()));
}

#[test]
fn every_field_of_the_status_line_and_of_the_summary_is_named() {
    let passages = passages(chapter("watching"));
    for schema in [schema_of::<StatusLine>(), schema_of::<Document<'static>>()] {
        assert_named(&fields(schema.as_value()), &passages);
    }
}

#[test]
fn every_word_of_the_record_is_explained() {
    let schema = schema();
    let fields = fields(schema.as_value());
    let reached: BTreeSet<_> = fields.iter().flat_map(|field| field.words.clone()).collect();
    assert_eq!(reached, words(everything(schema.as_value())));
    assert!(reached.len() > 80, "{reached:?}");
    // Fields with the same words are explained together.
    let mut by_words = BTreeMap::<_, Vec<_>>::new();
    for Field { name, words } in &fields {
        by_words.entry(words).or_default().push(name);
    }
    let passages = passages(&reference());
    let mut missing = Vec::new();
    for (words, fields) in by_words {
        let is_about = |passage: &&String| fields.iter().any(|field| names(passage, field));
        let about: Vec<_> = passages.iter().filter(is_about).collect();
        let is_missing = |word: &&String| {
            let word = format!("`{word}`");
            !about.iter().any(|passage| passage.contains(&word))
        };
        missing.extend(words.iter().filter(is_missing).map(|word| format!("{word} of {fields:?}")));
    }
    assert_eq!(missing, [""; 0]);
}

#[test]
fn what_names_a_field() {
    for (passage, field, is_named) in [
        ("`a`", "a", true),
        ("`a.b.c`", "a.b.c", true),
        ("`a.b.c` `.d`", "a.b.d", true),
        ("each element of `a.b` has `c`", "a.b.c", true),
        ("`a.b`", "a", false),
        ("`a.bc`", "a.b", false),
        ("`b`", "a.b", false),
        ("`a.b` `c`", "a.c", false),
    ] {
        assert_eq!(names(passage, field), is_named, "{field} in {passage}");
    }
    let text = "Each element of `a` has:\n\n| b | |\n|---|---|\n| `c` | |\n\n```\n`d`\n```\n";
    let passages = passages(text);
    assert!(passages.iter().any(|passage| names(passage, "a.c") && passage.contains("| b |")));
    assert!(!passages.iter().any(|passage| names(passage, "d")));
}

fn assert_named(fields: &[Field], passages: &[String]) {
    let missing = fields.iter().map(|field| &field.name).filter(|name| {
        let repeated = REPEATED.iter().find_map(|(again, first)| {
            let inner = name.strip_prefix(again)?.strip_prefix('.')?;
            Some((again, format!("`{first}`"), format!("{first}.{inner}")))
        });
        let Some((again, first, original)) = repeated else {
            return !passages.iter().any(|passage| names(passage, name));
        };
        let is_same = fields.iter().any(|field| field.name == original);
        let says_so = |passage: &String| names(passage, again) && passage.contains(&first);
        !(is_same && passages.iter().any(says_so))
    });
    assert_eq!(missing.collect::<Vec<_>>(), [""; 0]);
}

/// Whether a passage names a field: in full, behind another one of the same object, or as a field of an
/// element.
fn names(passage: &str, field: &str) -> bool {
    let has = |text: String| passage.contains(&text);
    let (object, name) = field.rsplit_once('.').unwrap_or(("", field));
    let is_behind = has(format!("`{object}.")) && has(format!("`.{name}`"));
    let is_of_element = has(format!("element of `{object}`")) && has(format!("`{name}`"));
    has(format!("`{field}`")) || !object.is_empty() && (is_behind || is_of_element)
}

/// The parts of a text that are about one thing: a paragraph, a list, or a row of a table with the table's
/// head. A paragraph that ends with a colon belongs to what follows as well. Examples are left out.
fn passages(text: &str) -> Vec<String> {
    let prose: Vec<_> = text.split("```").step_by(2).collect();
    let prose = prose.join("\n\n(example)\n\n");
    let mut passages = Vec::new();
    let mut lead = String::new();
    for block in prose.split("\n\n").map(str::trim) {
        match block.split_once('\n').filter(|_| block.starts_with('|')) {
            Some((head, rows)) => {
                passages.extend(rows.lines().map(|row| format!("{lead}\n{head}\n{row}")));
                lead.clear();
            }
            None => {
                lead.push_str(block);
                passages.push(lead.clone());
                if !block.ends_with(':') {
                    lead.clear();
                }
            }
        }
    }
    passages
}

/// Every field of a schema, with those of the elements of arrays.
fn fields(schema: &Value) -> Vec<Field> {
    assert!(!schema.to_string().contains("\"$ref\""), "what is referred to would be left out");
    let mut found = Vec::new();
    visit(schema, "", &mut found);
    found
}

fn visit(schema: &Value, name: &str, found: &mut Vec<Field>) {
    let parts = parts(schema);
    let objects = parts.iter().filter_map(|part| part.get("properties")?.as_object());
    let inner: Vec<_> = objects.flatten().collect();
    for (field, schema) in &inner {
        let dot = if name.is_empty() { "" } else { "." };
        visit(schema, &format!("{name}{dot}{field}"), found);
    }
    if inner.is_empty() {
        found.push(Field { name: name.to_owned(), words: words(parts) });
    }
}

/// A schema with its choices and the schemas of its elements.
fn parts(schema: &Value) -> Vec<&Value> {
    let elements = ["items", "additionalProperties"].map(|key| schema.get(key));
    let choices = ["anyOf", "oneOf", "allOf"].map(|key| schema.get(key)?.as_array());
    let choices = choices.into_iter().flatten().flatten();
    let inner = elements.into_iter().flatten().chain(choices).flat_map(parts);
    std::iter::once(schema).chain(inner).collect()
}

/// A schema and everything in it, wherever it is.
fn everything(schema: &Value) -> Vec<&Value> {
    let inner: Vec<_> = match schema {
        Value::Array(list) => list.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => Vec::new(),
    };
    std::iter::once(schema).chain(inner.into_iter().flat_map(everything)).collect()
}

/// The words of the closed lists in these schemas.
fn words<'a>(schemas: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    let words = schemas.into_iter().flat_map(|schema| {
        let lists = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
        schema.get("const").into_iter().chain(lists)
    });
    words.map(|word| word.as_str().unwrap().to_owned()).collect()
}
