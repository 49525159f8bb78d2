//! Object lambda: an object as a webhook makes it, on its way to whoever asked for it. The protocol is that of `MinIO`.
//!
//! ```text
//! get ─► POST the event, which bears a signed URL of the object ─► the transformer reads it there ─┐
//!    or ─► POST the object itself, as it is read from the store ──────────────────────────────────┤
//! reader ◄─ its answer as it comes, once route and token are those of this request ◄──────────────┘
//! ```
//!
//! The failure story: a transformer that is busy or gone is asked again as long as it has not answered, an object that is
//! posted being read anew for it; an answer for another request is none; what breaks later breaks the reader's body, which never
//! ends as if it were whole. Nothing holds more of an object than is on the wire, and whoever drops the answer ends all behind it.

mod error;
mod event;
mod service;

pub use error::LambdaError;
pub use event::UserRequest;
pub use service::{Input, ObjectLambda, Transformed};

/// What the transformer's side of the wire needs.
pub(crate) mod wire {
    pub(crate) use super::event::Event;
    pub(crate) use super::service::{ROUTE, TOKEN};
}
