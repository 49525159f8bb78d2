//! What happens to requests and to their answers.

use std::time::Duration;

use super::ClientConfig;
use crate::settings::{Breaker, Coding, Limit, Retry};

impl ClientConfig {
    /// How often a failed request is made in all, where that is safe; default 3, 1 switches retries off. More than 100, or
    /// none, is an error of [`Client::new`](crate::Client::new).
    #[must_use]
    pub fn max_attempts(mut self, max_attempts: u32) -> ClientConfig {
        self.profile.policy.retry.max_attempts = max_attempts;
        self
    }

    /// The bound of the first pause between attempts, doubled up to `max`; default 100 ms and 5 s.
    #[must_use]
    pub fn retry_backoff(mut self, base: Duration, max: Duration) -> ClientConfig {
        let retry = &mut self.profile.policy.retry;
        (retry.backoff_base, retry.backoff_max) = (base, max);
        self
    }

    /// Retries to a host: `ratio` for each request, over ten seconds, and `min_per_second` beside; default 0.1 and 1.
    #[must_use]
    pub fn retry_budget(mut self, ratio: f64, min_per_second: u32) -> ClientConfig {
        let retry = &mut self.profile.policy.retry;
        (retry.budget_ratio, retry.budget_min_per_second) = (ratio, min_per_second);
        self
    }

    /// When failed requests are made again, in full.
    ///
    /// ```
    /// use httputil::ClientConfig;
    /// use httputil::settings::Retry;
    ///
    /// let mut retry = Retry::default();
    /// retry.statuses = vec![503];
    /// retry.methods.push("POST".to_owned());
    /// let config = ClientConfig::default().retry(retry);
    /// ```
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> ClientConfig {
        self.profile.policy.retry = retry;
        self
    }

    /// When requests to a host are refused at once, since too many before them have failed; by default they are.
    ///
    /// ```
    /// use httputil::ClientConfig;
    /// use httputil::settings::Breaker;
    ///
    /// let mut breaker = Breaker::default();
    /// breaker.failure_ratio = 0.5;
    /// let config = ClientConfig::default().breaker(breaker);
    /// ```
    #[must_use]
    pub fn breaker(mut self, breaker: Breaker) -> ClientConfig {
        self.profile.policy.breaker = breaker;
        self
    }

    /// No breakers: each request is sent, however many before it have failed.
    #[must_use]
    pub fn no_breaker(mut self) -> ClientConfig {
        self.profile.policy.breaker.enabled = false;
        self
    }

    /// Requests under way at once, over all hosts, until their answers' bodies have ended; default none, 0 counts as 1. Those
    /// beyond wait for their turn.
    #[must_use]
    pub fn max_concurrent(mut self, max_concurrent: usize) -> ClientConfig {
        self.profile.policy.limit.max_concurrent = Some(max_concurrent.max(1));
        self
    }

    /// The same of one host.
    #[must_use]
    pub fn max_concurrent_per_host(mut self, max_concurrent_per_host: usize) -> ClientConfig {
        self.profile.policy.limit.max_concurrent_per_host = Some(max_concurrent_per_host.max(1));
        self
    }

    /// How many requests go at once, and how fast, in full; by default any number.
    ///
    /// ```
    /// use httputil::ClientConfig;
    /// use httputil::settings::{Limit, Rate};
    ///
    /// let mut limit = Limit::default();
    /// limit.rate = Some(Rate::per_second(50));
    /// limit.queue = Some(100);
    /// let config = ClientConfig::default().limit(limit);
    /// ```
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> ClientConfig {
        self.profile.policy.limit = limit;
        self
    }

    /// Redirects of one request that are followed; default 10. With 0 the answer that redirects is the caller's.
    ///
    /// [`Redirect`](crate::settings::Redirect) says what becomes of method, body and credentials, and
    /// [`Redirects`](crate::Redirects) which were followed.
    #[must_use]
    pub fn max_redirects(mut self, max: u32) -> ClientConfig {
        self.profile.policy.redirect.max = max;
        self
    }

    /// When a request that has no answer yet is sent a second time beside the first, and the first good answer wins; default
    /// never. Only what may be sent twice is, paid for by [`retry_budget`](ClientConfig::retry_budget).
    #[must_use]
    pub fn hedge_after(mut self, after: Duration) -> ClientConfig {
        self.profile.policy.hedge_after = Some(after);
        self
    }

    /// The codings of answers that are asked for and undone, best first; none switches that off. Default gzip, br and zstd,
    /// as far as this crate's features of these names (`brotli`) allow.
    #[must_use]
    pub fn accept_encoding(mut self, codings: impl IntoIterator<Item = Coding>) -> ClientConfig {
        self.profile.policy.compression.accept = codings.into_iter().collect();
        self
    }

    /// Whether cookies that answers set go with later requests, as [`Policy`](crate::settings::Policy) says. Default not.
    /// Needs the feature `cookies`, without which it is refused.
    #[must_use]
    pub fn cookies(mut self, keep: bool) -> ClientConfig {
        self.profile.policy.cookies = keep;
        self
    }

    /// How large a response's body may be, decompressed; beyond it, its reader gets
    /// [`Kind::TooLarge`](crate::Kind::TooLarge), at once where the answer says its length. Default without bound.
    #[must_use]
    pub fn max_response_bytes(mut self, bytes: u64) -> ClientConfig {
        self.profile.policy.max_response_bytes = Some(bytes);
        self
    }
}
