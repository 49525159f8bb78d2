//! The environment as a value, so that nothing reads the process's behind a caller's back.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

/// A set of environment variables.
///
/// The loader takes one of these, so tests and programs with two tenants need no process-wide variable.
///
/// ```
/// use httputil::Environment;
///
/// let environment = Environment::empty().with("HTTPUTIL_TELEMETRY__TIMEOUT", "10s");
/// assert_eq!(environment.get("HTTPUTIL_TELEMETRY__TIMEOUT").unwrap(), "10s");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// No variable at all.
    pub fn empty() -> Environment {
        Environment::default()
    }

    /// The process's variables, as they are now.
    pub fn of_process() -> Environment {
        Environment {
            variables: std::env::vars_os().collect(),
        }
    }

    /// Adds or replaces one.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Environment {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// One variable's value; `None` if it is not set. An empty value counts as set here.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.variables.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// All variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

/// Names only: a value may be a secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.variables.keys()).finish()
    }
}
