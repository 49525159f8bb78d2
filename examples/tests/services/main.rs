//! The ten services against their peers, faults included.

mod ai;
mod audit;
mod events;
mod nim;
mod object_lambda;
mod replication;
mod s3_migration;
mod support;
mod telemetry;
