//! The ten services against their peers, faults included.

mod ai;
mod audit;
mod copying;
mod events;
mod mtls;
mod nim;
mod object_lambda;
mod programs;
mod rdma_fallback;
mod replication;
mod s3_migration;
mod s3_store;
mod support;
mod telemetry;
mod wall;
