//! Where a request goes, and what of it may go there: redirects, default headers, credentials; through both doors.

mod common;
mod crossing;
mod redirects;
