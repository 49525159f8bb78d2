//! A configuration file that is a part of the program.

use std::fmt;

/// A file that was put into the program by [`embed_config!`](crate::embed_config): the lowest of all files, for
/// deployments that have variables only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Embedded {
    name: &'static str,
    text: &'static str,
}

impl Embedded {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str, text: &'static str) -> Embedded {
        Embedded { name, text }
    }

    /// The path, as it was given.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) const fn text(&self) -> &'static str {
        self.text
    }
}

/// Its name only: there may be secrets in it.
impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Embedded").field(&self.name).finish()
    }
}

/// Puts a configuration file into the program: `embed_config!("../httputil.toml")`, a path from the source file that it is
/// written in, as [`include_str!`] takes it.
///
/// It is the lowest of all files: `httputil.toml`, if one is found, its environments' files and variables count above it.
/// So a program that is deployed with nothing but variables still has its profiles. A relative path *in* it is relative to
/// the working directory.
///
/// For the process-wide registry, in `main`, before the first service is built:
///
/// ```no_run
/// fn main() -> Result<(), httputil::Error> {
///     httputil::embed_config!("../../../config/httputil.toml").install()?;
///     // …
///     Ok(())
/// }
/// ```
///
/// For a configuration of one's own:
///
/// ```
/// use httputil::{Config, embed_config};
///
/// let config = Config::builder().embed(embed_config!("../../../config/httputil.toml")).load()?;
/// assert!(config.profile("telemetry").is_ok());
/// # Ok::<(), httputil::Error>(())
/// ```
#[macro_export]
macro_rules! embed_config {
    ($path:expr $(,)?) => {
        $crate::Embedded::new($path, ::core::include_str!($path))
    };
}
