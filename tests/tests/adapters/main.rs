//! Other crates on this client, each behind a feature of the same name: the real crates, over real sockets.

#[cfg(feature = "async_openai")]
mod async_openai;
#[cfg(feature = "oauth2_crate")]
mod oauth2_crate;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
#[cfg(feature = "tonic")]
mod tonic;
