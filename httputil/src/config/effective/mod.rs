//! The settings of a profile and of `[registry]` as text, key by key, as they would be written in a file.
//!
//! Every struct is taken apart field by field, so that a setting without a key, or a key without a line here, does not
//! compile or fails a test in `profile`.

mod policy;
mod profile;
mod proxy;
mod text;
mod transport;

pub(crate) use profile::{registry_values, values};
pub(crate) use proxy::differ_unseen;
pub(crate) use text::{NOT_SET, NOT_SHOWN};
