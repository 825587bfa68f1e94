//! Reads the answers of name servers.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::{Header, HeaderCounts, Message, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, DecodeError};

use super::ResolverSettings;
use super::https::Services;
use super::question::Question;

/// How many aliases (CNAME records) of a name are followed.
pub(super) const MOST_ALIASES: usize = 16;

/// The longest time in seconds that an answer is kept, whatever its time to live.
const LONGEST: u32 = 24 * 60 * 60;

/// An answer that could be read.
#[derive(Debug)]
pub(super) enum Answer {
    /// The records, of which there may be none, and for how long they may be kept.
    Found(Found, Duration),
    /// The name has an alias whose records are not in the answer, and for how long that holds.
    Alias(Name, Duration),
    /// There is more than fits into a datagram.
    Truncated,
    /// The server does not answer the question.
    Failed(ResponseCode),
    /// More than [`MOST_ALIASES`].
    TooManyAliases,
}

/// The records of a name that were asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Found {
    /// The addresses that may be dialled: each once, and not more than are wanted.
    pub(super) addresses: Vec<IpAddr>,
    /// An address that must not be dialled, if there was one.
    pub(super) excluded: Option<IpAddr>,
    /// The HTTPS records, if these were asked for.
    pub(super) services: Services,
    /// The server says that there is no such name at all.
    pub(super) is_no_name: bool,
}

impl Found {
    /// Keeps of `addresses` what may be dialled.
    pub(super) fn of(
        addresses: impl IntoIterator<Item = IpAddr>,
        settings: &ResolverSettings,
    ) -> Self {
        let mut found = Self::default();
        for address in addresses {
            if settings.exclude.covers_address(address) {
                found.excluded.get_or_insert(address);
                continue;
            }
            // Mapped addresses are dialled as IPv4, so they have to be wanted as such.
            let Ok(address) = settings.families.admit(address) else { continue };
            if !found.addresses.contains(&address) {
                found.addresses.push(address);
            }
            if found.addresses.len() == settings.addresses.get() {
                break;
            }
        }
        found
    }
}

/// Reads the answer to a question, in a message that was compared with it.
///
/// # Errors
/// It is not as RFC 1035 has it.
pub(super) fn read(
    message: &[u8],
    question: &Question,
    settings: &ResolverSettings,
) -> Result<Answer, DecodeError> {
    let mut decoder = BinDecoder::new(message);
    let Header { metadata, counts, .. } = Header::read(&mut decoder)?;
    let code = metadata.response_code;
    match code {
        _ if metadata.truncation => return Ok(Answer::Truncated),
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code => return Ok(Answer::Failed(code)),
    }
    // The message repeats the question byte for byte, or but for the case of letters.
    decoder.read_slice(question.wire().len())?;
    let answers = Message::read_records(&mut decoder, counts.answers.into(), false, OpCode::Query);
    let answers = match answers {
        Ok((answers, ..)) => answers,
        // It repeats the question, so whoever made these records is no name server gone mad.
        Err(_) if question.record_type == RecordType::HTTPS => {
            let found = Found { services: Services::malformed(), ..Found::default() };
            return Ok(Answer::Found(found, Duration::ZERO));
        }
        Err(error) => return Err(error),
    };
    let Some((name, chain)) = end_of_chain(&question.name, &answers) else {
        return Ok(Answer::TooManyAliases);
    };
    let of_name = |record: &&Record| {
        record.name == *name
            && record.dns_class == DNSClass::IN
            && record.record_type() == question.record_type
    };
    let records = answers.iter().filter(of_name);
    if let Some(shortest) = records.clone().map(|record| record.ttl).min() {
        let services = records.clone().filter_map(|record| match &record.data {
            RData::HTTPS(record) => Some(&record.0),
            _ => None,
        });
        let services = Services::of(name, services);
        let found = Found::of(records.filter_map(|record| record.data.ip_addr()), settings);
        let found = Found { services, ..found };
        return Ok(Answer::Found(found, seconds(shortest.min(chain))));
    }
    read_negative(&mut decoder, (metadata, counts), (name, chain), question)
}

/// Reads the rest of an answer in which the name has no records of the type.
fn read_negative(
    decoder: &mut BinDecoder<'_>,
    (metadata, counts): (Metadata, HeaderCounts),
    (name, chain): (&Name, u32),
    question: &Question,
) -> Result<Answer, DecodeError> {
    let mut section = |count: u16, is_additional| {
        Message::read_records(decoder, count.into(), is_additional, OpCode::Query)
    };
    let code = metadata.response_code;
    let (authorities, ..) = section(counts.authorities, false)?;
    let negative = authorities.iter().find_map(|record| match &record.data {
        // RFC 2308, section 5.
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    });
    let is_no_name = code == ResponseCode::NXDomain;
    if let (None, false, true) = (negative, is_no_name, *name != question.name) {
        return Ok(Answer::Alias(name.clone(), seconds(chain)));
    }
    if counts.answers == 0 && counts.authorities == 0 {
        let (_, edns, _) = section(counts.additionals, true)?;
        // The EDNS record holds the upper bits of the response code.
        if let Some(high) = edns.map(|edns| edns.rcode_high()).filter(|high| *high != 0) {
            return Ok(Answer::Failed(ResponseCode::from(high, code.low())));
        }
    }
    // A server that is not recursive and has no records refers to other servers.
    if !metadata.recursion_available && !metadata.authoritative && negative.is_none() {
        return Ok(Answer::Failed(ResponseCode::Refused));
    }
    let none = Found { is_no_name, ..Found::default() };
    Ok(Answer::Found(none, seconds(negative.unwrap_or(0).min(chain))))
}

/// The name at the end of a chain of aliases, and the shortest of their times; none if they are too
/// many.
fn end_of_chain<'a>(name: &'a Name, answers: &'a [Record]) -> Option<(&'a Name, u32)> {
    let (mut name, mut shortest) = (name, LONGEST);
    for _ in 0..=MOST_ALIASES {
        let alias = answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == *name => Some((&target.0, record.ttl)),
            _ => None,
        });
        let Some((target, ttl)) = alias else { return Some((name, shortest)) };
        name = target;
        shortest = shortest.min(ttl);
    }
    None
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into())
}
