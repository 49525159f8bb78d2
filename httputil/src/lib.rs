//! Shared HTTP connection pools for annotated services.
//!
//! A program talks to many servers, and each of its services wants a client. One client per request, or per service,
//! costs a TLS handshake each time, runs out of sockets and scatters time-outs over the code. Here a service names a
//! *profile*; the profile says in `httputil.toml` how its clients behave; and services of one profile share a
//! connection pool that can be seen, capped and closed. Requests are written as with [`reqwest`], and answers are real
//! [`reqwest::Response`]s.
//!
//! # What a pool saves
//!
//! Milliseconds over two distances to the server, measured in one run with a `reqwest::Client` made for each request, as
//! services without a shared pool do (`cargo bench -p httputil-tests --bench distance`). The first request of a pool costs
//! what each of the others' does: round trips for TCP, for TLS (two in TLS 1.2), and for itself.
//!
//! | round trip | protocol | first request | next requests | client per request | saved per request | sockets |
//! |---|---|---|---|---|---|---|
//! | 20 ms | HTTP/1.1 | 43 | 23 | 44 | 21 | 1, not 25 |
//! | 20 ms | HTTP/1.1, TLS 1.2 | 89 | 23 | 91 | 68 | 1, not 25 |
//! | 20 ms | HTTP/1.1, TLS 1.3 | 67 | 23 | 69 | 45 | 1, not 25 |
//! | 20 ms | HTTP/2, TLS 1.2 | 92 | 24 | 92 | 68 | 1, not 25 |
//! | 20 ms | HTTP/2, TLS 1.3 | 69 | 24 | 69 | 45 | 1, not 25 |
//! | 100 ms | HTTP/1.1 | 204 | 104 | 204 | 99 | 1, not 10 |
//! | 100 ms | HTTP/1.1, TLS 1.2 | 410 | 104 | 413 | 309 | 1, not 10 |
//! | 100 ms | HTTP/1.1, TLS 1.3 | 307 | 104 | 310 | 206 | 1, not 10 |
//! | 100 ms | HTTP/2, TLS 1.2 | 416 | 103 | 412 | 309 | 1, not 10 |
//! | 100 ms | HTTP/2, TLS 1.3 | 311 | 104 | 312 | 207 | 1, not 10 |
//!
//! # Ten lines
//!
//! ```no_run
//! use httputil::{Client, PooledClient};
//! use url::Url;
//!
//! /// Ships finished spans to the collector.
//! #[derive(PooledClient)]
//! #[pooled_client(profile = "telemetry")]
//! pub struct SpanExporter {
//!     client: Client,
//!     #[pooled_client(setting)]
//!     endpoint: Url,
//! }
//!
//! async fn export(bytes: Vec<u8>) -> Result<(), httputil::Error> {
//!     let exporter = SpanExporter::new()?;
//!     exporter.client.post(exporter.endpoint.clone()).body(bytes).send().await?;
//!     exporter.stop();
//!     Ok(())
//! }
//! ```
//!
//! What else a struct can say (arguments, defaults, a second client) stands under the derive
//! [`PooledClient`](derive@PooledClient).
//!
//! # Editing and overriding
//!
//! `httputil.toml` or `config/httputil.toml` is searched from the working directory upward, to the project's root:
//!
//! ```toml
//! [default]                  # every profile starts here
//! timeout = "30s"
//!
//! [telemetry]
//! timeout = "10s"
//!
//! [telemetry.pool]
//! max_idle_per_host = 4
//!
//! [telemetry.settings]       # the service's own values, typed by its fields
//! endpoint = "http://127.0.0.1:4318/v1/traces"
//! ```
//!
//! `httputil.<HTTPUTIL_ENV>.toml` and `httputil.local.toml` beside it count above it, variables such as
//! `HTTPUTIL_TELEMETRY__POOL__IDLE_TIMEOUT=45s` above all files, and `[global]` or `HTTPUTIL_GLOBAL__TIMEOUT=20s` above
//! what a profile says itself. A typo anywhere is an error that names the place and what was meant. Who set what, and
//! what that hides, tells [`Config::explain`]; [`Config::schema`] is for editors.
//!
//! [`embed_config!`] puts a file into the program, for deployments that have variables only.
//!
//! The feature `cli` builds the command line: `httputil check` finds every mistake of every environment (for CI too),
//! `httputil explain telemetry` says who set what, `httputil env telemetry` lists all variables, `httputil init` writes a
//! file to start from, `httputil probe URL --profile telemetry` shows where a request's time goes.
//!
//! # Stopping
//!
//! A [`Client`] is a lease on its pool, shared with its clones. [`stop`](Client::stop) gives it back: later requests
//! fail with [`Kind::Stopped`], those under way finish; [`shutdown`](Client::shutdown) waits for them; a drop of the
//! last clone does it too. When a pool's last lease is back, its idle connections are closed at once.
//!
//! [`Registry::services`] lists the annotated services that are alive; [`Registry::shutdown`] stops them all, the last one
//! first.
//!
//! # Reloading
//!
//! [`Registry::reload`] puts another configuration in force under the clients that are held, wholly or not at all. Time-outs
//! and retries count from the next request on; where what shapes connections has changed, no later request uses those from
//! before, and none fails for it. With the feature `watch`, `registry.watch = true` and `Registry::watch` do so when the files
//! change. Certificates, keys and revocation lists are followed without it.
//!
//! # In code, without configuration
//!
//! ```
//! use std::time::Duration;
//!
//! use httputil::{Client, ClientConfig, Config, Registry};
//!
//! # fn main() -> Result<(), httputil::Error> {
//! // A pool of its own; no file and no HTTPUTIL_* variable is read.
//! let client = Client::new(ClientConfig::default().timeout(Duration::from_secs(60)).max_idle(200))?;
//!
//! // A registry of its own, for tests or a second tenant; `Registry::global()` is the process's.
//! let config = Config::builder().embedded("built in", "[telemetry]").set("telemetry.timeout", "10s").load()?;
//! let registry = Registry::builder().config(config).build()?;
//! let client = registry.client("telemetry")?;
//! # Ok(())
//! # }
//! ```
//!
//! # As a `tower::Service`
//!
//! A [`Client`] is a `Service<http::Request<B>>` too, and so is `&Client`: for generated gRPC clients, for layers of your
//! own, and where reqwest's types are not wanted. It is the same way to the same pool: lease, time-out, resend and errors
//! are those of [`send`](RequestBuilder::send).
//!
//! ```no_run
//! use bytes::Bytes;
//! use http_body_util::{BodyExt, Full};
//! use tower_service::Service;
//!
//! # async fn fetch(mut client: httputil::Client) -> Result<(), httputil::Error> {
//! let request = http::Request::post("https://collector.example/v1/traces").body(Full::from("spans"));
//! let response = client.call(request.expect("a fixed request is well-formed")).await?;
//! let body: Bytes = response.into_body().collect().await?.to_bytes();
//! # Ok(())
//! # }
//! ```
//!
//! # As a `reqwest::Client`
//!
//! Some crates take a `reqwest::Client` and nothing else. With the feature `reqwest`, `Client::to_reqwest` makes one of the same
//! profile: with a pool of its own, TLS and `egress.*` as here, and without what it can't keep, which it refuses by name.
//!
//! # For OpenTelemetry's exporters
//!
//! With the feature `opentelemetry`, `Client::to_opentelemetry` makes an `opentelemetry_http::HttpClient` of a client, for spans
//! that go over its pool. It may be asked from threads without a runtime, and does not trace what it does.
//!
#![cfg_attr(not(doctest), doc = include_str!("../docs/async-openai.md"))]
//!
//! # For object stores
//!
//! With the feature `object_store`, `Client::to_object_store` makes a connector for the stores of the crate of that name,
//! which then send over this client's pool. Its documentation tells what that crate can't do.
//!
//! # For the flows of the crate `oauth2`
//!
//! With the feature `oauth2_crate`, `Client::to_oauth2` makes an `oauth2::AsyncHttpClient` of a client: authorization codes,
//! device codes, refreshing, revoking. Tokens for the profile's own requests need none of this: `auth.oauth2`, with the feature
//! `oauth2`, fetches those.
//!
#![cfg_attr(not(doctest), doc = include_str!("../docs/tonic.md"))]
//!
//! # Retries
//!
//! A request that fails is attempted up to three times: without an answer, or with 425, 429 (if it says when to come back),
//! 502, 503 or 504. Only what may be sent twice is: the idempotent methods, requests that bear an `Idempotency-Key`, and
//! any request that the server has certainly not acted on; a body that is a stream is sent once, unless
//! [`RequestBuilder::body_factory`] makes it anew. Pauses grow and are spread, `Retry-After` is kept, and a pause beyond
//! the request's `timeout` is not begun. A host gets no more retries than a tenth of its requests and one a second.
//! `retry.*` and [`ClientConfig::retry`] change all of it; [`Timings::attempts`] and [`Error::attempts`] tell of it.
//!
//! # Breakers
//!
//! A host that fails is left alone. When, within ten seconds, four of five of at least 20 requests to it have failed by its
//! own fault (no connection, no TLS, a reset, no header in time, 502, 503, 504), its breaker opens: requests fail at once
//! with [`Kind::BreakerOpen`], whose [`retry_after`](Error::retry_after) says when to come back. After 5 s three requests
//! are let through; if they go well it closes, else it opens for twice as long, a minute at most. The clients of a profile
//! share a host's breaker; [`Registry::breaker`] and [`Client::breaker`] show it and can overrule it; `breaker.*` and
//! [`ClientConfig::breaker`] change all of it.
//!
//! # Limits
//!
//! Off by default. `limit.max_concurrent` and `limit.max_concurrent_per_host` bound the requests under way, until their
//! answers' bodies have ended; `limit.rate = "50/s"` with `limit.burst` bounds how fast they go. Those beyond wait in line
//! within their time-out; `limit.queue` bounds the line, and with 0 nobody waits: [`Kind::LimitExceeded`] at once.
//!
//! # Redirects
//!
//! Up to ten redirects of a request are followed (`redirect.max`), 303 and those of a `POST` by 301 and 302 with a `GET`,
//! the others with method and body; of a body that is a stream, unless it can be made anew, the redirecting answer is
//! yours. At another origin nothing that may be a secret goes along, nor on any later hop: `Authorization`, `Cookie`,
//! `Proxy-Authorization`, headers that are marked as sensitive or are called `…token…`, `…secret…`, `…password…` or
//! `…api-key…`; nor do `Host`, `Origin` and `Referer`. From https to http no redirect is followed unless
//! `redirect.downgrade` is set. [`Redirects`], an extension of the response, tells the way.
//!
//! # Headers and credentials
//!
//! A request's own `Host` is said in place of its URL's, over HTTP/2 as `:authority`, and decides nothing else: neither
//! which connection it takes nor what it is told.
//!
//! `headers` gives each request of a profile headers that it does not bear itself, `auth` says who we are: by the Basic
//! scheme, or by a token, which a file may hold that somebody else renews, or an authorization server gives (`auth.oauth2`,
//! with the feature `oauth2`). What is secret of it goes to the profile's own
//! origins only, that of `base_url` or those of `auth.origins`, whatever URL a request has or a redirect names.
//!
//! ```toml
//! [search]
//! base_url = "https://search.example/v1"
//! headers = { x-team = "catalogue", x-partner = { env = "PARTNER_KEY" } }
//! auth.bearer = { file = "/run/secrets/search-token" }
//! ```
//!
//! # Cookies
//!
//! With the feature `cookies` and `cookies = true`, cookies that answers set go with later requests to their hosts. All clients
//! of a profile share them, nothing writes them down, and they follow the rule of credentials: those of the profile's own
//! origins only, where any are written, and none after a redirect to another origin. [`Client::clear_cookies`] forgets them.
//!
//! # Layers
//!
//! There are two places for layers of your own. A [`RequestLayer`] is around whole requests, whichever door they come by;
//! where all come by `tower::Service`, one of tower's does as well. An [`AttemptLayer`] is around each attempt on its final
//! headers: for signatures, and for tokens that you fetch yourself.
//!
//! # Hedging
//!
//! Off by default. With `hedge.after = "50ms"` a request that has no answer by then is sent a second time beside the first,
//! and the first good answer wins: where one in a hundred answers is late, one in ten thousand is then. Only what may be
//! sent twice is, within the host's retry budget, past its breaker, and where its limits have a place.
//!
//! # Several endpoints
//!
//! `base_url` may be a list, of endpoints that give the same service. Each attempt of a relative request goes to one: of two
//! that chance names the one with less under way and faster answers of late. Those with an open breaker are passed over,
//! and a retry goes to another endpoint; where all are open a request fails at once, with the shortest time to wait. An
//! absolute URL goes where it says, and all its attempts do, though it be an endpoint's. What a relative request bears
//! itself, its `Host` and its `Authorization` included, goes to whichever endpoint it is sent to.
//!
//! # The policies alone
//!
//! What goes another way, a database's driver for one, can have the same judgement: [`policy`] offers the breaker, the budget of
//! retries, pauses with jitter, hedges, deadlines, limits, rates, the choice among endpoints and the rules of redirects, each usable
//! alone.
//!
//! # Errors
//!
//! Everything fails with one [`Error`], in one line that says what happened, to which request, and what would be right;
//! no secret shows in it. Its [`kind`](Error::kind) is for programs. An error met while a body is read comes wrapped by
//! reqwest, and [`Error::of`] finds it:
//!
//! ```no_run
//! # async fn fetch(client: httputil::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use httputil::{Error, Kind};
//!
//! let response = match client.get("https://collector.example/health").send().await {
//!     Ok(response) => response,
//!     Err(error) if error.is_retryable() => return Ok(()), // the server has certainly not acted on it
//!     Err(error) if error.kind() == Kind::Stopped => return Ok(()),
//!     Err(error) => return Err(error.into()),
//! };
//! if let Err(error) = response.bytes().await
//!     && Error::of(&error).is_some_and(Error::is_timeout)
//! {
//!     eprintln!("the body took too long");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Statistics
//!
//! ```no_run
//! # fn main() -> Result<(), httputil::Error> {
//! for pool in httputil::Registry::global()?.stats().pools {
//!     println!("{}: {} open, {} idle, {:.0} % reused", pool.name, pool.open, pool.idle, 100.0 * pool.reuse_ratio());
//! }
//! # Ok(())
//! # }
//! ```

mod client;
mod config;
mod connect;
mod error;
mod files;
pub mod policy;
mod pool;
mod registry;
pub mod service;
pub mod settings;
mod wire;

#[cfg(feature = "oauth2_crate")]
pub use client::OAuth2Client;
#[cfg(feature = "object_store")]
pub use client::ObjectStoreConnector;
#[cfg(feature = "opentelemetry")]
pub use client::OpenTelemetryClient;
pub use client::{
    Attempt, AttemptLayer, Body, Breaker, Client, IntoUrl, LayerFuture, LayeredRequest, Next, Redirected, Redirects,
    Refused, RequestBuilder, RequestLayer, RequestOptions, ResponseFuture, Shutdown, Timings,
};
pub use config::{Config, ConfigBuilder, Embedded, ExplainedKey, Explanation, Place, Variable};
pub use connect::TlsInfo;
pub use error::{BoxError, Error, Kind, Origin, Phase, Problem};
pub use httputil_macros::PooledClient;
pub use pool::{BreakerState, HostStats, PoolStats};
pub use registry::{ProfileChange, Registry, RegistryBuilder, ReloadReport, ServiceInfo, Stats, default_client};
#[cfg(feature = "watch")]
pub use registry::{Watch, WatchBuilder};
pub use service::PooledClient;
pub use settings::{ClientConfig, Environment};
pub use wire::CloseReason;

/// What the derive's code calls; no part of the promise.
#[doc(hidden)]
pub mod __private {
    pub use crate::service::generated::*;
}

/// What the benchmarks reach into; no part of the promise.
#[cfg(feature = "bench-internals")]
#[doc(hidden)]
pub mod __bench {
    pub use crate::pool::bench::Pool;
}
