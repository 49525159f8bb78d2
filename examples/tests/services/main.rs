//! The ten services against their peers, faults included.

mod events;
mod support;
