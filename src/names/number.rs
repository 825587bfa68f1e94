//! Numbers of the registries that stand in records by their names.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{ALERTS, GROUP_ALIASES, GROUPS, SUITES, VERSIONS, decimal, hex, named};

/// Defines a number that is written, and read, by its name.
macro_rules! number {
    ($(#[$doc:meta])* $kind:ident($number:ty) in $table:expr, else $shown:expr, $read:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $kind(
            /// The number in the registry.
            pub $number,
        );

        impl $kind {
            /// The IANA name; the number if there is none.
            pub fn name(self) -> Cow<'static, str> {
                let number = u16::from(self.0);
                named($table, number).map_or_else(|| $shown(number), Cow::Borrowed)
            }

            /// The opposite of [`Self::name`].
            fn of_name(name: &str) -> Option<Self> {
                let rows: &[(u16, &str)] = $table;
                let row = rows.iter().find(|(_, known)| *known == name);
                // What had no name when it was written may have one by now.
                let number = row.map(|(number, _)| *number).or_else(|| $read(name));
                number.and_then(|number| number.try_into().ok()).map(Self)
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
    Version(u16) in VERSIONS, else hex, of_hex
}

number! {
    /// A cipher suite: `TLS_AES_128_GCM_SHA256`.
    Suite(u16) in &SUITES, else hex, of_hex
}

number! {
    /// A key exchange group: `x25519`.
    Group(u16) in &GROUPS, else decimal, of_decimal
}

number! {
    /// What an alert says: `handshake_failure`.
    AlertDescription(u8) in &ALERTS, else decimal, of_decimal
}

fn of_hex(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

fn of_decimal(text: &str) -> Option<u16> {
    text.parse().ok()
}

impl Version {
    /// SSL 3.0.
    pub const SSL_3_0: Self = Self(0x0300);
    /// TLS 1.0.
    pub const TLS_1_0: Self = Self(0x0301);
    /// TLS 1.1.
    pub const TLS_1_1: Self = Self(0x0302);
    /// TLS 1.2.
    pub const TLS_1_2: Self = Self(0x0303);
    /// TLS 1.3.
    pub const TLS_1_3: Self = Self(0x0304);
}

impl Group {
    /// Finds a group by its IANA name, or by the name that OpenSSL or NIST uses. Case does not matter.
    pub fn of_any_name(name: &str) -> Option<Self> {
        let mut known = GROUPS.iter().chain(GROUP_ALIASES);
        let row = known.find(|(_, known)| known.eq_ignore_ascii_case(name));
        row.map(|(number, _)| Self(*number))
    }

    /// Whether the group has a name.
    pub fn is_named(self) -> bool {
        named(&GROUPS, self.0).is_some()
    }
}

impl AlertDescription {
    /// The peer has nothing more to say.
    pub const CLOSE_NOTIFY: Self = Self(0);
    /// Nothing in the hello suits the peer.
    pub const HANDSHAKE_FAILURE: Self = Self(40);
    /// A field of the hello is out of range or contradicts another.
    pub const ILLEGAL_PARAMETER: Self = Self(47);
    /// The peer forbids the access.
    pub const ACCESS_DENIED: Self = Self(49);
    /// The hello cannot be decoded.
    pub const DECODE_ERROR: Self = Self(50);
    /// The peer knows the version, and refuses it.
    pub const PROTOCOL_VERSION: Self = Self(70);
    /// The peer wants stronger suites.
    pub const INSUFFICIENT_SECURITY: Self = Self(71);
    /// The peer has failed, which is not the fault of the hello.
    pub const INTERNAL_ERROR: Self = Self(80);
    /// The peer speaks a newer version than the one to which the client says that it has fallen back.
    pub const INAPPROPRIATE_FALLBACK: Self = Self(86);
    /// A person ended the handshake.
    pub const USER_CANCELED: Self = Self(90);
    /// The peer does not serve this name.
    pub const UNRECOGNIZED_NAME: Self = Self(112);
    /// The peer wants none of the protocols of the ALPN extension.
    pub const NO_APPLICATION_PROTOCOL: Self = Self(120);
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
        for number in 0..=u8::MAX {
            let alert = AlertDescription(number);
            assert_eq!(AlertDescription::of_name(&alert.name()), Some(alert));
        }
        for number in (0..=u16::MAX).step_by(7).chain(Suite::named().map(|suite| suite.0)) {
            assert_eq!(Suite::of_name(&Suite(number).name()), Some(Suite(number)));
        }
        assert_eq!(Suite::of_name("0x1301"), Some(Suite(0x1301)), "named after it was written");
    }

    #[test]
    fn constants_are_called_as_in_the_registry() {
        use AlertDescription as A;
        for (alert, name) in [
            (A::CLOSE_NOTIFY, "close_notify"),
            (A::HANDSHAKE_FAILURE, "handshake_failure"),
            (A::ILLEGAL_PARAMETER, "illegal_parameter"),
            (A::ACCESS_DENIED, "access_denied"),
            (A::DECODE_ERROR, "decode_error"),
            (A::PROTOCOL_VERSION, "protocol_version"),
            (A::INSUFFICIENT_SECURITY, "insufficient_security"),
            (A::INTERNAL_ERROR, "internal_error"),
            (A::INAPPROPRIATE_FALLBACK, "inappropriate_fallback"),
            (A::USER_CANCELED, "user_canceled"),
            (A::UNRECOGNIZED_NAME, "unrecognized_name"),
            (A::NO_APPLICATION_PROTOCOL, "no_application_protocol"),
        ] {
            assert_eq!(alert.name(), name);
        }
    }

    #[test]
    fn what_is_no_name_is_an_error_that_says_so() {
        let suite = serde_json::from_str::<Suite>(r#""TLS_NONE""#).unwrap_err().to_string();
        assert!(suite.contains("TLS_NONE") && suite.contains("IANA"), "{suite}");
        assert!(serde_json::from_str::<Group>(r#""99999""#).is_err());
        assert!(serde_json::from_str::<AlertDescription>(r#""256""#).is_err());
        assert!(serde_json::from_str::<Version>("771").is_err());
    }
}
