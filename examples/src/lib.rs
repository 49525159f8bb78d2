//! Ten services of a storage system, each an annotated struct that is meant to be copied.
//!
//! | module | profile | what it speaks |
//! |---|---|---|
//! | [`ai`] | `ai` | prompts to `OpenAI`, Anthropic and Ollama, answers as they are made; embeddings |
//! | [`audit`] | `audit` | batches of what was done, at least once and in order, spooled to disk |
//! | [`events`] | `events` | S3 event notifications by webhook, signed, each target on its own |
//! | [`mtls`] | `mtls` | anything, to peers that ask for a client certificate, which may be renewed at any time |
//! | [`telemetry`] | `telemetry` | spans to a collector, OTLP or Zipkin, never in anybody's way |
//! | [`nim`] | `nim` | chat, embeddings and ranking from replicas of NVIDIA NIM |
//! | [`object_lambda`] | `object_lambda` | an object as a webhook makes it, streamed through both ways |
//! | [`rdma_fallback`] | `rdma_fallback` | objects by RDMA where there is any, over HTTP where it is not or breaks |
//! | [`replication`] | `replication` | what changes in a bucket, streamed to other regions, each in a lane of its own |
//! | [`s3_migration`] | `s3_migration` | a bucket of another store, listed and streamed over, signed, resumed where it broke |
//!
//! Each module holds the service, its types and its failure story; [`peers`] holds a server for each, which the binaries
//! (`cargo run --bin event_webhooks`) and the tests run against. The rule that holds it together: what a service says on the
//! wire is the protocol's, and what it does when the wire fails is its profile's, in `config/httputil.toml`.
//!
//! # To copy one
//!
//! Take its folder, its profile with those that it inherits from, and add the crates that it uses: `httputil`, `reqwest`, `serde`,
//! `tokio`, and of its own
//!
//! | module | crates |
//! |---|---|
//! | `ai` | `httpdate`, `serde_json`, `url` |
//! | `audit` | `bytes`, `httpdate`, `serde_json`, `tracing`, `url`, `uuid` |
//! | `events` | `aws-lc-rs`, `bytes`, `futures-util`, `jiff`, `serde_json`, `tracing`, `url`, `uuid` |
//! | `mtls` | `bytes`, `http-body-util`, `rustls` |
//! | `nim` | `base64`, `bytes`, `http-body-util`, `serde_json` |
//! | `object_lambda`, and `s3` | `bytes`, `http`, `http-body`, `http-body-util`, `serde_json`, `tower-service`, `url`, `uuid` |
//! | `rdma_fallback`, and `s3` | `async-trait`, `bytes`, `futures-util`, `http`, `http-body-util`, `tracing`, `uuid` |
//! | `replication`, and `s3` | `tracing` |
//! | `s3` | `aws-credential-types`, `aws-lc-rs`, `aws-sigv4`, `base64`, `bytes`, `crc`, `futures-util`, `http`, `http-body`, `http-body-util`, `md-5`, `percent-encoding`, `quick-xml`, `tower-service`, `tracing`, `url` |
//! | `s3_migration`, and `s3` | `aws-lc-rs`, `serde_json`, `tracing` |
//! | `telemetry` | `async-trait`, `bytes`, `flate2`, `http`, `opentelemetry`, `opentelemetry-http`, `opentelemetry-otlp`, `opentelemetry-proto`, `opentelemetry_sdk`, `prost`, `serde_json`, `tracing`, `url` |
//!
//! in the versions and with the features that the workspace's `Cargo.toml` and this crate's name.

pub mod ai;
pub mod audit;
pub mod command;
pub mod events;
pub mod mtls;
pub mod nim;
pub mod object_lambda;
pub mod peers;
pub mod rdma_fallback;
pub mod replication;
pub mod s3;
pub mod s3_migration;
pub mod telemetry;

/// The documentation's example that needs another crate, compiled where that is.
#[cfg(all(doctest, feature = "object_store"))]
#[doc = include_str!("../../httputil/docs/object_store.md")]
struct ObjectStore;
