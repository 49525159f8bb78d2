//! What the derive writes against.

/// Implemented by the derive.
pub trait PooledClient {}
