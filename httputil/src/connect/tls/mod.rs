//! TLS by rustls: whom to trust, who we are, and the handshake under its own bound.
//!
//! An [`Identity`] is everything that decides whom a connection may be made to, and as whom: roots, revocation lists, pins,
//! versions, verification, our own certificate (`material`, by the contents of the files). It is interned per registry
//! ([`Identities`]) and made into one rustls configuration, which is cloned with only its ALPN changed. rustls resumes a
//! session only if verifier and client-certificate resolver are the same `Arc`s, so sessions resume across the pools of one
//! identity and never across two.

mod client_certificate;
mod crls;
mod failure;
mod handshake;
mod identity;
mod info;
mod material;
mod pins;
mod roots;
mod rules;
mod validity;
mod verifier;

pub(crate) use failure::Rejection;
pub(super) use handshake::handshake;
pub(super) use identity::Offer;
pub(crate) use identity::{Identities, Identity};
pub use info::TlsInfo;
pub(crate) use material::{check_server_name, unusable_files};
pub(crate) use pins::check_pin;
pub(crate) use roots::{read_platform_again, roots_variable};
