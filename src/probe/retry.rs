//! Which failures are worth another try, and when.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::failure::{Failure, Kind, Stage};

/// Before the first retry; each one after it waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The retries that a target has left.
#[derive(Debug)]
pub(super) struct Retries {
    left: u32,
    pause: Duration,
}

impl Retries {
    pub(super) fn new(most: u32) -> Self {
        Self { left: most, pause: FIRST_PAUSE }
    }

    /// Waits for the moment of the next try; false when there is none: because of the failure, the
    /// number of tries or the target's time.
    pub(super) async fn again(&mut self, failure: &Failure, deadline: &Deadline<'_>) -> bool {
        if self.left == 0 || !is_transient(failure) {
            return false;
        }
        self.left -= 1;
        // Those that failed together do not come back together.
        let pause = self.pause.mul_f64(0.5 + fastrand::f64());
        self.pause *= 2;
        deadline.pause(pause).await
    }
}

/// Whether the same may end otherwise a moment later. A refusal is an answer.
fn is_transient(failure: &Failure) -> bool {
    failure.stage != Stage::Local
        && matches!(
            failure.kind,
            Kind::Timeout | Kind::Reset | Kind::Eof | Kind::Unreachable | Kind::ServerFailure
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LIMITS;

    #[tokio::test(start_paused = true)]
    async fn so_many_retries_and_each_later_than_the_last() {
        let deadline = Deadline::start(&LIMITS);
        let timeout = Failure::new(Stage::Connect, Kind::Timeout, "");
        let mut retries = Retries::new(3);
        let mut elapsed = vec![Duration::ZERO];
        while retries.again(&timeout, &deadline).await {
            elapsed.push(deadline.elapsed());
        }
        assert_eq!(elapsed.len(), 4);
        for (n, pause) in elapsed.windows(2).map(|pair| pair[1] - pair[0]).enumerate() {
            let base = FIRST_PAUSE * (1 << n);
            assert!((base / 2..=base * 3 / 2 + Duration::from_millis(1)).contains(&pause));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_retry_for_an_answer_or_beyond_the_targets_time() {
        let deadline = Deadline::start(&LIMITS);
        for (stage, kind) in [
            (Stage::Connect, Kind::Refused),
            (Stage::Resolve, Kind::NotFound),
            (Stage::Handshake, Kind::Alert),
            (Stage::Local, Kind::Resource),
        ] {
            assert!(!Retries::new(9).again(&Failure::new(stage, kind, ""), &deadline).await);
        }
        let mut retries = Retries::new(99);
        let failure = Failure::new(Stage::Handshake, Kind::Reset, "");
        while retries.again(&failure, &deadline).await {}
        assert!(deadline.elapsed() < LIMITS.total);
        assert!(retries.left > 80, "the pauses grow");
    }
}
