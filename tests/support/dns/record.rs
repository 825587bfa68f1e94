//! Records as they stand in a message.

use std::net::Ipv4Addr;

pub(super) const A: u16 = 1;
pub(super) const CNAME: u16 = 5;
const SOA: u16 = 6;
pub(super) const AAAA: u16 = 28;
pub(super) const HTTPS: u16 = 65;

/// A record of the answer section.
#[derive(Clone)]
pub(super) struct Record {
    name: String,
    kind: u16,
    data: Vec<u8>,
}

impl Record {
    pub(super) fn new(name: &str, kind: u16, data: &[u8]) -> Self {
        Self { name: name.to_owned(), kind, data: data.to_vec() }
    }

    /// 127.0.0.1, and no IPv6.
    pub(super) fn at_home(name: &str, kind: u16) -> Option<Self> {
        (kind == A).then(|| Self::new(name, A, &Ipv4Addr::LOCALHOST.octets()))
    }

    pub(super) fn start_of_authority(zone: &str) -> Self {
        let names = [wire_name(zone), wire_name(zone)].concat();
        let [serial, refresh, retry, expire, minimum] = [1, 60, 60, 60, 60].map(u32::to_be_bytes);
        let numbers = [serial, refresh, retry, expire, minimum].concat();
        Self::new(zone, SOA, &[names, numbers].concat())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let class_and_ttl = [0, 1, 0, 0, 0, 60];
        let length = u16::try_from(self.data.len()).unwrap().to_be_bytes();
        let kind = self.kind.to_be_bytes();
        [&wire_name(&self.name)[..], &kind, &class_and_ttl, &length, &self.data].concat()
    }
}

/// A name as it stands in a message.
pub(super) fn wire_name(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.') {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}
