//! Object access by RDMA where there is any, and over HTTP where there is none, or none any more.
//!
//! ```text
//! an operation ─► which side? ─► RDMA: the store's answer, or a failure ─► the same over HTTP, from where it broke
//!                 └─ HTTP, while RDMA is away; now and then it is probed, and taken back when it has been well for a while
//! ```
//!
//! Both sides are a [`Transport`]. The HTTP side speaks S3 over the client; the RDMA side is brought along by whoever has the
//! hardware and its driver ([`Rdma::Present`]), and else there is a reason why there is none ([`Hardware::find`]). Three rules
//! hold it together. What the store answers is an answer by either side: only a side that fails is left. Every operation may be
//! done twice: reads change nothing, a write says the same bytes again, and one that must not overwrite bears an id by which
//! it knows its own work. And a side that comes and goes is not run after: it has to be well for longer each time.

mod counts;
mod hardware;
mod http;
mod reading;
mod service;
mod switch;
mod transport;
mod ways;

pub use counts::{AccessStats, SideStats};
pub use hardware::{Hardware, NoHardware};
pub use reading::Object;
pub use service::{AccessError, ObjectAccess, Rdma};
pub use switch::Side;
pub use transport::{Meta, Opened, Pieces, Transport, TransportError, Write};
