//! From a target to an established stream, each phase under its own bound and with its own error.
//!
//! ```text
//! route (egress) ─► dns (egress) ─► race (tcp) ─► [proxy: tls, CONNECT or SOCKS] ─► tls ─► Established { stream, alpn }
//! ```
//!
//! The caller's socket wrapper goes around the raw stream *beneath* TLS (the `wrap` argument of
//! [`Connector::connect`]), so that bytes are counted where they touch the wire. Nothing here knows HTTP or the pool.

mod backoff;
mod connector;
mod dialer;
mod dns;
mod egress;
mod failure;
mod progress;
mod proxy;
mod race;
mod stream;
mod target;
mod tcp;
mod tls;
#[cfg(unix)]
mod unix;

pub(crate) use backoff::Backoff;
pub(crate) use connector::{Connector, Established, Router};
#[cfg(test)]
pub(crate) use dialer::Dialer;
pub(crate) use dns::{Answer, Names, Resolver, check_host};
#[cfg(feature = "reqwest")]
pub(crate) use egress::rule_names_port;
pub(crate) use egress::{Egress, Refusal, check_rule};
pub(crate) use failure::{DialFailure, system_words};
pub(crate) use progress::{Progress, Spent};
pub(crate) use proxy::{Proxies, ProxyServer, Route, check_exception, check_url, proxy_variable, shown_url};
pub(crate) use stream::{Alpn, MaybeTls, Raw};
pub(crate) use target::{Host, Scheme, Target};
pub(crate) use tcp::check_interface;
pub use tls::TlsInfo;
pub(crate) use tls::{
    Identities, Identity, Rejection, check_pin, check_server_name, read_platform_again, roots_variable, unusable_files,
};
