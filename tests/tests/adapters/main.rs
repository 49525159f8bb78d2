//! Other crates on this client, each behind a feature of the same name: the real crates, over real sockets.

#[cfg(feature = "opentelemetry")]
mod opentelemetry;
