//! How many connections there are, and for how long.

use std::time::Duration;

use super::ClientConfig;

impl ClientConfig {
    /// Idle connections kept over all hosts; default 100, 0 keeps none. Lowers what is kept for one host where that is
    /// more.
    #[must_use]
    pub fn max_idle(mut self, max_idle: usize) -> ClientConfig {
        let pool = &mut self.profile.transport.pool;
        pool.max_idle = max_idle;
        pool.max_idle_per_host = pool.max_idle_per_host.min(max_idle);
        pool.min_idle_per_host = pool.min_idle_per_host.min(max_idle);
        self
    }

    /// Idle connections kept to one host; default 10, 0 keeps none. Raises the cap over all hosts where that is lower,
    /// and lowers `min_idle_per_host` where that is higher.
    #[must_use]
    pub fn max_idle_per_host(mut self, max_idle_per_host: usize) -> ClientConfig {
        let pool = &mut self.profile.transport.pool;
        pool.max_idle_per_host = max_idle_per_host;
        pool.max_idle = pool.max_idle.max(max_idle_per_host);
        pool.min_idle_per_host = pool.min_idle_per_host.min(max_idle_per_host);
        self
    }

    /// Connections made ready for a host when it gets a request or is in [`warm`](ClientConfig::warm); default 0. What
    /// closes in between, or could not be dialled, is made up for at the next request. Raises the caps of idle and of all
    /// connections where they are lower.
    #[must_use]
    pub fn min_idle_per_host(mut self, min_idle_per_host: usize) -> ClientConfig {
        let pool = &mut self.profile.transport.pool;
        pool.min_idle_per_host = min_idle_per_host;
        pool.max_idle_per_host = pool.max_idle_per_host.max(min_idle_per_host);
        pool.max_idle = pool.max_idle.max(min_idle_per_host);
        pool.max_connections_per_host = pool.max_connections_per_host.map(|cap| cap.max(min_idle_per_host));
        pool.max_connections = pool.max_connections.map(|cap| cap.max(min_idle_per_host));
        self
    }

    /// URLs, `http` or `https`, whose hosts are connected to before the first request; default none.
    ///
    /// ```
    /// use httputil::ClientConfig;
    ///
    /// let config = ClientConfig::default().warm(["https://collector:4318"]).min_idle_per_host(2);
    /// ```
    #[must_use]
    pub fn warm(mut self, urls: impl IntoIterator<Item = impl Into<String>>) -> ClientConfig {
        self.profile.transport.pool.warm = urls.into_iter().map(Into::into).collect();
        self
    }

    /// Connections to one host for each tokio runtime, in use, idle and being dialled; default without bound, and none (0)
    /// counts as one. Beyond it requests wait for [`pool_wait`](ClientConfig::pool_wait). Raises the cap over all hosts
    /// where that is lower, and lowers `min_idle_per_host` where that is higher.
    #[must_use]
    pub fn max_connections_per_host(mut self, max_connections_per_host: usize) -> ClientConfig {
        let pool = &mut self.profile.transport.pool;
        let cap = max_connections_per_host.max(1);
        pool.max_connections_per_host = Some(cap);
        pool.max_connections = pool.max_connections.map(|all| all.max(cap));
        pool.min_idle_per_host = pool.min_idle_per_host.min(cap);
        self
    }

    /// Connections of the whole pool, in use, idle and being dialled; default without bound, 0 counts as 1. Beyond it
    /// requests wait for [`pool_wait`](ClientConfig::pool_wait). Lowers the cap per host and `min_idle_per_host` where
    /// they are higher.
    ///
    /// A host that does not answer has one for a second, or three if it hangs in its TLS handshake, while others wait:
    /// behind twenty of these, with two connections, a sound host waits for ten seconds.
    #[must_use]
    pub fn max_connections(mut self, max_connections: usize) -> ClientConfig {
        let pool = &mut self.profile.transport.pool;
        let cap = max_connections.max(1);
        pool.max_connections = Some(cap);
        pool.max_connections_per_host = pool.max_connections_per_host.map(|per_host| per_host.min(cap));
        pool.min_idle_per_host = pool.min_idle_per_host.min(cap);
        self
    }

    /// How old a connection may be when it takes a request, give or take a tenth; default 10 min.
    #[must_use]
    pub fn max_lifetime(mut self, max_lifetime: Duration) -> ClientConfig {
        self.profile.transport.pool.max_lifetime = Some(max_lifetime);
        self
    }

    /// A connection may take requests however old it is.
    #[must_use]
    pub fn no_max_lifetime(mut self) -> ClientConfig {
        self.profile.transport.pool.max_lifetime = None;
        self
    }

    /// Requests that one connection takes, as
    /// [`max_requests_per_connection`](crate::settings::Pool::max_requests_per_connection) says; default without bound, 0
    /// counts as 1.
    #[must_use]
    pub fn max_requests_per_connection(mut self, max_requests_per_connection: u32) -> ClientConfig {
        self.profile.transport.pool.max_requests_per_connection = Some(max_requests_per_connection.max(1));
        self
    }

    /// How long a connection may be idle; default 90 s.
    #[must_use]
    pub fn idle_timeout(mut self, idle_timeout: Duration) -> ClientConfig {
        self.profile.transport.pool.idle_timeout = idle_timeout;
        self
    }

    /// An HTTP/1 connection that has been idle for this long gives its buffers back until a request wakes it; default
    /// 5 s.
    #[must_use]
    pub fn hibernate_after(mut self, hibernate_after: Duration) -> ClientConfig {
        self.profile.transport.pool.hibernate_after = Some(hibernate_after);
        self
    }

    /// Idle connections keep their buffers, about 27 KB each.
    #[must_use]
    pub fn no_hibernation(mut self) -> ClientConfig {
        self.profile.transport.pool.hibernate_after = None;
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

    /// HTTP/2 connections to one host; default 4, 0 counts as 1. The next is dialled at about 70 % of the places.
    #[must_use]
    pub fn http2_max_connections_per_host(mut self, max_connections_per_host: usize) -> ClientConfig {
        self.profile.transport.http2.max_connections_per_host = max_connections_per_host.max(1);
        self
    }

    /// Requests at once on one HTTP/2 connection, never more than the peer allows; default 128, 0 counts as 1.
    #[must_use]
    pub fn http2_max_streams_per_connection(mut self, max_streams_per_connection: usize) -> ClientConfig {
        self.profile.transport.http2.max_streams_per_connection = max_streams_per_connection.max(1);
        self
    }

    /// HTTP/2's pings (RFC 9113 §6.7): one is sent when no frame came for `interval`, and the connection is given up
    /// when it has had no answer for `timeout`; default 10 s and 5 s.
    #[must_use]
    pub fn http2_keepalive(mut self, interval: Duration, timeout: Duration) -> ClientConfig {
        let http2 = &mut self.profile.transport.http2;
        http2.keepalive_interval = interval;
        http2.keepalive_timeout = timeout;
        self
    }

    /// Whether HTTP/2's pings are sent while no request is under way, too; default false.
    #[must_use]
    pub fn http2_keepalive_while_idle(mut self, keepalive_while_idle: bool) -> ClientConfig {
        self.profile.transport.http2.keepalive_while_idle = keepalive_while_idle;
        self
    }
}
