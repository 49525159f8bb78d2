//! Registries for services under test.

use httputil::{Config, Registry};

/// The profiles as they are shipped, with these values on top; nothing of the process counts.
pub(crate) fn registry<'a>(values: impl IntoIterator<Item = (&'a str, String)>) -> Registry {
    let shipped = include_str!("../../../config/httputil.toml");
    let mut builder = Config::builder().embedded("config/httputil.toml", shipped);
    for (key, value) in values {
        builder = builder.set(key, value);
    }
    let config = builder.load().unwrap_or_else(|error| panic!("{error}"));
    Registry::builder().config(config).build().expect("a registry")
}
