//! How long things may take.

use std::time::Duration;

use super::ClientConfig;
use crate::settings::PhaseBound;

impl ClientConfig {
    /// The whole request, body included; default 30 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> ClientConfig {
        self.profile.policy.timeout = Some(timeout);
        self
    }

    /// No bound on the whole request, for streams without end. A silent peer is found out by
    /// [`read_timeout`](Self::read_timeout) and [`write_timeout`](Self::write_timeout), then 60 s each.
    #[must_use]
    pub fn no_timeout(mut self) -> ClientConfig {
        self.profile.policy.timeout = None;
        self
    }

    /// How long a request waits for a connection while a cap is reached; default 10 s, zero does not wait.
    #[must_use]
    pub fn pool_wait(mut self, pool_wait: Duration) -> ClientConfig {
        self.profile.policy.pool_wait = pool_wait;
        self
    }

    /// How long the body of a request with `Expect: 100-continue` waits for the server's word over HTTP/1 before it is
    /// sent all the same; default 1 s.
    #[must_use]
    pub fn expect_continue_timeout(mut self, expect_continue: Duration) -> ClientConfig {
        self.profile.policy.expect_continue = expect_continue;
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

    /// The bound of one attempt, from asking for a connection to the end of the body; a retry has it again. Default none.
    #[must_use]
    pub fn attempt_timeout(mut self, attempt: Duration) -> ClientConfig {
        self.profile.policy.attempt = Some(attempt);
        self
    }

    /// How long the answer's header may take once the request has been sent; default for ever.
    #[must_use]
    pub fn response_header_timeout(mut self, response_header: Duration) -> ClientConfig {
        self.profile.policy.response_header = Some(response_header);
        self
    }

    /// The longest silence while the next piece of the response's body is waited for; default none, and 60 s where there
    /// is no bound on the whole request. There it also ends a response that nobody asks for more of for as long.
    #[must_use]
    pub fn read_timeout(mut self, read: Duration) -> ClientConfig {
        self.profile.policy.read = PhaseBound::After(read);
        self
    }

    /// No bound between two pieces of the response's body, not even without one on the whole request.
    #[must_use]
    pub fn no_read_timeout(mut self) -> ClientConfig {
        self.profile.policy.read = PhaseBound::Off;
        self
    }

    /// How long the peer may take nothing of the request while there is something to send; default for ever, and 60 s
    /// where there is no bound on the whole request.
    #[must_use]
    pub fn write_timeout(mut self, write: Duration) -> ClientConfig {
        self.profile.policy.write = PhaseBound::After(write);
        self
    }

    /// No bound on sending the request, not even without one on the whole request.
    #[must_use]
    pub fn no_write_timeout(mut self) -> ClientConfig {
        self.profile.policy.write = PhaseBound::Off;
        self
    }

    /// The bound of a proxy's answer to `CONNECT`, or of the exchange over SOCKS; default 10 s.
    #[must_use]
    pub fn proxy_connect_timeout(mut self, proxy_connect: Duration) -> ClientConfig {
        self.profile.transport.timeouts.proxy_connect = proxy_connect;
        self
    }
}
