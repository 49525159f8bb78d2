//! Text that is never shown.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Visitor};

/// By this name the configuration knows that a secret is asked for.
pub(crate) const SECRET: &str = "httputil::settings::Secret";

/// A password, or anything else that must not be read over a shoulder. `Debug` does not show it, and there is no
/// `Display`.
///
/// As a service's setting it is a text, or `{ file = "…" }` or `{ env = "…" }`, whose content it is; a relative file is
/// relative to the folder of the file that names it. From other sources serde reads it as a text.
///
/// ```
/// use httputil::settings::Secret;
///
/// let secret = Secret::from("hunter2");
/// assert_eq!(secret.expose(), "hunter2");
/// assert!(!format!("{secret:?}").contains("hunter2"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// The text, for whoever must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Whether a header of this name, in lower case, bears a secret by all that people call so.
pub(crate) fn tells_a_secret(name: &str) -> bool {
    [
        "authorization",
        "cookie",
        "token",
        "secret",
        "password",
        "api-key",
        "apikey",
    ]
    .iter()
    .any(|word| name.contains(word))
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(Arc::from(text))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(Arc::from(text))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        deserializer.deserialize_newtype_struct(SECRET, SecretVisitor)
    }
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::from(text))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::from)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}
