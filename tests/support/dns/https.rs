//! HTTPS records (RFC 9460) as they stand in a message.

use super::record::wire_name;

pub(crate) const MANDATORY: u16 = 0;
pub(crate) const ALPN: u16 = 1;
pub(crate) const NO_DEFAULT_ALPN: u16 = 2;
pub(crate) const PORT: u16 = 3;
pub(crate) const IPV4_HINT: u16 = 4;
pub(crate) const ECH: u16 = 5;
pub(crate) const IPV6_HINT: u16 = 6;

/// The data of a record with these parameters, in the order in which they are given. The target `.` is
/// the root.
pub(crate) fn service(priority: u16, target: &str, parameters: &[(u16, &[u8])]) -> Vec<u8> {
    let target = if target == "." { vec![0] } else { wire_name(target) };
    let mut data = [&priority.to_be_bytes()[..], &target].concat();
    for (key, value) in parameters {
        data.extend(key.to_be_bytes());
        data.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        data.extend_from_slice(value);
    }
    data
}

/// The data of a record in AliasMode.
pub(crate) fn alias(target: &str) -> Vec<u8> {
    service(0, target, &[])
}
