//! An mTLS client: calls to peers that ask who is there, by a certificate that may be renewed at any time.
//!
//! ```text
//! cert_file, key_file, ca_file, crl_files ─► followed by the registry ─► a new TLS identity, when all of them fit together
//! a call ─► a connection of the identity in force ─► the peer: who are you? ─► an answer, or which side refused the other
//! ```
//!
//! The files are the profile's (`[mtls.tls]`), and the registry follows them: when they change, new connections show the new
//! certificate (for as long as the registry is there, which an explicit one is while somebody holds it), and those that have shown
//! the old one bear what is under way and close. Half a change (a certificate whose key has
//! not come yet) changes nothing. A connection is never shared with another identity, and no session is resumed by one.
//! What goes wrong is told by whose it is ([`MtlsError`]): the peer's certificate, which we refuse, or ours, which the peer does.

mod error;
mod service;

pub use error::MtlsError;
pub use service::{Answer, MtlsClient};
