//! When a failed request is made again.

use std::time::Duration;

/// Which failed requests are made again, when, and how many.
///
/// Only what has no further effect when done twice is: requests of these methods, requests that bear an idempotency key,
/// and any request that the server has certainly not acted on.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Retry {
    /// `retry.max_attempts`: attempts in all, 1 to 100. Default 3; 1 is off.
    pub max_attempts: u32,
    /// `retry.backoff.base`: the bound of the first pause; each further one is twice as long. Default 100 ms.
    pub backoff_base: Duration,
    /// `retry.backoff.max`: the bound of any pause. Default 5 s.
    pub backoff_max: Duration,
    /// `retry.backoff.jitter`: how chance shapes a pause. Default [`Jitter::Full`].
    pub jitter: Jitter,
    /// `retry.statuses`: answers that are failures, 400 to 599; 429 only when it bears `Retry-After`. Default 425, 429,
    /// 502, 503 and 504.
    pub statuses: Vec<u16>,
    /// `retry.methods`: what may be sent twice. Default the idempotent ones, GET, HEAD, PUT, DELETE, OPTIONS and TRACE
    /// (RFC 9110 §9.2.2).
    pub methods: Vec<String>,
    /// `retry.idempotency_header`: a request that bears this header may be sent twice, whatever its method. Default
    /// `Idempotency-Key`.
    pub idempotency_header: String,
    /// `retry.budget.ratio`: retries for each request to a host, over ten seconds, 0 to 1000. Default 0.1.
    pub budget_ratio: f64,
    /// `retry.budget.min_per_second`: retries a second to a host that are free, up to a million. Default 1.
    pub budget_min_per_second: u32,
    /// `retry.respect_retry_after`: whether the pause that an answer asks for is kept. Default true.
    pub respect_retry_after: bool,
    /// `retry.max_retry_after`: an answer that asks for a longer pause is given at once. Default 30 s.
    pub max_retry_after: Duration,
}

/// How chance shapes a pause between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// Anything up to the bound.
    Full,
    /// At least half of the bound.
    Equal,
    /// The bound.
    None,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            max_attempts: 3,
            backoff_base: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            jitter: Jitter::Full,
            statuses: vec![425, 429, 502, 503, 504],
            methods: ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"]
                .map(str::to_owned)
                .to_vec(),
            idempotency_header: "Idempotency-Key".to_owned(),
            budget_ratio: 0.1,
            budget_min_per_second: 1,
            respect_retry_after: true,
            max_retry_after: Duration::from_secs(30),
        }
    }
}

/// Whether an answer of this status can be a failure; the error says what would be right.
pub(crate) fn check_status(text: &str) -> Result<(), &'static str> {
    match text.parse::<u16>() {
        Ok(400..=599) => Ok(()),
        _ => Err("expected a status from 400 to 599"),
    }
}

/// Whether this is a method. One that is not written in capitals is none that anybody knows.
pub(crate) fn check_method(text: &str) -> Result<(), &'static str> {
    match http::Method::from_bytes(text.as_bytes()) {
        Ok(_) if !text.bytes().any(|byte| byte.is_ascii_lowercase()) => Ok(()),
        _ => Err("expected a method such as \"GET\""),
    }
}

/// Whether a header can have this name.
pub(crate) fn check_header_name(text: &str) -> Result<(), &'static str> {
    match http::HeaderName::from_bytes(text.as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => Err("expected the name of a header such as \"Idempotency-Key\""),
    }
}
