//! The ten services against their peers, faults included.

mod audit;
mod events;
mod nim;
mod support;
mod telemetry;
