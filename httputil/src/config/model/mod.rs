//! The keys of a profile and of `[registry]`: the one description that everything else is made from.
//!
//! The doc comments are the reference's texts, the types say what a value looks like, the attributes what is allowed:
//! `x-transport` marks what profiles sharing a pool must agree on, `x-own` what is not inherited, `x-none` a table that
//! `"none"` switches off as a whole, `x-min`, `x-max` and `x-zero` bound durations and sizes. `schema` reads all of it back
//! as data and drives the checks; serde fills the structs from a merged table that has passed them, and `extract` puts them
//! over the defaults of `settings`.
//!
//! To give life to a key: add the field here, its line in `extract` and in `effective`, and take it off `planned`.

mod connection;
mod policy;
mod profile;
mod way;

pub(crate) use connection::{Http1Keys, Http2Keys, PoolKeys, RootsKey, TcpKeys, TlsKeys, TlsVersionKey};
pub(crate) use policy::{
    AuthKeys, BreakerKeys, ClientAuthKey, CompressionKeys, HedgeKeys, JitterKey, LimitKeys, OAuth2Keys, RedirectKeys,
    RetryKeys,
};
pub(crate) use profile::{ProfileKeys, RegistryKeys, TimeoutsKeys};
pub(crate) use way::{DnsBalanceKey, DnsKeys, DnsPreferenceKey, DnsResolverKey, EgressKeys, ProxyKeys};
