//! The other side of the wire: servers, names and ports that behave as a test wants, and say what they saw.
//!
//! | a test needs | it takes |
//! |---|---|
//! | a server that answers well | [`server::Server`] with a handler of [`server::handlers`] |
//! | a server that misbehaves in HTTP/1, TLS or TCP | [`script::Script`], one list of steps a connection |
//! | a server that misbehaves in HTTP/2 | [`h2_script::H2Script`], one list of steps a stream |
//! | a proxy that works: HTTP, HTTPS, SOCKS5, with or without a login | [`proxy::Proxy`]; one that does not is a script |
//! | certificates, good and bad | [`ca::Ca`], [`ca::Wrong`]; then [`tls::ServerTls`] |
//! | names that resolve, fail or hang | [`resolver::ScriptedResolver`] |
//! | addresses that refuse or swallow | [`tcp::ClosedPort`], [`tcp::BlackHole`] |
//! | a server that is far away | [`distance::Distance`] |
//! | to stop time at a point of its choice | [`gate::Gate`] |
//! | to know that nothing is left behind | [`leaks::Baseline`] |
//!
//! Three rules hold it together. Every server keeps a [`ledger::Ledger`] and dereferences to it, so that a test awaits
//! what the server sees (`server.until_open(1).await`) and nobody sleeps. Everything listens on loopback, on a port
//! that the kernel chose. Dropping a server ends its tasks and connections; `stop().await` waits until they are gone.

#![allow(
    clippy::missing_panics_doc,
    reason = "to panic with a sentence is how a test kit reports"
)]

pub mod ca;
pub mod distance;
pub mod gate;
pub mod h2_script;
pub mod leaks;
pub mod ledger;
pub mod patience;
pub mod proxy;
pub mod resolver;
pub mod script;
pub mod server;
pub mod tasks;
pub mod tcp;
pub mod tls;
#[cfg(unix)]
pub mod unix;

pub use patience::{PATIENCE, within};

/// The documented defaults but for retries and breakers: for tests of what one attempt does.
#[must_use]
pub fn one_attempt() -> httputil::ClientConfig {
    httputil::ClientConfig::default().max_attempts(1).no_breaker()
}

/// The documentation's examples that need other crates, compiled where those are.
#[cfg(all(doctest, feature = "async_openai"))]
#[doc = include_str!("../../httputil/docs/async-openai.md")]
struct AsyncOpenai;

#[cfg(all(doctest, feature = "oauth2_crate"))]
#[doc = include_str!("../../httputil/docs/oauth2_crate.md")]
struct OAuth2Crate;

#[cfg(all(doctest, feature = "tonic"))]
#[doc = include_str!("../../httputil/docs/tonic.md")]
struct Tonic;

#[cfg(all(doctest, feature = "opentelemetry"))]
#[doc = include_str!("../../httputil/docs/opentelemetry.md")]
struct OpenTelemetry;

/// The README's Rust, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
