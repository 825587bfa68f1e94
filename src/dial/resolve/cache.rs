//! Answers that are kept, bounded in bytes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::Unresolved;
use super::answer::Found;
use crate::limits::RESOLVER_CACHE;

/// What an answer takes in memory besides its name and records, in bytes.
const OVERHEAD: usize = 256;

/// Answers by name and type. A question that is under way is not asked a second time.
pub(super) struct Answers(Cache<Key, Arc<Kept>, Bytes>);

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    /// In lower case.
    name: Box<str>,
    record_type: RecordType,
}

struct Kept {
    answer: Result<Found, Unresolved>,
    came: Instant,
    until: Instant,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Arc<Kept>> for Bytes {
    fn weight(&self, key: &Key, kept: &Arc<Kept>) -> u64 {
        let rest = match &kept.answer {
            Ok(found) => size_of_val(found.addresses.as_slice()) + found.services.size(),
            Err(unresolved) => unresolved.failure.detail.len(),
        };
        (OVERHEAD + key.name.len() + rest) as u64
    }
}

impl Key {
    pub(super) fn new(name: &Name, record_type: RecordType) -> Self {
        let mut name = name.to_ascii();
        name.make_ascii_lowercase();
        Self { name: name.into(), record_type }
    }
}

impl Answers {
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(RESOLVER_CACHE as usize / OVERHEAD, RESOLVER_CACHE, Bytes))
    }

    /// The answer that is kept, or what `ask` comes to and for how long that may be kept.
    ///
    /// Whoever asks while the same question is under way gets the same answer, a failure too.
    pub(super) async fn find(
        &self,
        key: Key,
        ask: impl Future<Output = (Result<Found, Unresolved>, Duration)>,
    ) -> Result<Found, Unresolved> {
        let begun = Instant::now();
        loop {
            match self.0.get_value_or_guard_async(&key).await {
                Ok(kept) if kept.came >= begun || Instant::now() < kept.until => {
                    return kept.answer.clone();
                }
                Ok(old) => {
                    self.0.remove_if(&key, |kept| Arc::ptr_eq(kept, &old));
                }
                Err(place) => {
                    let (answer, ttl) = ask.await;
                    let came = Instant::now();
                    let kept = Kept { answer: answer.clone(), came, until: came + ttl };
                    // If the cache does not keep it, it is asked for again.
                    let _is_kept = place.insert(Arc::new(kept));
                    return answer;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::failure::{Failure, Kind, Stage};

    fn key(name: &str) -> Key {
        Key::new(&name.parse().unwrap(), RecordType::A)
    }

    fn found(count: u32) -> Found {
        let addresses = (0..count).map(|it| IpAddr::V4(Ipv4Addr::from_bits(it)));
        Found { addresses: addresses.collect(), ..Found::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_kept_as_long_as_they_say() {
        let (answers, asked) = (Answers::new(), Cell::new(0));
        let find = || {
            answers.find(key("Name.example."), async {
                asked.set(asked.get() + 1);
                (Ok(found(1)), Duration::from_secs(60))
            })
        };
        assert_eq!(find().await.ok(), Some(found(1)));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(find().await.ok(), Some(found(1)));
        assert_eq!(asked.get(), 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(find().await.ok(), Some(found(1)));
        assert_eq!(asked.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_by_those_who_wait_and_not_kept() {
        let (answers, asked) = (Answers::new(), Cell::new(0));
        let find = || {
            answers.find(key("name.example."), async {
                asked.set(asked.get() + 1);
                tokio::time::sleep(Duration::from_secs(1)).await;
                let failure = Failure::new(Stage::Resolve, Kind::ServerFailure, "it fails");
                (Err(Unresolved::answered(failure)), Duration::ZERO)
            })
        };
        let (one, other) = tokio::join!(find(), find());
        assert!(one.is_err() && other.is_err());
        assert_eq!(asked.get(), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(find().await.is_err());
        assert_eq!(asked.get(), 2);
    }

    #[tokio::test]
    async fn memory_is_bounded_in_bytes() {
        let answers = Answers::new();
        for number in 0..100_000 {
            let key = key(&format!("n{number}.example."));
            let answer = async { (Ok(found(64)), Duration::from_secs(3600)) };
            assert!(answers.find(key, answer).await.is_ok());
        }
        assert!(answers.0.weight() <= RESOLVER_CACHE);
        assert!(answers.0.len() > 1000, "{}", answers.0.len());
    }
}
