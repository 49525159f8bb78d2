//! The pool as clients and servers see it: reuse, caps, closing, broken connections, leases.

mod bodies;
mod bounded;
mod broken;
mod cancel;
mod caps;
#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
mod clock;
mod closing;
mod common;
mod dials;
mod expect;
mod floods;
mod framing;
mod global;
mod going_home;
mod h2_cancel;
mod h2_goaway;
mod h2_ping;
mod h2_settings;
mod h2_window;
mod halfread;
mod hibernate;
mod keep_alive_header;
mod lease;
mod lifetime;
mod limits;
mod malformed;
mod panics;
mod resend;
mod reuse;
mod seniority;
mod silence;
mod tower;
mod upgrade;
mod versions;
mod warm;
