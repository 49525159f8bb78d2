//! TLS by rustls: whom to trust, who we are, and the handshake under its own bound.
//!
//! An [`Identity`] is everything that decides whom a connection may be made to: roots, versions, verification. It is
//! interned per registry ([`Identities`]) and made into one rustls configuration, which is cloned with only its ALPN
//! changed. rustls resumes a session only if verifier and client-certificate resolver are the same `Arc`s, so sessions
//! resume across the pools of one identity and never across two.

mod failure;
mod handshake;
mod identity;
mod roots;
mod verifier;

pub(super) use handshake::handshake;
pub(super) use identity::Offer;
pub(crate) use identity::{Identities, Identity};
