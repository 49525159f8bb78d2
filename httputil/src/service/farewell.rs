//! What the user wished to be done when a service ends.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::registry::ServiceInfo;

/// Calls it. A panic stays here: a lease ends in `drop`, maybe while another panic unwinds, and there are other clients
/// and other services to stop.
pub(super) fn say(farewell: fn(&ServiceInfo), service: &ServiceInfo) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| farewell(service))) {
        // What it panicked with could panic once more when it is dropped.
        std::mem::forget(panic);
        tracing::error!(
            "on_stop of {} panicked (profile {}); the service has ended all the same",
            service.type_name,
            service.profile
        );
    }
}
