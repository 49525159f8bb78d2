//! What concerns all pools together.

/// `[registry]`: what concerns all pools of a registry together. It is no profile and inherits nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registry {
    /// `registry.max_connections`: of all pools; in use, idle and being dialled. Default [`MaxConnections::Auto`].
    pub max_connections: MaxConnections,
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
