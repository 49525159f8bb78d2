//! What the user wished to be done when a service ends.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::registry::ServiceInfo;

/// A function that can be told of the end of a service.
#[diagnostic::on_unimplemented(
    message = "`on_stop` is a function of a `&ServiceInfo` that gives nothing back",
    label = "this is no `fn(&httputil::ServiceInfo)`",
    note = "nobody would wait for an `async fn`: write a plain one, which may spawn a task"
)]
pub trait IsFarewell {
    /// Calls it.
    fn say(&self, service: &ServiceInfo);
}

#[diagnostic::do_not_recommend]
impl<F: for<'a> Said<'a, Gives = ()>> IsFarewell for F {
    fn say(&self, service: &ServiceInfo) {
        self.said_of(service);
    }
}

/// Whatever can be called with a service. What it gives may borrow from that, as the future of an `async fn` does.
pub trait Said<'a> {
    /// What it gives back.
    type Gives;

    /// Calls it.
    fn said_of(&self, service: &'a ServiceInfo) -> Self::Gives;
}

impl<'a, F: Fn(&'a ServiceInfo) -> G, G> Said<'a> for F {
    type Gives = G;

    fn said_of(&self, service: &'a ServiceInfo) -> G {
        self(service)
    }
}

/// The function of one service.
pub(super) struct Farewell(Box<dyn IsFarewell + Send + Sync>);

impl Farewell {
    pub(super) fn of(function: impl IsFarewell + Send + Sync + 'static) -> Farewell {
        Farewell(Box::new(function))
    }
}

impl fmt::Debug for Farewell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Farewell")
    }
}

/// Calls it. A panic stays here: a lease ends in `drop`, maybe while another panic unwinds, and there are other clients
/// and other services to stop.
pub(super) fn say(farewell: &Farewell, service: &ServiceInfo) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| farewell.0.say(service))) {
        // What it panicked with could panic once more when it is dropped.
        std::mem::forget(panic);
        tracing::error!(
            "on_stop of {} panicked (profile {}); the service has ended all the same",
            service.type_name,
            service.profile
        );
    }
}
