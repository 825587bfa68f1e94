//! The JSON Schema of the record, and the names of its fields that follow from it.

use std::fmt;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::report::record::Record;

/// The schema of a record (JSON Schema, draft 2020-12), every field described.
pub fn schema() -> Schema {
    schema_of::<Record>()
}

/// The schema of anything that is written (JSON Schema, draft 2020-12), every field described.
pub fn schema_of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.transforms.push(Box::new(RecursiveTransform(never_null)));
    });
    SchemaGenerator::new(settings).into_root_schema_for::<T>()
}

/// What was not observed is absent, never null.
fn never_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
    }
}

/// The dotted names of all leaves, in the order of the record.
pub fn leaves() -> Vec<String> {
    let mut leaves = Vec::new();
    visit(schema().as_value(), "", &mut |name, is_leaf| {
        if is_leaf {
            leaves.push(name.to_owned());
        }
    });
    leaves
}

/// A choice of fields of the record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fields(Vec<String>);

/// A field that the record does not have, and the nearest that it has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownField {
    field: String,
    nearest: String,
}

impl Fields {
    /// The leaves that `list` names: dotted names separated by commas, objects standing for all
    /// that is in them.
    ///
    /// # Errors
    /// The first name that the record does not have.
    pub fn parse(list: &str) -> Result<Self, UnknownField> {
        let leaves = leaves();
        let mut chosen: Vec<String> = Vec::new();
        for field in list.split(',').map(str::trim) {
            let inside = format!("{field}.");
            let named: Vec<_> =
                leaves.iter().filter(|leaf| *leaf == field || leaf.starts_with(&inside)).collect();
            if named.is_empty() {
                let nearest = leaves.iter().min_by_key(|leaf| strsim::levenshtein(leaf, field));
                return Err(UnknownField {
                    field: field.to_owned(),
                    nearest: nearest.cloned().unwrap_or_default(),
                });
            }
            chosen.extend(named.into_iter().cloned());
        }
        Ok(Self(chosen))
    }

    /// Every leaf of the record.
    pub fn all() -> Self {
        Self(leaves())
    }

    /// The dotted names, in the order in which they were asked for.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the record has no field `{}`; did you mean `{}`?", self.field, self.nearest)
    }
}

impl std::error::Error for UnknownField {}

/// Calls `found` for every field below `schema`, with its dotted name.
fn visit(schema: &Value, prefix: &str, found: &mut impl FnMut(&str, bool)) {
    let Some(properties) = properties(schema) else {
        return;
    };
    for (name, inner) in properties {
        let name = match prefix {
            "" => name.clone(),
            _ => format!("{prefix}.{name}"),
        };
        found(&name, self::properties(inner).is_none());
        visit(inner, &name, found);
    }
}

/// The properties of an object, also of one that may be absent.
fn properties(schema: &Value) -> Option<&serde_json::Map<String, Value>> {
    let direct = schema.get("properties");
    let optional = || {
        let mut choices = schema.get("anyOf")?.as_array()?.iter();
        choices.find_map(|choice| choice.get("properties"))
    };
    direct.or_else(optional)?.as_object()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leaves_stand_in_the_order_of_the_record() {
        let leaves = leaves();
        let place = |name: &str| leaves.iter().position(|leaf| leaf == name).unwrap();
        assert_eq!(place("v"), 0);
        assert!(place("error.kind") < place("tls.version"));
        assert!(place("tls.version") < place("ms.total"));
        assert!(!leaves.iter().any(|leaf| leaf == "tls"));
    }

    #[test]
    fn an_object_stands_for_its_leaves_and_order_is_kept() {
        let fields = Fields::parse("ms.total, read").unwrap();
        assert_eq!(fields.names(), ["ms.total", "read.bytes", "read.end", "read.alert"]);
        let error = Fields::parse("tls.verison").unwrap_err();
        assert!(error.to_string().contains("`tls.version`"), "{error}");
    }
}
