//! What concerns all pools together.

/// `[registry]`: what concerns all pools of a registry together. It is no profile and inherits nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registry {
    /// `registry.max_connections`: of all pools; in use, idle and being dialled. Default [`MaxConnections::Auto`].
    pub max_connections: MaxConnections,
    /// `registry.watch`: whether the files that the configuration was read from are followed while it is in force. Default
    /// false. Needs the feature `watch`.
    pub watch: bool,
    /// `registry.strict`: whether a key that this version does not know is an error. Default true; with false it is a warning
    /// in the log and of [`Config::warnings`](crate::Config::warnings), for a fleet in which newer programs read the same file.
    pub strict: bool,
}

impl Default for Registry {
    fn default() -> Registry {
        Registry {
            max_connections: MaxConnections::default(),
            watch: false,
            strict: true,
        }
    }
}

/// Why the files cannot be watched, if that is wished for and cannot be: this program was built without it.
pub(crate) fn without_watch(registry: &Registry) -> Option<&'static str> {
    let is_missing = registry.watch && !cfg!(feature = "watch");
    is_missing
        .then_some("this program was built without it; turn on httputil's feature \"watch\", or leave the key out")
}

/// How many connections all pools may have together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaxConnections {
    /// Three quarters of the process's soft limit of open files, so that a spike ends in a queue and not in `EMFILE`.
    #[default]
    Auto,
    /// No more than these.
    AtMost(usize),
    /// As many as there are requests for.
    Unbounded,
}
