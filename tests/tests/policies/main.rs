//! The policies alone, around calls that go past every client of this crate's.

mod bare;
mod followed;
mod guarded;
