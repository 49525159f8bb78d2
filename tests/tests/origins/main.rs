//! Where a request goes, and what of it may go there: redirects, default headers, credentials; through both doors.

mod auth;
#[cfg(feature = "cookies")]
mod canaries;
mod common;
#[cfg(feature = "cookies")]
mod cookies;
mod crossing;
mod default_headers;
mod layers;
#[cfg(feature = "oauth2")]
mod oauth2;
mod proxied;
mod redirects;
#[cfg(feature = "to_reqwest")]
mod to_reqwest;
mod without_features;
