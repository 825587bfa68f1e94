//! Numbers of the registries that stand in records by their names.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{GROUPS, SUITES, VERSIONS, decimal, hex, named};

/// Defines a number that is written, and read, by its name.
macro_rules! number {
    ($(#[$doc:meta])* $kind:ident in $table:expr, else $shown:expr, $read:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $kind(
            /// The number in the registry.
            pub u16,
        );

        impl $kind {
            /// The IANA name; the number if there is none.
            pub fn name(self) -> Cow<'static, str> {
                named($table, self.0).map_or_else(|| $shown(self.0), Cow::Borrowed)
            }

            /// The opposite of [`Self::name`].
            fn of_name(name: &str) -> Option<Self> {
                let rows: &[(u16, &str)] = $table;
                let row = rows.iter().find(|(_, known)| *known == name);
                // What had no name when it was written may have one by now.
                row.map(|(number, _)| *number).or_else(|| $read(name)).map(Self)
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.name())
            }
        }

        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.name())
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = Cow::<'de, str>::deserialize(deserializer)?;
                let expected = concat!("the name of a ", stringify!($kind), " in IANA's registry");
                let unknown = || de::Error::invalid_value(de::Unexpected::Str(&name), &expected);
                Self::of_name(&name).ok_or_else(unknown)
            }
        }

        impl JsonSchema for $kind {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($kind).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                String::json_schema(generator)
            }
        }
    };
}

number! {
    /// A protocol version: `TLSv1.3`.
    Version in VERSIONS, else hex, of_hex
}

number! {
    /// A cipher suite: `TLS_AES_128_GCM_SHA256`.
    Suite in &SUITES, else hex, of_hex
}

number! {
    /// A key exchange group: `x25519`.
    Group in &GROUPS, else decimal, of_decimal
}

fn of_hex(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

fn of_decimal(text: &str) -> Option<u16> {
    text.parse().ok()
}

impl Suite {
    /// Every suite and every signalling value that has a name.
    pub(super) fn named() -> impl Iterator<Item = Self> {
        SUITES.iter().map(|(number, _)| Self(*number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_read_back_from_its_name() {
        for number in 0..=u16::MAX {
            assert_eq!(Version::of_name(&Version(number).name()), Some(Version(number)));
            assert_eq!(Group::of_name(&Group(number).name()), Some(Group(number)));
        }
        for number in (0..=u16::MAX).step_by(7).chain(Suite::named().map(|suite| suite.0)) {
            assert_eq!(Suite::of_name(&Suite(number).name()), Some(Suite(number)));
        }
        assert_eq!(Suite::of_name("0x1301"), Some(Suite(0x1301)), "named after it was written");
    }

    #[test]
    fn what_is_no_name_is_an_error_that_says_so() {
        let suite = serde_json::from_str::<Suite>(r#""TLS_NONE""#).unwrap_err().to_string();
        assert!(suite.contains("TLS_NONE") && suite.contains("IANA"), "{suite}");
        assert!(serde_json::from_str::<Group>(r#""99999""#).is_err());
        assert!(serde_json::from_str::<Version>("771").is_err());
    }
}
