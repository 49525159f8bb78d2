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
