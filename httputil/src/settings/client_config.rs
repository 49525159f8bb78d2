//! A profile written in code, for clients that read no configuration at all.

use std::time::Duration;

use super::Profile;

/// The settings of a [`Client`](crate::Client) made in code.
///
/// Starts from the documented defaults; nothing is read from files or from `HTTPUTIL_*` variables. Only
/// `tls.insecure_skip_verify` needs `HTTPUTIL_ENV` to be `development` or `test`, here as in a file.
///
/// ```
/// use std::time::Duration;
/// use httputil::{Client, ClientConfig};
///
/// let config = ClientConfig::default().timeout(Duration::from_secs(60)).max_idle(200);
/// let client = Client::new(config)?;
/// # Ok::<(), httputil::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub(crate) profile: Profile,
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig {
            profile: Profile::named("default"),
        }
    }
}

impl ClientConfig {
    /// Starts from settings that were made elsewhere.
    pub fn from_profile(profile: Profile) -> ClientConfig {
        ClientConfig { profile }
    }

    /// The whole request, body included; default 30 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> ClientConfig {
        self.profile.policy.timeout = Some(timeout);
        self
    }

    /// No bound on the whole request, for streams without end.
    #[must_use]
    pub fn no_timeout(mut self) -> ClientConfig {
        self.profile.policy.timeout = None;
        self
    }

    /// Idle connections kept over all hosts; default 100, 0 keeps none. Lowers the cap per host where that is higher.
    #[must_use]
    pub fn max_idle(mut self, max_idle: usize) -> ClientConfig {
        let pool = &mut self.profile.transport.pool;
        pool.max_idle = max_idle;
        pool.max_idle_per_host = pool.max_idle_per_host.min(max_idle);
        self
    }

    /// Idle connections kept to one host; default 10, 0 keeps none. Raises the cap over all hosts where that is lower.
    #[must_use]
    pub fn max_idle_per_host(mut self, max_idle_per_host: usize) -> ClientConfig {
        let pool = &mut self.profile.transport.pool;
        pool.max_idle_per_host = max_idle_per_host;
        pool.max_idle = pool.max_idle.max(max_idle_per_host);
        self
    }

    /// How long a connection may be idle; default 90 s.
    #[must_use]
    pub fn idle_timeout(mut self, idle_timeout: Duration) -> ClientConfig {
        self.profile.transport.pool.idle_timeout = idle_timeout;
        self
    }

    /// The bound of the TCP connect, all addresses together; default 30 s.
    #[must_use]
    pub fn connect_timeout(mut self, connect: Duration) -> ClientConfig {
        self.profile.transport.timeouts.connect = connect;
        self
    }

    /// The bound of the TLS handshake; default 10 s.
    #[must_use]
    pub fn tls_handshake_timeout(mut self, tls_handshake: Duration) -> ClientConfig {
        self.profile.transport.timeouts.tls_handshake = tls_handshake;
        self
    }

    /// The bound of the name look-up; default 10 s.
    #[must_use]
    pub fn dns_timeout(mut self, dns: Duration) -> ClientConfig {
        self.profile.transport.timeouts.dns = dns;
        self
    }

    /// Whether HTTP/2 is offered by ALPN; default true.
    #[must_use]
    pub fn http2(mut self, enabled: bool) -> ClientConfig {
        self.profile.transport.http2.enabled = enabled;
        self
    }

    /// Speak HTTP/2 without asking, over plain TCP too; default false.
    #[must_use]
    pub fn http2_prior_knowledge(mut self, prior_knowledge: bool) -> ClientConfig {
        self.profile.transport.http2.prior_knowledge = prior_knowledge;
        self
    }

    /// `User-Agent` of requests that name none; default `httputil/<version>`.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> ClientConfig {
        self.profile.policy.user_agent = user_agent.into();
        self
    }

    /// Settings that have no method of their own.
    pub fn profile_mut(&mut self) -> &mut Profile {
        &mut self.profile
    }
}
