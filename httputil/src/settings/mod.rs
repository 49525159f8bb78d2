//! Plain values that say how a client behaves: no parsing, no I/O, no defaults hidden elsewhere.
//!
//! A [`Profile`] is a name, a [`Transport`] (all that shapes a connection; profiles that share a pool must agree on it) and
//! a [`Policy`] (what happens to one request). `config` makes them from TOML and variables, [`ClientConfig`] makes one in
//! code; [`Registry`] is for all pools together; `pool`, `wire`, `connect` and `client` read them. `Default` of each struct
//! *is* the documented default.

mod base_url;
mod breaker;
mod client_config;
mod compression;
mod dns;
mod egress;
mod environment;
mod headers;
mod limit;
mod oauth2;
mod policy;
mod profile;
mod proxy;
mod redirect;
mod registry;
mod retry;
mod secret;
mod transport;
pub(crate) mod unverified;
mod url_text;

pub(crate) use base_url::{BaseUrl, is_https, socket_of};
pub use breaker::Breaker;
pub use client_config::ClientConfig;
pub(crate) use compression::without_coding;
pub use compression::{Coding, Compression};
pub(crate) use dns::without_feature;
pub use dns::{Dns, DnsBalance, DnsPreference, DnsResolver};
pub use egress::Egress;
pub use environment::Environment;
pub use headers::{Auth, Basic, DefaultHeader, Token};
pub(crate) use headers::{check_origin, check_token, header_mistakes};
pub use limit::{Limit, Rate};
pub use oauth2::{ClientAuth, OAuth2};
pub(crate) use oauth2::{check_scope, check_token_url};
pub(crate) use policy::without_cookies;
pub use policy::{PhaseBound, Policy};
pub use profile::Profile;
pub use proxy::{Proxy, ProxyChoice};
pub use redirect::Redirect;
pub(crate) use registry::without_watch;
pub use registry::{MaxConnections, Registry};
pub use retry::{Jitter, Retry};
pub(crate) use retry::{check_header_name, check_method, check_status};
pub use secret::Secret;
pub(crate) use secret::{SECRET, tells_a_secret};
pub use transport::{Http1, Http2, Pool, Roots, Tcp, Timeouts, Tls, TlsVersion, Transport};
pub(crate) use url_text::check_url_text;
