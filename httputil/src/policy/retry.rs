//! Whether a failed attempt is made again, and when.
//!
//! ```
//! use http::{HeaderMap, Method, StatusCode};
//! use httputil::policy::retry::{Ended, Retry};
//! use httputil::settings;
//!
//! # fn main() -> Result<(), httputil::Error> {
//! // Three attempts in all, 425, 429, 502, 503 and 504: what a client does by default.
//! let retry = Retry::new(&settings::Retry::default())?;
//! let (method, headers) = (Method::GET, HeaderMap::new());
//! let is_repeatable = retry.is_repeatable(&method, &headers);
//!
//! let (status, answer) = (StatusCode::SERVICE_UNAVAILABLE, HeaderMap::new());
//! let mut attempts = 1;
//! while let Some(pause) = retry.pause(attempts, is_repeatable, Ended::Answered(status, &answer)) {
//!     // Here you sleep for the pause, and make the next attempt.
//!     attempts += 1;
//! }
//! assert_eq!(attempts, 3);
//! # Ok(()) }
//! ```
//!
//! Only what has no further effect when done twice: idempotent methods (RFC 9110 §9.2.2), requests that bear an
//! idempotency key, and any request that the server has certainly not acted on. Whoever asks has looked at the total
//! deadline and the budget; here it is only said what would be right.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName, RETRY_AFTER};
use http::{Method, StatusCode};

use super::backoff::{Backoff, part};
use super::retry_after;
use crate::error::{Error, Kind, Phase, Problem};
use crate::settings::{self, check_header_name, check_method, check_status};
use crate::wire::chance;

/// What is made again: [`settings::Retry`], read. The budget is not asked here ([`Budget`](super::budget::Budget)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
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
#[non_exhaustive]
pub enum Ended<'a> {
    /// With an answer of this status and these headers.
    Answered(StatusCode, &'a HeaderMap),
    /// The same answer, where the next attempt goes to somebody who has not been asked: `Retry-After` is not for them.
    TurnedAway(StatusCode, &'a HeaderMap),
    /// Without an answer.
    Failed {
        /// The server has certainly not acted on the request, as when no connection was made.
        is_unprocessed: bool,
    },
}

impl Retry {
    /// What the settings say.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`], which names each status, method and header that is none.
    pub fn new(settings: &settings::Retry) -> Result<Retry, Error> {
        let mut problems = Vec::new();
        let mut wrong = |key: &str, value: &dyn std::fmt::Debug, why: &str| {
            problems.push(Problem::new(format!("retry.{key} = {value:?}: {why}")));
        };
        let statuses = settings.statuses.iter().filter_map(|status| {
            let known = StatusCode::from_u16(*status).ok();
            check_status(&status.to_string())
                .map_err(|why| wrong("statuses", status, why))
                .ok()
                .and(known)
        });
        let statuses = statuses.collect();
        let methods = settings.methods.iter().filter_map(|method| {
            let known = Method::from_bytes(method.as_bytes()).ok();
            check_method(method)
                .map_err(|why| wrong("methods", method, why))
                .ok()
                .and(known)
        });
        let methods = methods.collect();
        let header = &settings.idempotency_header;
        if let Err(why) = check_header_name(header) {
            wrong("idempotency_header", header, why);
        }
        let (Ok(idempotency_header), true) = (HeaderName::from_bytes(header.as_bytes()), problems.is_empty()) else {
            return Err(Error::config(problems));
        };
        Ok(Retry {
            max_attempts: settings.max_attempts,
            backoff: Backoff::from(settings),
            statuses,
            methods,
            idempotency_header,
            respect_retry_after: settings.respect_retry_after,
            max_retry_after: settings.max_retry_after,
        })
    }

    /// Whether there is to be more than one attempt.
    pub(crate) fn is_on(&self) -> bool {
        self.max_attempts > 1
    }

    /// Whether a request may be sent twice: by its method ([`methods`](settings::Retry::methods)), or since it bears the
    /// idempotency key.
    pub fn is_repeatable(&self, method: &Method, headers: &HeaderMap) -> bool {
        self.methods.contains(method) || self.bears_key(headers)
    }

    /// Whether a request bears the idempotency key; an empty one is none.
    pub fn bears_key(&self, headers: &HeaderMap) -> bool {
        headers.get(&self.idempotency_header).is_some_and(|key| !key.is_empty())
    }

    /// Whether an answer's status counts as a failure here ([`statuses`](settings::Retry::statuses)); 429 does only when it says
    /// when to come back.
    pub fn is_failure(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        self.statuses.contains(&status)
            && (status != StatusCode::TOO_MANY_REQUESTS || headers.contains_key(RETRY_AFTER))
    }

    /// The pause that an answer asks for, if that counts.
    pub(crate) fn asked_for(&self, headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
        retry_after::pause(headers, now).filter(|_| self.respect_retry_after)
    }

    /// The pause before attempt `attempts + 1`; `None` if there is to be none, and the outcome is the caller's. `attempts`
    /// were made.
    ///
    /// A pause that the answer asks for ([`retry_after`]) is kept, and lengthened by up to a tenth, so that
    /// a thousand clients that were told the same do not come back together.
    pub fn pause(&self, attempts: u32, is_repeatable: bool, ended: Ended<'_>) -> Option<Duration> {
        self.pause_by(attempts, is_repeatable, ended, SystemTime::now(), chance())
    }

    /// The same at a time, and by a `chance` from 0 to 1, of your own: for simulations, and for tests. `now` counts where an
    /// answer bears `Retry-After` as a date, and no `Date`.
    pub fn pause_by(
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
        let own = self.backoff.pause_by(attempts, chance);
        match ended {
            Ended::Answered(status, headers) if is_repeatable && self.is_failure(status, headers) => {
                match self.asked_for(headers, now) {
                    None => Some(own),
                    Some(asked) if asked > self.max_retry_after => None,
                    Some(asked) => {
                        let upward = part(self.backoff.base().max(asked / 10), chance);
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

/// Whether a failure of this crate's may be gone the next time, whatever the server has done with the request. That of our own
/// queue and limits is not: more requests would make it worse. Nor is a handshake that either side refused, a login, or what is
/// wrong with the request.
pub fn may_pass(error: &Error) -> bool {
    match error.kind() {
        Kind::Dns | Kind::Connect | Kind::Proxy | Kind::Connection => true,
        Kind::Timeout { phase, .. } => !matches!(phase, Phase::PoolWait | Phase::Turn),
        // A handshake that broke off, not one that was refused by either side.
        Kind::Tls => std::error::Error::source(error)
            .and_then(|source| source.downcast_ref::<std::io::Error>())
            .is_some_and(|io| io.get_ref().is_none_or(|inner| !inner.is::<rustls::Error>())),
        Kind::Protocol => error.is_retryable(),
        _ => false,
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
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(5), Jitter::Full),
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
        retry().pause_by(1, true, ended, SystemTime::UNIX_EPOCH, chance)
    }

    #[test]
    fn settings_that_cannot_be_are_refused_by_name_all_together() {
        assert_eq!(
            Retry::new(&settings::Retry::default()).unwrap(),
            Retry {
                methods: ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"]
                    .map(|method| method.parse().unwrap())
                    .to_vec(),
                ..retry()
            }
        );
        let wrong = settings::Retry {
            statuses: vec![503, 200, 7],
            methods: vec!["GET".to_owned(), "get it".to_owned()],
            idempotency_header: "no header".to_owned(),
            ..settings::Retry::default()
        };
        let words = Retry::new(&wrong).unwrap_err().to_string();
        for key in [
            "retry.statuses = 200",
            "retry.statuses = 7",
            "retry.methods = \"get it\"",
            "retry.idempotency_header",
        ] {
            assert!(words.contains(key), "{key}: {words}");
        }
        assert!(!words.contains("503") && !words.contains("\"GET\": "), "{words}");
    }

    #[test]
    fn attempts_are_counted_in_all() {
        let failed = Ended::Failed { is_unprocessed: false };
        let pause = |attempts| retry().pause_by(attempts, true, failed, SystemTime::UNIX_EPOCH, 1.0);
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
        let pause = |ended| retry.pause_by(1, false, ended, SystemTime::UNIX_EPOCH, 1.0);
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
    fn what_is_wrong_on_this_side_is_as_wrong_the_next_time() {
        let may = |kind| may_pass(&Error::new(kind, "it failed"));
        let timeout = |phase| Kind::Timeout {
            phase,
            after: Duration::from_secs(1),
        };
        for kind in [
            Kind::Dns,
            Kind::Connect,
            Kind::Proxy,
            Kind::Connection,
            timeout(Phase::ResponseHeader),
        ] {
            assert!(may(kind), "{kind:?}");
        }
        for kind in [
            Kind::Request,
            Kind::Egress,
            Kind::LimitExceeded,
            timeout(Phase::PoolWait),
            timeout(Phase::Turn),
        ] {
            assert!(!may(kind), "{kind:?}");
        }
    }

    #[test]
    fn a_pause_too_long_for_the_clock_is_a_long_one() {
        let patient = Retry {
            max_retry_after: Duration::MAX,
            ..retry()
        };
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("99999999999999999999"))]);
        let ended = Ended::Answered(StatusCode::SERVICE_UNAVAILABLE, &headers);
        let pause = patient.pause_by(1, true, ended, SystemTime::UNIX_EPOCH, 1.0);
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
