//! The client: a handle on a lease, requests in reqwest's language, and a request's way to the pool.
//!
//! ```text
//! RequestBuilder ─► reqwest::Request ─► total deadline ─► resend ─► pool ─► wire        reqwest::Response ◄─┘
//! ```
//!
//! Each stage is one file: [`execute`] is the way as a whole, `resend` says what may be sent again, `message` turns
//! reqwest's types into hyper's and back, `body` is the response's body as the user reads it, `failure` makes the one
//! [`Error`](crate::Error) of whatever happened.

mod body;
mod builder;
mod execute;
mod failure;
mod handle;
mod in_code;
mod message;
mod resend;
#[cfg(test)]
mod tests;

pub use builder::RequestBuilder;
pub use handle::{Client, Shutdown};
