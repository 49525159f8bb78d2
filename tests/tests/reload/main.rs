//! Another configuration for a registry in use: by hand, and from files that are watched.

mod by_itself;
#[path = "../pool/common.rs"]
#[allow(dead_code, reason = "shared with the tests of `pool`, which use the rest")]
mod common;
mod every_key;
mod leases;
mod load;
mod policy;
mod refused;
mod roots;
mod scene;
mod transport;
mod watch;
