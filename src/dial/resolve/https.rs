//! HTTPS records (RFC 9460): what the DNS says of how to reach a server.

use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::Name;
use hickory_proto::rr::rdata::svcb::{SVCB, SvcParamKey, SvcParamValue};

use crate::failure::{Failure, Kind, Stage};
use crate::limits::{ECH_LIST_LIMIT, HTTPS_RECORDS_LIMIT, HTTPS_VALUES_LIMIT};

/// The port at which the HTTPS records of a server have the server's own name.
const HTTPS_PORT: u16 = 443;

/// Parameters that a client must know for HTTPS to work as these records say. Others make it ignore a
/// record that calls them mandatory.
const KNOWN: [SvcParamKey; 6] = [
    SvcParamKey::Alpn,
    SvcParamKey::NoDefaultAlpn,
    SvcParamKey::Port,
    SvcParamKey::Ipv4Hint,
    SvcParamKey::EchConfigList,
    SvcParamKey::Ipv6Hint,
];

/// The HTTPS records of a server.
#[derive(Clone, Debug)]
pub struct Https {
    /// The name that was asked for: that of the server, and in front of it the port, unless that is 443
    /// (RFC 9460, section 9.1).
    pub name: String,
    /// The records: those in AliasMode in the order in which they lead on, then those in ServiceMode, the
    /// most preferred first.
    pub records: Vec<ServiceRecord>,
    /// How many there are, which may be more.
    pub count: usize,
    /// How the search for them ended.
    pub end: End,
}

/// How a search for HTTPS records ended.
#[derive(Clone, Debug)]
pub enum End {
    /// With records.
    Found,
    /// The name server says that there are none.
    None,
    /// The records of a name are not as RFC 9460 has it. A client has to ignore all of them.
    Malformed,
    /// There was no answer.
    Unknown(Failure),
}

/// One HTTPS record.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServiceRecord {
    /// The name that has the record.
    pub owner: String,
    /// The lower, the more preferred. 0 is AliasMode: the records of the target count instead.
    pub priority: u16,
    /// The name at which the service is; `.` is the owner itself.
    pub target: String,
    /// The parameters without which the record is of no use.
    pub mandatory: Vec<String>,
    /// Protocols that the service speaks, beside HTTP/1.1.
    pub alpn: Vec<String>,
    /// The service does not speak HTTP/1.1.
    pub no_default_alpn: bool,
    /// The port, if it is not that of the server.
    pub port: Option<u16>,
    /// Addresses of the target.
    pub ipv4_hints: Vec<Ipv4Addr>,
    /// Addresses of the target.
    pub ipv6_hints: Vec<Ipv6Addr>,
    /// Configurations of Encrypted ClientHello, as they stand in the record.
    pub ech: Option<Vec<u8>>,
    /// Why a client ignores this record.
    pub ignored: Option<String>,
}

/// The records that an answer has of one name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Services {
    records: Vec<ServiceRecord>,
    count: usize,
    is_malformed: bool,
}

/// Why a set of records is of no use.
struct Malformed;

/// The name whose HTTPS records say how to reach a server.
pub(super) fn question(name: &Name, port: u16) -> Name {
    if port == HTTPS_PORT {
        return name.clone();
    }
    let port = Name::from_ascii(format!("_{port}._https"));
    let prefixed = port.and_then(|port| port.append_name(name));
    // A name that is too long for another label has no such records.
    prefixed.unwrap_or_else(|_too_long| name.clone())
}

impl Https {
    /// A search that begins at `name`.
    pub(super) fn of(name: &Name) -> Self {
        Self { name: shown(name), records: Vec::new(), count: 0, end: End::None }
    }

    /// Adds the records of one name. Returns the name that has to be asked next.
    pub(super) fn add(&mut self, services: Services) -> Option<Name> {
        self.count += services.count;
        self.records.extend(services.records);
        if services.is_malformed {
            self.end = End::Malformed;
            return None;
        }
        if self.count > 0 {
            self.end = End::Found;
        }
        let last = self.records.last().filter(|last| services.count > 0 && last.priority == 0);
        let next = last.filter(|last| last.target != ".")?;
        let next = Name::from_ascii(&next.target).ok();
        self.records.truncate(HTTPS_RECORDS_LIMIT);
        next.map(|mut next| {
            next.set_fqdn(true);
            next
        })
    }

    /// The search ends without an answer.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.end = End::Unknown(failure);
    }

    /// The search ends because the aliases do not.
    pub(super) fn lead_nowhere(&mut self) {
        let detail = "the HTTPS records have too many aliases, or they lead in a circle";
        self.fail(Failure::new(Stage::Resolve, Kind::ServerFailure, detail));
    }

    /// The ECH configurations for this port of the server itself, the most preferred first.
    pub fn ech(&self, port: u16) -> impl Iterator<Item = &[u8]> {
        let is_found = matches!(self.end, End::Found);
        let records = self.records.iter().filter(move |record| {
            let is_here = record.target == "." || record.target == record.owner;
            let is_usable = is_found && record.priority > 0 && record.ignored.is_none();
            is_usable && is_here && record.port.is_none_or(|own| own == port)
        });
        records.filter_map(|record| record.ech.as_deref())
    }
}

impl Services {
    /// Those in an answer.
    pub(super) fn of<'a>(owner: &Name, records: impl Iterator<Item = &'a SVCB>) -> Self {
        let read: Result<Vec<_>, Malformed> =
            records.map(|record| ServiceRecord::of(owner, record)).collect();
        let Ok(mut records) = read else {
            return Self::malformed();
        };
        records.sort_by_key(|record| record.priority);
        // In a set with an alias, the rest does not count (RFC 9460, section 2.4.1).
        if records.first().is_some_and(|first| first.priority == 0) {
            records.truncate(1);
        }
        let count = records.len();
        records.truncate(HTTPS_RECORDS_LIMIT);
        Self { records, count, is_malformed: false }
    }

    /// Those of an answer that cannot be read.
    pub(super) fn malformed() -> Self {
        Self { is_malformed: true, ..Self::default() }
    }

    /// About how many bytes of memory they take.
    pub(super) fn size(&self) -> usize {
        let text = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
        let of_record = |record: &ServiceRecord| {
            size_of::<ServiceRecord>()
                + record.owner.len()
                + record.target.len()
                + text(&record.mandatory)
                + text(&record.alpn)
                + size_of_val(record.ipv4_hints.as_slice())
                + size_of_val(record.ipv6_hints.as_slice())
                + record.ech.as_ref().map_or(0, Vec::len)
        };
        self.records.iter().map(of_record).sum()
    }
}

impl ServiceRecord {
    /// What a record says. hickory checks the order of the parameters and the form of most.
    fn of(owner: &Name, record: &SVCB) -> Result<Self, Malformed> {
        let mut service = Self {
            owner: shown(owner),
            priority: record.svc_priority,
            target: shown(&record.target_name),
            ..Self::default()
        };
        // In AliasMode, parameters have no meaning (RFC 9460, section 2.4.2).
        if service.priority == 0 {
            return Ok(service);
        }
        for (_, value) in &record.svc_params {
            service.take(value, record)?;
        }
        if service.no_default_alpn && service.alpn.is_empty() {
            service.ignored = Some("no-default-alpn without alpn".to_owned());
        }
        Ok(service)
    }

    fn take(&mut self, value: &SvcParamValue, record: &SVCB) -> Result<(), Malformed> {
        match value {
            SvcParamValue::Mandatory(mandatory) => {
                let keys = &mandatory.0;
                let is_there =
                    |key: &SvcParamKey| record.svc_params.iter().any(|(it, _)| it == key);
                let is_ordered = keys.is_sorted_by(|one, next| one < next);
                if !is_ordered
                    || keys.contains(&SvcParamKey::Mandatory)
                    || !keys.iter().all(is_there)
                {
                    return Err(Malformed);
                }
                self.ignored = keys
                    .iter()
                    .find(|key| !KNOWN.contains(key))
                    .map(|key| format!("key{} is mandatory and not known", u16::from(*key)));
                self.mandatory = first(keys.iter().map(name_of));
            }
            SvcParamValue::Alpn(alpn) => {
                self.alpn = first(alpn.0.iter().map(|name| name.escape_default()));
            }
            SvcParamValue::NoDefaultAlpn => self.no_default_alpn = true,
            SvcParamValue::Port(port) => self.port = Some(*port),
            SvcParamValue::Ipv4Hint(hints) if hints.0.is_empty() => return Err(Malformed),
            SvcParamValue::Ipv6Hint(hints) if hints.0.is_empty() => return Err(Malformed),
            SvcParamValue::Ipv4Hint(hints) => {
                self.ipv4_hints =
                    hints.0.iter().map(|hint| hint.0).take(HTTPS_VALUES_LIMIT).collect();
            }
            SvcParamValue::Ipv6Hint(hints) => {
                self.ipv6_hints =
                    hints.0.iter().map(|hint| hint.0).take(HTTPS_VALUES_LIMIT).collect();
            }
            SvcParamValue::EchConfigList(list) if list.0.len() > ECH_LIST_LIMIT => {
                let length = list.0.len();
                self.ignored = Some(format!("its ECH configurations have {length} bytes"));
            }
            SvcParamValue::EchConfigList(list) => self.ech = Some(list.0.clone()),
            SvcParamValue::Unknown(_) => {}
        }
        Ok(())
    }
}

/// As many values as are kept of a parameter.
fn first<T: Display>(values: impl Iterator<Item = T>) -> Vec<String> {
    values.take(HTTPS_VALUES_LIMIT).map(|value| value.to_string()).collect()
}

/// What RFC 9460 calls a parameter.
fn name_of(key: &SvcParamKey) -> String {
    match key {
        SvcParamKey::Unknown(number) => format!("key{number}"),
        key => key.to_string(),
    }
}

/// A name in lower case and without its last dot, unless it is the root.
fn shown(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    match text.strip_suffix('.') {
        Some("") | None => text,
        Some(name) => name.to_owned(),
    }
}
