//! Whether a failed attempt is made again, and when.
//!
//! Only what has no further effect when done twice: idempotent methods (RFC 9110 §9.2.2), requests that bear an
//! idempotency key, and any request that the server has certainly not acted on. Whoever asks has looked at the total
//! deadline and the budget; here it is only said what would be right.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName, RETRY_AFTER};
use http::{Method, StatusCode};

use super::backoff::Backoff;
use super::retry_after;
use crate::settings;

/// What a profile says about retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    /// `retry.max_attempts`: in all; 1 is off.
    pub(crate) max_attempts: u32,
    pub(crate) backoff: Backoff,
    /// `retry.statuses`: answers that are failures; 429 only with `Retry-After`.
    pub(crate) statuses: Vec<StatusCode>,
    /// `retry.methods`: what may be sent twice.
    pub(crate) methods: Vec<Method>,
    /// `retry.idempotency_header`: a request that bears it may be sent twice, whatever its method.
    pub(crate) idempotency_header: HeaderName,
    /// `retry.respect_retry_after`
    pub(crate) respect_retry_after: bool,
    /// `retry.max_retry_after`: an answer that asks for a longer pause is not waited for.
    pub(crate) max_retry_after: Duration,
}

/// How an attempt ended, as far as a retry is concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended<'a> {
    Answered(StatusCode, &'a HeaderMap),
    /// The same answer, where the next attempt goes to somebody who has not been asked: `Retry-After` is not for them.
    TurnedAway(StatusCode, &'a HeaderMap),
    /// No answer. Whether the server has certainly not acted on the request.
    Failed {
        is_unprocessed: bool,
    },
}

impl Retry {
    /// What the settings say; `None` if a status, a method or the header is none.
    pub(crate) fn of(settings: &settings::Retry) -> Option<Retry> {
        let statuses = settings.statuses.iter();
        let methods = settings.methods.iter();
        Some(Retry {
            max_attempts: settings.max_attempts,
            backoff: Backoff {
                base: settings.backoff_base,
                max: settings.backoff_max,
                jitter: settings.jitter,
            },
            statuses: statuses
                .map(|status| StatusCode::from_u16(*status).ok())
                .collect::<Option<_>>()?,
            methods: methods
                .map(|method| Method::from_bytes(method.as_bytes()).ok())
                .collect::<Option<_>>()?,
            idempotency_header: HeaderName::from_bytes(settings.idempotency_header.as_bytes()).ok()?,
            respect_retry_after: settings.respect_retry_after,
            max_retry_after: settings.max_retry_after,
        })
    }

    /// Whether there is to be more than one attempt.
    pub(crate) fn is_on(&self) -> bool {
        self.max_attempts > 1
    }

    /// Whether a request may be sent twice.
    pub(crate) fn is_repeatable(&self, method: &Method, headers: &HeaderMap) -> bool {
        self.methods.contains(method) || self.bears_key(headers)
    }

    /// Whether a request bears the idempotency key; an empty one is none.
    pub(crate) fn bears_key(&self, headers: &HeaderMap) -> bool {
        headers.get(&self.idempotency_header).is_some_and(|key| !key.is_empty())
    }

    /// Whether an answer's status counts as a failure here.
    pub(crate) fn is_failure(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.statuses.contains(&status)
            && (status != StatusCode::TOO_MANY_REQUESTS || headers.contains_key(RETRY_AFTER))
    }

    /// The pause that an answer asks for, if that counts.
    pub(crate) fn asked_for(&self, headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
        retry_after::pause(headers, now).filter(|_| self.respect_retry_after)
    }

    /// The pause before attempt `attempts + 1`; `None` if there is to be none. `attempts` were made, `chance` is a number
    /// from 0 to 1.
    pub(crate) fn pause(
        &self,
        attempts: u32,
        is_repeatable: bool,
        ended: Ended<'_>,
        now: SystemTime,
        chance: f64,
    ) -> Option<Duration> {
        if attempts >= self.max_attempts {
            return None;
        }
        let own = self.backoff.pause(attempts, chance);
        match ended {
            Ended::Answered(status, headers) if is_repeatable && self.is_failure(status, headers) => {
                match self.asked_for(headers, now) {
                    None => Some(own),
                    Some(asked) if asked > self.max_retry_after => None,
                    // Upward, so that a thousand clients that were told the same do not come back together.
                    Some(asked) => {
                        let upward = self.backoff.base.max(asked / 10).mul_f64(chance);
                        Some(asked.max(own).saturating_add(upward))
                    }
                }
            }
            Ended::TurnedAway(status, headers) if is_repeatable && self.is_failure(status, headers) => Some(own),
            Ended::Answered(..) | Ended::TurnedAway(..) => None,
            Ended::Failed { is_unprocessed } => (is_repeatable || is_unprocessed).then_some(own),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::settings::Jitter;

    fn retry() -> Retry {
        Retry {
            max_attempts: 3,
            backoff: Backoff {
                base: Duration::from_millis(100),
                max: Duration::from_secs(5),
                jitter: Jitter::Full,
            },
            statuses: [425, 429, 502, 503, 504]
                .map(|status| StatusCode::from_u16(status).unwrap())
                .to_vec(),
            methods: vec![Method::GET, Method::PUT],
            idempotency_header: HeaderName::from_static("idempotency-key"),
            respect_retry_after: true,
            max_retry_after: Duration::from_secs(30),
        }
    }

    fn after(status: u16, retry_after: Option<&'static str>, chance: f64) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
        }
        let ended = Ended::Answered(StatusCode::from_u16(status).unwrap(), &headers);
        retry().pause(1, true, ended, SystemTime::UNIX_EPOCH, chance)
    }

    #[test]
    fn attempts_are_counted_in_all() {
        let failed = Ended::Failed { is_unprocessed: false };
        let pause = |attempts| retry().pause(attempts, true, failed, SystemTime::UNIX_EPOCH, 1.0);
        assert_eq!(pause(1), Some(Duration::from_millis(100)));
        assert_eq!(pause(2), Some(Duration::from_millis(200)));
        assert_eq!(pause(3), None);
    }

    #[test]
    fn only_what_may_be_done_twice_is_done_twice() {
        let retry = retry();
        let mut keyed = HeaderMap::new();
        keyed.insert("idempotency-key", HeaderValue::from_static("7"));
        assert!(retry.is_repeatable(&Method::GET, &HeaderMap::new()));
        assert!(!retry.is_repeatable(&Method::POST, &HeaderMap::new()));
        assert!(retry.is_repeatable(&Method::POST, &keyed));
        let pause = |ended| retry.pause(1, false, ended, SystemTime::UNIX_EPOCH, 1.0);
        assert_eq!(pause(Ended::Failed { is_unprocessed: false }), None);
        assert!(pause(Ended::Failed { is_unprocessed: true }).is_some());
        assert_eq!(pause(Ended::Answered(StatusCode::BAD_GATEWAY, &keyed)), None);
    }

    #[test]
    fn only_the_statuses_named_are_failures_and_429_only_with_its_pause() {
        for status in [200, 404, 500, 501, 429] {
            assert_eq!(after(status, None, 1.0), None, "{status}");
        }
        for status in [425, 502, 503, 504] {
            assert_eq!(after(status, None, 1.0), Some(Duration::from_millis(100)), "{status}");
        }
        assert!(after(429, Some("1"), 0.0).is_some());
    }

    #[test]
    fn a_pause_too_long_for_the_clock_is_a_long_one() {
        let patient = Retry {
            max_retry_after: Duration::MAX,
            ..retry()
        };
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("99999999999999999999"))]);
        let ended = Ended::Answered(StatusCode::SERVICE_UNAVAILABLE, &headers);
        let pause = patient.pause(1, true, ended, SystemTime::UNIX_EPOCH, 1.0);
        assert_eq!(pause, Some(Duration::MAX));
    }

    #[test]
    fn the_pause_that_the_server_asks_for_is_kept_and_never_shortened() {
        assert_eq!(after(503, Some("5"), 0.0), Some(Duration::from_secs(5)));
        assert_eq!(after(503, Some("5"), 1.0), Some(Duration::from_millis(5500)));
        // No hot loop, though chance would have none.
        assert_eq!(after(503, Some("0"), 0.5), Some(Duration::from_millis(100)));
        assert_eq!(after(503, Some("31"), 0.0), None);
    }
}
