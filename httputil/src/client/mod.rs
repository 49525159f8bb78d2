//! The client: a handle on a lease, requests in reqwest's language, and a request's way to the pool.
//!
//! ```text
//! RequestBuilder ─► reqwest::Request ─┬► deadline ─► limit ─► redirect ─► credentials ─► retry ─► breaker ─► sign ─► resend ─┐
//!          tower ─► http::Request<B> ─┘        reqwest::Response, or http::Response<Body> ◄─ wire ◄─ pool ◄──────────────────┘
//! ```
//!
//! Each stage is one file: [`execute`] is the way as a whole, `service` its second door, [`in_force`] the settings that a
//! request takes along, `options` what it wants otherwise than its profile, `policies` what is known of each host,
//! `redirect` goes where an answer sends the request, `credentials` are the profile's own, one of them a `token_file`,
//! another an `oauth2` server's, `cookies` are what answers have set, `retry` makes a failed [`attempt`] again, `breaker`
//! asks whether its host is to be asked, `layer` lets the user sign it, `to_reqwest` makes a client of reqwest's under the
//! same guards, `opentelemetry` one for exporters, `object_store` one for stores, `oauth2_crate` one for the flows of the
//! crate `oauth2`, `address` and `message` turn the users' types into hyper's and back, `reading` decompresses and bounds,
//! `body` is the response's body as the user reads it, `failure` makes the one [`Error`](crate::Error) of whatever happened.

mod address;
mod around;
mod attempt;
mod body;
mod breaker;
mod builder;
mod cookies;
mod credentials;
mod endpoints;
mod execute;
mod failure;
mod forwarded;
mod framing;
mod handle;
mod hedge;
mod in_code;
mod in_force;
mod into_url;
mod layer;
mod limit;
#[cfg(test)]
mod memory;
mod message;
mod multipart;
#[cfg(test)]
mod noise_tests;
#[cfg(feature = "oauth2")]
mod oauth2;
#[cfg(feature = "oauth2_crate")]
mod oauth2_crate;
#[cfg(feature = "object_store")]
mod object_store;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
mod options;
#[cfg(test)]
mod phases_tests;
mod policies;
mod reading;
mod redirect;
mod retry;
mod sendings;
mod service;
mod shutdown;
#[cfg(test)]
mod stranded_tests;
#[cfg(test)]
mod tests;
mod timings;
#[cfg(feature = "reqwest")]
mod to_reqwest;
mod token_file;

pub use around::{LayeredRequest, Next, RequestLayer};
pub use body::Body;
pub use breaker::Breaker;
pub use builder::RequestBuilder;
pub use handle::{Client, Shutdown};
pub use into_url::IntoUrl;
pub use layer::{Attempt, AttemptLayer, LayerFuture, Refused};
#[cfg(feature = "oauth2_crate")]
pub use oauth2_crate::OAuth2Client;
#[cfg(feature = "object_store")]
pub use object_store::ObjectStoreConnector;
#[cfg(feature = "opentelemetry")]
pub use opentelemetry::OpenTelemetryClient;
pub use options::RequestOptions;
pub use redirect::{Redirected, Redirects};
pub use service::ResponseFuture;
pub use timings::Timings;

pub(crate) use handle::WeakClient;
pub(crate) use in_force::Successor;
pub(crate) use policies::Policies;
pub(crate) use shutdown::shutdown_all;
