//! What the type of a setting must be, said by the compiler in our words and once, at the field's type.

use serde::de::DeserializeOwned;

/// Whatever serde can read.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from the configuration",
    label = "derive `serde::Deserialize` for this type"
)]
pub trait Readable: DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Readable for T {}

/// Whatever has a default.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no default for a setting that is not set",
    label = "write the value, `#[pooled_client(setting, default = …)]`, or derive `Default` for this type"
)]
pub trait WithDefault: Sized {
    /// It.
    fn make() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> WithDefault for T {
    fn make() -> T {
        T::default()
    }
}
