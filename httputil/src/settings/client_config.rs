//! A profile written in code, for clients that read no configuration at all.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::{
    Basic, Breaker, Coding, DefaultHeader, DnsBalance, DnsPreference, Limit, OAuth2, PhaseBound, Profile, ProxyChoice,
    Retry, Secret, Token,
};

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
    /// counts as one. Beyond it requests wait for [`pool_wait`](ClientConfig::pool_wait). Raises the cap over all hosts where that is lower, and
    /// lowers `min_idle_per_host` where that is higher.
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

    /// Requests that one connection takes; default without bound, 0 counts as 1.
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

    /// How long the body of a request with `Expect: 100-continue` waits for the server's word over HTTP/1 before it is
    /// sent all the same; default 1 s.
    #[must_use]
    pub fn expect_continue_timeout(mut self, expect_continue: Duration) -> ClientConfig {
        self.profile.policy.expect_continue = expect_continue;
        self
    }

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

    /// The proxy for every target, loopback included, instead of what the proxy variables say: `http://`, `https://`,
    /// `socks5://` (names are resolved here) or `socks5h://` (by the proxy), with or without `user:password@`.
    ///
    /// That the URL is none is an error of [`Client::new`](crate::Client::new).
    ///
    /// ```
    /// use httputil::{Client, ClientConfig};
    ///
    /// let client = Client::new(ClientConfig::default().proxy("http://user:password@proxy:3128"))?;
    /// assert!(Client::new(ClientConfig::default().proxy("socks4://proxy")).is_err());
    /// # Ok::<(), httputil::Error>(())
    /// ```
    #[must_use]
    pub fn proxy(mut self, url: impl Into<Secret>) -> ClientConfig {
        let proxy = &mut self.profile.transport.proxy;
        proxy.url = Some(ProxyChoice::Through(url.into()));
        (proxy.http, proxy.https) = (None, None);
        self
    }

    /// Who we are to a proxy whose URL does not say it.
    #[must_use]
    pub fn proxy_credentials(mut self, username: impl Into<Secret>, password: impl Into<Secret>) -> ClientConfig {
        let proxy = &mut self.profile.transport.proxy;
        proxy.username = Some(username.into());
        proxy.password = Some(password.into());
        self
    }

    /// No proxy, whatever the proxy variables say.
    #[must_use]
    pub fn no_proxy(mut self) -> ClientConfig {
        let proxy = &mut self.profile.transport.proxy;
        proxy.url = Some(ProxyChoice::Direct);
        (proxy.http, proxy.https) = (None, None);
        self
    }

    /// The codings of answers that are asked for and undone, best first; none switches that off. Default gzip, br and zstd,
    /// as far as this crate's features of these names (`brotli`) allow.
    #[must_use]
    pub fn accept_encoding(mut self, codings: impl IntoIterator<Item = Coding>) -> ClientConfig {
        self.profile.policy.compression.accept = codings.into_iter().collect();
        self
    }

    /// Whether cookies that answers set go with later requests, as [`Policy`](super::Policy) says. Default not. Needs the
    /// feature `cookies`, without which it is refused.
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

    /// Requests may go only to these: `"api.example.com"`, `"*.example.com"` (the names beneath it), `"10.0.0.0/8"`,
    /// `"[::1]:8080"`, `"*:443"`. Judged on the URL and on each address before it is dialled, as
    /// [`Egress`](super::Egress) says; default: anywhere.
    ///
    /// ```
    /// use httputil::ClientConfig;
    ///
    /// let config = ClientConfig::default().allow_egress(["*.example.com:443"]).deny_private_egress();
    /// ```
    #[must_use]
    pub fn allow_egress(mut self, rules: impl IntoIterator<Item = impl Into<String>>) -> ClientConfig {
        self.profile.transport.egress.allow = rules.into_iter().map(Into::into).collect();
        self
    }

    /// Requests may not go to these, written as for [`allow_egress`](ClientConfig::allow_egress), before which it counts;
    /// default none.
    #[must_use]
    pub fn deny_egress(mut self, rules: impl IntoIterator<Item = impl Into<String>>) -> ClientConfig {
        self.profile.transport.egress.deny = rules.into_iter().map(Into::into).collect();
        self
    }

    /// Requests may not go to addresses that are not of the public internet, whatever name leads there: against forged
    /// requests to what is inside (SSRF), where URLs come from outside.
    #[must_use]
    pub fn deny_private_egress(mut self) -> ClientConfig {
        self.profile.transport.egress.deny_private = true;
        self
    }

    /// Only `https` may be spoken.
    #[must_use]
    pub fn https_only(mut self) -> ClientConfig {
        self.profile.transport.egress.https_only = true;
        self
    }

    /// The certificate that is shown to servers that ask for one, and its private key: PEM files, read when the client is
    /// made. The key is PKCS#8, PKCS#1 or SEC1, not encrypted.
    #[must_use]
    pub fn client_certificate(mut self, cert_file: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> ClientConfig {
        let tls = &mut self.profile.transport.tls;
        tls.cert_file = Some(cert_file.into());
        tls.key_file = Some(key_file.into());
        self
    }

    /// Accepted public keys of servers, beside the chain's own check: `sha256/` and the base64 of the SHA-256 of the
    /// certificate's `SubjectPublicKeyInfo`. Default: any.
    #[must_use]
    pub fn pins(mut self, pins: impl IntoIterator<Item = impl Into<String>>) -> ClientConfig {
        self.profile.transport.tls.pins = pins.into_iter().map(Into::into).collect();
        self
    }

    /// Files of certificate revocation lists, PEM or DER. With any, each certificate of a server's chain must be covered by
    /// one that has not expired. Default none.
    #[must_use]
    pub fn crl_files(mut self, crl_files: impl IntoIterator<Item = impl Into<PathBuf>>) -> ClientConfig {
        self.profile.transport.tls.crl_files = crl_files.into_iter().map(Into::into).collect();
        self
    }

    /// The name that servers are asked for and verified by, instead of the URL's host.
    #[must_use]
    pub fn server_name(mut self, server_name: impl Into<String>) -> ClientConfig {
        self.profile.transport.tls.server_name = Some(server_name.into());
        self
    }

    /// Keeps what each TLS handshake agreed on, and the server's certificates, a few kilobytes a connection, for
    /// [`Timings::tls_info`](crate::Timings::tls_info). Off by default.
    #[must_use]
    pub fn tls_info(mut self, keep: bool) -> ClientConfig {
        self.profile.transport.tls_info = keep;
        self
    }

    /// The address of this machine that connections are made from; default as the routes say.
    #[must_use]
    pub fn local_address(mut self, local_address: IpAddr) -> ClientConfig {
        self.profile.transport.tcp.local_address = Some(local_address);
        self
    }

    /// Leads a host, written as URLs name it, to these addresses without a look-up; port 0 stands for the URL's.
    ///
    /// ```
    /// use httputil::ClientConfig;
    ///
    /// let config = ClientConfig::default().dns_override("db.internal", [([10, 0, 0, 1], 0).into()]);
    /// ```
    #[must_use]
    pub fn dns_override(
        mut self,
        host: impl Into<String>,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> ClientConfig {
        let overrides = &mut self.profile.transport.dns.overrides;
        overrides.insert(host.into(), addresses.into_iter().collect());
        self
    }

    /// How long a resolver's answer is used without asking again; default 30 s.
    #[must_use]
    pub fn dns_ttl(mut self, ttl: Duration) -> ClientConfig {
        self.profile.transport.dns.ttl = ttl;
        self
    }

    /// For how long beyond [`dns_ttl`](ClientConfig::dns_ttl) the last good answer stands in while the resolver gives
    /// none; default 5 min, zero is never.
    #[must_use]
    pub fn dns_stale_for(mut self, stale_for: Duration) -> ClientConfig {
        self.profile.transport.dns.stale_for = stale_for;
        self
    }

    /// Which of a name's addresses are dialled first, or at all; default both families in turn (RFC 8305).
    #[must_use]
    pub fn dns_prefer(mut self, prefer: DnsPreference) -> ClientConfig {
        self.profile.transport.dns.prefer = prefer;
        self
    }

    /// Whether a host's connections are spread over all its addresses; default: they go to the first that answers.
    #[must_use]
    pub fn dns_balance(mut self, balance: DnsBalance) -> ClientConfig {
        self.profile.transport.dns.balance = balance;
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

    /// The prefix of relative request URLs, or `unix:/path` of a socket; default none.
    ///
    /// ```
    /// use httputil::{Client, ClientConfig};
    ///
    /// let client = Client::new(ClientConfig::default().base_url("https://api.example/v1"))?;
    /// let request = client.get("users/7").build()?;
    /// assert_eq!(request.url().as_str(), "https://api.example/v1/users/7");
    /// # Ok::<(), httputil::Error>(())
    /// ```
    #[must_use]
    pub fn base_url(mut self, base_url: impl Into<String>) -> ClientConfig {
        self.profile.policy.base_url = vec![base_url.into()];
        self
    }

    /// Several prefixes of relative request URLs, endpoints of one service: each attempt goes to one of them.
    ///
    /// ```
    /// use httputil::ClientConfig;
    ///
    /// let config = ClientConfig::default().base_urls(["https://a.example/v1", "https://b.example/v1"]);
    /// ```
    #[must_use]
    pub fn base_urls<U: Into<String>>(mut self, base_urls: impl IntoIterator<Item = U>) -> ClientConfig {
        self.profile.policy.base_url = base_urls.into_iter().map(Into::into).collect();
        self
    }

    /// `User-Agent` of requests that name none; default `httputil/<version>`.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> ClientConfig {
        self.profile.policy.user_agent = user_agent.into();
        self
    }

    /// A header of requests that bear none of this name. One whose name tells a secret (`authorization`, `cookie`, `…token…`,
    /// `…secret…`, `…password…`, `…api-key…`) goes to the client's own origins only, as
    /// [`secret_header`](ClientConfig::secret_header) does.
    ///
    /// That name or value can stand in no header is an error of [`Client::new`](crate::Client::new).
    #[must_use]
    pub fn default_header(mut self, name: impl AsRef<str>, value: impl Into<String>) -> ClientConfig {
        let headers = &mut self.profile.policy.headers;
        let name = name.as_ref().to_ascii_lowercase();
        let value = DefaultHeader::under(&name, value.into());
        headers.insert(name, value);
        self
    }

    /// The same, to the client's own origins only: that of `base_url`, or [`auth_origins`](ClientConfig::auth_origins). The
    /// value is never shown.
    #[must_use]
    pub fn secret_header(mut self, name: impl AsRef<str>, value: impl Into<Secret>) -> ClientConfig {
        let headers = &mut self.profile.policy.headers;
        headers.insert(name.as_ref().to_ascii_lowercase(), DefaultHeader::Secret(value.into()));
        self
    }

    /// `Authorization` by the Basic scheme (RFC 7617), for requests that bear none, to the client's own origins only.
    #[must_use]
    pub fn basic_auth(mut self, username: impl Into<Secret>, password: impl Into<Secret>) -> ClientConfig {
        let (username, password) = (username.into(), password.into());
        self.profile.policy.auth.basic = Some(Basic { username, password });
        self.profile.policy.auth.bearer = None;
        self.profile.policy.auth.oauth2 = None;
        self
    }

    /// `Authorization` by the Bearer scheme (RFC 6750), for requests that bear none, to the client's own origins only.
    ///
    /// ```
    /// use httputil::{Client, ClientConfig};
    ///
    /// let config = ClientConfig::default().base_url("https://api.example/v1").bearer_auth("token");
    /// let client = Client::new(config)?;
    /// // Without an origin of its own the token would go nowhere.
    /// assert!(Client::new(ClientConfig::default().bearer_auth("token")).is_err());
    /// # Ok::<(), httputil::Error>(())
    /// ```
    #[must_use]
    pub fn bearer_auth(mut self, token: impl Into<Secret>) -> ClientConfig {
        self.profile.policy.auth.bearer = Some(Token::Text(token.into()));
        self.profile.policy.auth.basic = None;
        self.profile.policy.auth.oauth2 = None;
        self
    }

    /// The same with a file's token, which is read again when the file has changed, and when an answer is 401: the request
    /// is sent once more then.
    #[must_use]
    pub fn bearer_auth_file(mut self, file: impl Into<PathBuf>) -> ClientConfig {
        self.profile.policy.auth.bearer = Some(Token::File(file.into()));
        self.profile.policy.auth.basic = None;
        self.profile.policy.auth.oauth2 = None;
        self
    }

    /// The same with tokens that an authorization server gives, as [`OAuth2`] says. Needs the feature `oauth2`, without which
    /// it is refused.
    #[must_use]
    pub fn oauth2(mut self, oauth2: OAuth2) -> ClientConfig {
        let auth = &mut self.profile.policy.auth;
        auth.oauth2 = Some(oauth2);
        (auth.basic, auth.bearer) = (None, None);
        self
    }

    /// Where credentials and secret headers may go: origins such as `https://api.example`; default that of `base_url`.
    #[must_use]
    pub fn auth_origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> ClientConfig {
        self.profile.policy.auth.origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Settings that have no method of their own.
    pub fn profile_mut(&mut self) -> &mut Profile {
        &mut self.profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Pool;

    fn pool(config: ClientConfig) -> Pool {
        config.profile.transport.pool
    }

    #[test]
    fn of_caps_that_do_not_fit_together_the_later_one_wins() {
        let caps = |config: ClientConfig| {
            let pool = pool(config);
            (pool.min_idle_per_host, pool.max_idle_per_host, pool.max_idle)
        };
        let config = ClientConfig::default;
        assert_eq!(caps(config().min_idle_per_host(200)), (200, 200, 200));
        assert_eq!(caps(config().min_idle_per_host(20).max_idle(5)), (5, 5, 5));
        assert_eq!(caps(config().min_idle_per_host(20).max_idle_per_host(5)), (5, 5, 100));
        assert_eq!(
            caps(config().min_idle_per_host(8).max_connections_per_host(5)),
            (5, 10, 100)
        );
        assert_eq!(caps(config().min_idle_per_host(8).max_connections(5)), (5, 10, 100));
        let caps = |config: ClientConfig| {
            let pool = pool(config);
            (pool.max_connections_per_host, pool.max_connections)
        };
        assert_eq!(caps(config().max_connections_per_host(8)), (Some(8), None));
        assert_eq!(caps(config().max_connections(8)), (None, Some(8)));
        let both = config().max_connections_per_host(8).max_connections(5);
        assert_eq!(caps(both.clone()), (Some(5), Some(5)));
        assert_eq!(caps(both.max_connections_per_host(7)), (Some(7), Some(7)));
        assert_eq!(caps(config().max_connections(5).min_idle_per_host(6)), (None, Some(6)));
    }

    #[test]
    fn caps_of_nothing_are_caps_of_one() {
        let config = ClientConfig::default()
            .max_connections(0)
            .max_connections_per_host(0)
            .max_requests_per_connection(0)
            .http2_max_connections_per_host(0)
            .http2_max_streams_per_connection(0);
        let http2 = config.profile.transport.http2.clone();
        assert_eq!(
            (http2.max_connections_per_host, http2.max_streams_per_connection),
            (1, 1)
        );
        let pool = pool(config);
        assert_eq!(
            (pool.max_connections, pool.max_connections_per_host),
            (Some(1), Some(1))
        );
        assert_eq!(pool.max_requests_per_connection, Some(1));
    }

    #[test]
    fn every_method_sets_its_setting() {
        let seconds = Duration::from_secs;
        let config = ClientConfig::default()
            .pool_wait(seconds(1))
            .attempt_timeout(seconds(12))
            .response_header_timeout(seconds(13))
            .read_timeout(seconds(14))
            .write_timeout(seconds(15))
            .max_lifetime(seconds(2))
            .max_requests_per_connection(3)
            .warm(["http://one", "http://two"])
            .http2_keepalive(seconds(4), seconds(5))
            .http2_keepalive_while_idle(true)
            .http2_max_connections_per_host(6)
            .http2_max_streams_per_connection(7)
            .client_certificate("cert.pem", "key.pem")
            .pins(["sha256/8"])
            .crl_files(["list.pem"])
            .server_name("nine.test")
            .base_url("http://eleven.test")
            .local_address(IpAddr::from([127, 0, 0, 10]))
            .dns_ttl(seconds(8))
            .dns_stale_for(seconds(9))
            .dns_prefer(DnsPreference::Ipv4)
            .dns_balance(DnsBalance::RoundRobin)
            .dns_override("a", [([10, 0, 0, 1], 0).into()]);
        let Profile { policy, transport, .. } = config.profile.clone();
        assert_eq!(policy.pool_wait, seconds(1));
        assert_eq!(
            (policy.attempt, policy.response_header),
            (Some(seconds(12)), Some(seconds(13)))
        );
        assert_eq!(
            (policy.read, policy.write),
            (PhaseBound::After(seconds(14)), PhaseBound::After(seconds(15)))
        );
        let off = config.clone().no_read_timeout().no_write_timeout().profile.policy;
        assert_eq!((off.read, off.write), (PhaseBound::Off, PhaseBound::Off));
        assert_eq!(policy.base_url, ["http://eleven.test"]);
        assert_eq!(transport.pool.max_lifetime, Some(seconds(2)));
        assert_eq!(transport.pool.max_requests_per_connection, Some(3));
        assert_eq!(transport.pool.warm, ["http://one", "http://two"]);
        let tls = transport.tls;
        assert_eq!(
            (tls.cert_file, tls.key_file),
            (Some("cert.pem".into()), Some("key.pem".into()))
        );
        assert_eq!(
            (tls.pins, tls.crl_files),
            (vec!["sha256/8".into()], vec!["list.pem".into()])
        );
        assert_eq!(tls.server_name.as_deref(), Some("nine.test"));
        assert_eq!(transport.tcp.local_address, Some(IpAddr::from([127, 0, 0, 10])));
        let dns = transport.dns;
        assert_eq!((dns.ttl, dns.stale_for), (seconds(8), seconds(9)));
        assert_eq!((dns.prefer, dns.balance), (DnsPreference::Ipv4, DnsBalance::RoundRobin));
        assert_eq!(dns.overrides["a"], [([10, 0, 0, 1], 0).into()]);
        let http2 = transport.http2;
        assert_eq!(
            (http2.keepalive_interval, http2.keepalive_timeout),
            (seconds(4), seconds(5))
        );
        assert!(http2.keepalive_while_idle);
        assert_eq!(
            (http2.max_connections_per_host, http2.max_streams_per_connection),
            (6, 7)
        );
        assert_eq!(pool(config.no_max_lifetime()).max_lifetime, None);
    }
}
