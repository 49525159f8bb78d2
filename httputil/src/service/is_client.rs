//! What a field must be that the derive takes for a client.

use crate::client::Client;

use super::parts::{Part, Parts};

/// [`Client`], and nothing else. A macro can't tell one `Client` from another, so the code that it writes reaches a
/// client only through this trait, and the compiler says once, at the field's type, that it is another crate's.
#[diagnostic::on_unimplemented(
    message = "a service's client is `httputil::Client`, and `{Self}` is another type",
    label = "write `httputil::Client` here",
    note = "if the caller passes this one in, mark the field `#[pooled_client(argument)]` instead"
)]
pub trait IsClient: sealed::Sealed + Sized {
    /// A lease on the pool of `profile`, for the field.
    fn lease(parts: &mut Parts<'_>, profile: &str) -> Part<Self>;

    /// The field as a client.
    fn client(&self) -> &Client;
}

#[diagnostic::do_not_recommend]
impl IsClient for Client {
    fn lease(parts: &mut Parts<'_>, profile: &str) -> Part<Client> {
        parts.client(profile)
    }

    fn client(&self) -> &Client {
        self
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::client::Client {}
}
