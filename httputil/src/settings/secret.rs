//! Text that is never shown.

use std::fmt;
use std::sync::Arc;

/// A password, or anything else that must not be read over a shoulder. `Debug` does not show it, and there is no
/// `Display`.
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

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}
