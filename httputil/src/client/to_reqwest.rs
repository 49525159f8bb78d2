//! A `reqwest::Client` of a profile, for crates that take nothing else ([`Client::to_reqwest`]).
//!
//! The rule: what it cannot keep it refuses by name. Each key of a profile is either in [`KEPT`] or in [`refused`]; a key of
//! the latter must be as it is by default, which is then left out. Where connections may go is judged at two places:
//!
//! ```text
//! each connection's URL ─► Proxy::custom ─► what egress refuses is led to a name that nobody has
//! each name             ─► Guard::resolve ─► our own look-up, whose addresses were judged; such a name is told why
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Proxy, redirect};
use url::Url;

use super::Client;
use super::in_force::InForce;
use crate::connect::{Connector, Egress, Names, Route, Target, rule_names_port};
use crate::error::{BoxError, Error, Kind, Problem};
use crate::settings::{Profile, ProxyChoice};

/// Keys that are kept, or that say nothing of requests.
#[cfg(test)]
pub(crate) const KEPT: [&str; 56] = [
    "inherits",
    "description",
    "settings",
    "user_agent",
    // Those that are no secrets.
    "headers",
    "timeout",
    "timeouts.read",
    "timeouts.dns",
    // These two, and the one before, are bounded as one.
    "timeouts.connect",
    "timeouts.tls_handshake",
    "pool.name",
    "pool.max_idle_per_host",
    "pool.idle_timeout",
    "pool.reuse",
    "tcp.keepalive",
    "tcp.keepalive_interval",
    "tcp.keepalive_retries",
    "tcp.nodelay",
    "tcp.user_timeout",
    "tcp.local_address",
    "tcp.interface",
    "tls.min_version",
    "tls.max_version",
    "tls.ca_file",
    "tls.extra_ca_file",
    "tls.roots",
    "tls.cert_file",
    "tls.key_file",
    "tls.crl_files",
    "tls.pins",
    "tls.insecure_skip_verify",
    "http1.max_headers",
    "http1.title_case_headers",
    "http2.enabled",
    "http2.prior_knowledge",
    "http2.keepalive_interval",
    "http2.keepalive_timeout",
    "http2.keepalive_while_idle",
    "http2.initial_stream_window",
    "http2.initial_connection_window",
    "http2.adaptive_window",
    "http2.max_frame_size",
    "http2.max_header_list_size",
    "dns.overrides",
    "dns.resolver",
    "dns.ttl",
    "dns.stale_for",
    "dns.prefer",
    "egress.allow",
    "egress.deny",
    "egress.deny_private",
    "egress.https_only",
    "redirect.max",
    // Within the origin only.
    "redirect.cross_origin",
    "redirect.downgrade",
    // Any proxy that it finds is refused.
    "proxy.from_env",
];

/// A key that is not kept, and whether two profiles differ in it.
type Refused = (&'static str, fn(&Profile, &Profile) -> bool);

macro_rules! refused {
    ($($key:literal: $($part:ident).+ $(($($call:tt)*))?;)*) => {
        [$(($key, |one, other| one.$($part).+ $(($($call)*))? != other.$($part).+ $(($($call)*))?),)*]
    };
}

/// Keys that must be as they are by default.
pub(crate) fn refused() -> impl Iterator<Item = Refused> {
    let by_value: [Refused; 62] = refused! {
        "base_url": policy.base_url;
        "auth.basic.username": policy.auth.basic;
        "auth.basic.password": policy.auth.basic;
        "auth.bearer": policy.auth.bearer;
        "auth.oauth2.token_url": policy.auth.oauth2;
        "auth.oauth2.client_id": policy.auth.oauth2;
        "auth.oauth2.client_secret": policy.auth.oauth2;
        "auth.oauth2.scopes": policy.auth.oauth2;
        "auth.oauth2.audience": policy.auth.oauth2;
        "auth.oauth2.client_auth": policy.auth.oauth2;
        "auth.origins": policy.auth.origins;
        "timeouts.attempt": policy.attempt;
        "timeouts.pool_wait": policy.pool_wait;
        "timeouts.proxy_connect": transport.timeouts.proxy_connect;
        "timeouts.response_header": policy.response_header;
        "timeouts.write": policy.write;
        "timeouts.expect_continue": policy.expect_continue;
        "pool.max_idle": transport.pool.max_idle;
        "pool.max_lifetime": transport.pool.max_lifetime;
        "pool.max_requests_per_connection": transport.pool.max_requests_per_connection;
        "pool.max_connections_per_host": transport.pool.max_connections_per_host;
        "pool.max_connections": transport.pool.max_connections;
        "pool.min_idle_per_host": transport.pool.min_idle_per_host;
        "pool.warm": transport.pool.warm;
        "pool.hibernate_after": transport.pool.hibernate_after;
        "tls.server_name": transport.tls.server_name;
        "http1.max_header_bytes": transport.http1.max_header_bytes;
        "http2.max_connections_per_host": transport.http2.max_connections_per_host;
        "http2.max_streams_per_connection": transport.http2.max_streams_per_connection;
        "dns.balance": transport.dns.balance;
        "egress.trust_proxy": transport.egress.trust_proxy;
        "proxy.no_proxy": transport.proxy.no_proxy;
        "proxy.username": transport.proxy.username;
        "proxy.password": transport.proxy.password;
        "retry.max_attempts": policy.retry.max_attempts;
        "retry.backoff.base": policy.retry.backoff_base;
        "retry.backoff.max": policy.retry.backoff_max;
        "retry.backoff.jitter": policy.retry.jitter;
        "retry.statuses": policy.retry.statuses;
        "retry.methods": policy.retry.methods;
        "retry.idempotency_header": policy.retry.idempotency_header;
        "retry.budget.ratio": policy.retry.budget_ratio.to_bits();
        "retry.budget.min_per_second": policy.retry.budget_min_per_second;
        "retry.respect_retry_after": policy.retry.respect_retry_after;
        "retry.max_retry_after": policy.retry.max_retry_after;
        "breaker.enabled": policy.breaker.enabled;
        "breaker.failure_ratio": policy.breaker.failure_ratio.to_bits();
        "breaker.min_requests": policy.breaker.min_requests;
        "breaker.window": policy.breaker.window;
        "breaker.open_for": policy.breaker.open_for;
        "breaker.max_open_for": policy.breaker.max_open_for;
        "breaker.half_open_requests": policy.breaker.half_open_requests;
        "limit.max_concurrent": policy.limit.max_concurrent;
        "limit.max_concurrent_per_host": policy.limit.max_concurrent_per_host;
        "limit.queue": policy.limit.queue;
        "limit.rate": policy.limit.rate;
        "limit.burst": policy.limit.burst;
        "limit.max_response_bytes": policy.max_response_bytes;
        "hedge.after": policy.hedge_after;
        "compression.accept": policy.compression.accept;
        "compression.max_ratio": policy.compression.max_ratio;
        "cookies": policy.cookies;
    };
    let proxies: [Refused; 3] = [
        ("proxy.url", |one, _| is_proxy(one.transport.proxy.url.as_ref())),
        ("proxy.http", |one, _| is_proxy(one.transport.proxy.http.as_ref())),
        ("proxy.https", |one, _| is_proxy(one.transport.proxy.https.as_ref())),
    ];
    by_value.into_iter().chain(proxies)
}

/// `"none"` is kept.
fn is_proxy(choice: Option<&ProxyChoice>) -> bool {
    matches!(choice, Some(ProxyChoice::Through(_)))
}

/// What of a profile a `reqwest::Client` would not keep, by key, each with what is in its way.
fn not_kept(in_force: &InForce) -> Vec<String> {
    let profile = &in_force.profile;
    let default = Profile::named("default");
    let mut keys: Vec<String> = refused()
        .filter(|(_, differ)| differ(profile, &default))
        .map(|(key, _)| key.to_owned())
        .collect();
    if in_force.pool.connector(Connector::has_proxies) && !keys.iter().any(|key| key.starts_with("proxy.")) {
        keys.push("proxy.from_env, whose variables name a proxy".to_owned());
    }
    let headers = profile.policy.headers.iter();
    let secrets = headers.filter(|(name, value)| value.is_secret(name));
    keys.extend(secrets.map(|(name, _)| format!("headers.{name}, a secret")));
    let egress = &profile.transport.egress;
    for (key, rules) in [("egress.allow", &egress.allow), ("egress.deny", &egress.deny)] {
        let ported = rules.iter().filter(|rule| rule_names_port(rule));
        keys.extend(ported.map(|rule| format!("{key} = \"{rule}\", which names a port")));
    }
    let overrides = profile.transport.dns.overrides.iter();
    let ported = overrides.filter(|(_, addresses)| addresses.iter().any(|address| address.port() != 0));
    keys.extend(ported.map(|(host, _)| format!("dns.overrides.{host}, which names a port")));
    keys
}

impl Client {
    /// A `reqwest::Client` of the same profile, for crates that take nothing else. Needs the feature `reqwest`.
    ///
    /// It has a pool of its own: no lease, no cap, no statistics of this client hold for it, [`stop`](Client::stop) and reloads
    /// do not reach it, and certificates are those of now. What it keeps: TLS with its roots, pins, revocation lists and client
    /// certificate; `egress.*` on each URL and on each address that a name leads to, and `egress.https_only`; names as this
    /// client looks them up; time-outs, the socket's options, default headers that are no secrets. It follows redirects within
    /// an origin only, and sends no `Referer`, so that no header that a caller sets reaches another origin. It makes no retry,
    /// has no breaker, and undoes no coding. Headers that frame a message (`Content-Length`, `Transfer-Encoding`, `Connection`,
    /// `TE`) go out as a caller sets them, where this client refuses those that contradict the body: never let them come from
    /// outside; `timeouts.connect` and those of the look-up and of TLS bound a dial by their sum.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`] that names each key that it can't keep: `base_url` (to reqwest a relative URL is none), proxies (it would
    /// look at no address behind them, and say their login where we do not), secrets, limits and caps, rules of `egress.*` that
    /// name a port, and whatever else is not as it is by default.
    pub fn to_reqwest(&self) -> Result<reqwest::Client, Error> {
        let in_force = self.inner.in_force.load_full();
        let told = |message: String| Error::config(vec![Problem::new(message)]);
        let name = &in_force.profile.name;
        if self.layer.is_some() || self.around.is_some() {
            return Err(told(format!(
                "{name}: a reqwest::Client cannot keep this client's layers"
            )));
        }
        let keys = not_kept(&in_force);
        if !keys.is_empty() {
            let keys = keys
                .iter()
                .map(|key| Problem::new(format!("{name}.{key}: a reqwest::Client cannot keep it")));
            return Err(Error::config(keys.collect()));
        }
        let (names, egress) = in_force
            .pool
            .connector(|connector| (Arc::clone(connector.names()), connector.egress()));
        let tls = in_force.pool.connector(Connector::tls_config);
        let tls = tls.map_err(|failure| told(format!("{name}.tls: {}", failure.message)))?;
        let guard = Arc::new(Guard {
            names,
            egress,
            bound: in_force.profile.transport.timeouts.dns,
            refusals: Mutex::default(),
        });
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .proxy(refusing(Arc::clone(&guard)))
            .dns_resolver(guard)
            .redirect(within_origins(&in_force.profile));
        let built = with_settings(builder, &in_force).build();
        built.map_err(|error| told(format!("{name}: no reqwest::Client can be made of it: {error}")))
    }
}

/// Leads what is refused to a name that tells why; everything else goes directly.
fn refusing(guard: Arc<Guard>) -> Proxy {
    Proxy::custom(move |url| guard.detour(url))
}

fn within_origins(profile: &Profile) -> redirect::Policy {
    let max = profile.policy.redirect.max;
    redirect::Policy::custom(move |attempt| {
        let followed = attempt.previous().len();
        let is_within = attempt
            .previous()
            .last()
            .is_some_and(|from| from.origin() == attempt.url().origin());
        if max == 0 || !is_within {
            attempt.stop()
        } else if usize::try_from(max).is_ok_and(|max| followed > max) {
            attempt.error(format!("redirected more than {max} times (redirect.max)"))
        } else {
            attempt.follow()
        }
    })
}

fn with_settings(builder: reqwest::ClientBuilder, in_force: &InForce) -> reqwest::ClientBuilder {
    let Profile { transport, policy, .. } = &in_force.profile;
    let (timeouts, pool, tcp, http1, http2) = (
        &transport.timeouts,
        &transport.pool,
        &transport.tcp,
        &transport.http1,
        &transport.http2,
    );
    let headers: HeaderMap<HeaderValue> = in_force.headers.iter().cloned().collect::<HeaderMap<_>>();
    let mut builder = builder
        .referer(false)
        // Where another crate has built reqwest with these, it would undo codings that nobody has bounded.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .user_agent(in_force.user_agent.clone())
        .default_headers(headers)
        .https_only(transport.egress.https_only)
        .connect_timeout(
            timeouts
                .dns
                .saturating_add(timeouts.connect)
                .saturating_add(timeouts.tls_handshake),
        )
        .pool_idle_timeout(pool.idle_timeout)
        .pool_max_idle_per_host(if pool.reuse { pool.max_idle_per_host } else { 0 })
        .tcp_nodelay(tcp.nodelay)
        .tcp_keepalive(tcp.keepalive)
        .tcp_keepalive_interval(tcp.keepalive_interval.or(tcp.keepalive))
        .tcp_keepalive_retries(tcp.keepalive_retries)
        .local_address(tcp.local_address)
        .http1_max_headers(usize::try_from(http1.max_headers).unwrap_or(usize::MAX))
        .http2_initial_stream_window_size(http2.initial_stream_window)
        .http2_initial_connection_window_size(http2.initial_connection_window)
        .http2_adaptive_window(http2.adaptive_window)
        .http2_max_frame_size(http2.max_frame_size)
        .http2_max_header_list_size(http2.max_header_list_size)
        .http2_keep_alive_interval(http2.keepalive_interval)
        .http2_keep_alive_timeout(http2.keepalive_timeout)
        .http2_keep_alive_while_idle(http2.keepalive_while_idle);
    #[cfg(target_os = "linux")]
    {
        builder = builder.tcp_user_timeout(tcp.user_timeout);
        if let Some(interface) = &tcp.interface {
            builder = builder.interface(interface);
        }
    }
    if let Some(timeout) = policy.timeout {
        builder = builder.timeout(timeout);
    }
    if let Some(read) = policy.read.beside(policy.timeout) {
        builder = builder.read_timeout(read);
    }
    if http1.title_case_headers {
        builder = builder.http1_title_case_headers();
    }
    if http2.prior_knowledge {
        builder = builder.http2_prior_knowledge();
    } else if !http2.enabled {
        builder = builder.http1_only();
    }
    builder
}

/// The last refusals that are remembered until their names are looked up.
const REMEMBERED: usize = 64;
/// Beneath a domain that nobody can have (RFC 6761 §6.4).
const NOWHERE: &str = ".refused.httputil.invalid";

/// Names as the pool looks them up, and why some connections are not made.
struct Guard {
    names: Arc<Names>,
    egress: Option<Arc<Egress>>,
    bound: Duration,
    /// The number of the next one, and the last ones.
    refusals: Mutex<(u64, VecDeque<(u64, String)>)>,
}

impl Guard {
    /// Where a connection that is refused is led to.
    fn detour(&self, url: &Url) -> Option<Url> {
        let judged = match Target::of(url) {
            Ok(target) => match &self.egress {
                Some(egress) => egress
                    .judge(&target, &Route::Direct)
                    .map_err(|refusal| refusal.to_string()),
                None => Ok(()),
            },
            Err(why) => Err(why.to_owned()),
        };
        let words = judged.err()?;
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, last) = &mut *refusals;
        *next += 1;
        last.push_back((*next, words));
        if last.len() > REMEMBERED {
            last.pop_front();
        }
        let url = Url::parse(&format!("http://r{next}{NOWHERE}:1/"));
        Some(url.expect("a number and a fixed name make a URL"))
    }

    fn words(&self, label: &str) -> String {
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let number = label.strip_prefix('r').and_then(|number| number.parse::<u64>().ok());
        let known = refusals.1.iter().find(|(known, _)| Some(*known) == number);
        known.map_or_else(|| "egress.* refuses it".to_owned(), |(_, words)| words.clone())
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        if let Some(label) = name.as_str().strip_suffix(NOWHERE) {
            let error: BoxError = Box::new(Error::new(Kind::Egress, self.words(label)));
            return Box::pin(std::future::ready(Err(error)));
        }
        let target = Url::parse(&format!("http://{}/", name.as_str()));
        let target = target.ok().and_then(|url| Target::of(&url).ok());
        let (names, bound) = (Arc::clone(&self.names), self.bound);
        Box::pin(async move {
            let target = target.ok_or("this is no host's name")?;
            let found = names.resolve(&target, bound, None).await;
            let found = found.map_err(|failure| Error::new(failure.kind, &*failure.message))?;
            // Port 0 stands for the URL's.
            let addresses = found.addresses.into_iter().map(|mut address| {
                address.set_port(0);
                address
            });
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_is_either_kept_or_refused() {
        let kept: BTreeSet<&str> = KEPT.into_iter().collect();
        let refused: BTreeSet<&str> = refused().map(|(key, _)| key).collect();
        assert_eq!(kept.intersection(&refused).collect::<Vec<_>>(), Vec::<&&str>::new());
        let leaves = crate::config::schema().leaves();
        let keys: BTreeSet<&str> = leaves.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(&kept | &refused, keys);
    }
}
