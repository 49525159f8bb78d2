//! Cross-region replication: what changes here changes in each other region, soon, and whichever of them is down.
//!
//! ```text
//! publish ─► each region's own queue ─► one lane a region: HEAD here ─► GET here, streamed into PUT there, or parts ─► done
//!                                        └─ a key that is under way waits for itself, and goes once more as it is then
//! ```
//!
//! The failure story: a region that is busy, broken or gone keeps its own lane waiting, and no other's; what waits there goes
//! when it is back, in whatever state its object is then. A change is given up only if the region refuses it for good. A full
//! queue refuses by the region's name. The body of a retry is read from the store again, never from memory.

mod lane;
mod region;
mod service;

pub use lane::LaneStats;
pub use region::Region;
pub use service::{Change, Replication};
