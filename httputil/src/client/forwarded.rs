//! What is learnt of a proxy that is sent whole requests. Its dial ends where it has taken the connection, which says little of
//! it; the first exchange says the rest. With any other proxy a dial has an exchange of its own.

use tokio::time::Instant;

use super::execute::Prepared;
use crate::error::Phase;
use crate::wire::{Cause, Marks, Processed, SendFailure};

impl Prepared {
    /// The first request on a connection was answered, if only with 407 or 502.
    pub(super) fn trust_proxy(&self, on: Option<Marks>) {
        if self.failing.is_first
            && let Some(proxy) = self.route.forwards()
        {
            proxy.health.answered();
            if let Some(address) = on.and_then(|on| on.remote) {
                proxy.health.was_heard(address, &self.target);
            }
        }
    }

    /// The first request on a connection was not answered. Whether the proxy is to blame for silence, or a close, cannot be told
    /// once it has been named a place, and for that place its other addresses are dialled first for a while; before that it is.
    pub(super) fn blame_proxy(&self, on: Option<Marks>, failure: &SendFailure) {
        let Some(proxy) = self.route.forwards() else { return };
        if !self.failing.is_first || failure.has_answer {
            return;
        }
        let has_closed = match &failure.cause {
            Cause::Hyper(error) if !error.is_user() => true,
            Cause::Deadline(Phase::ResponseHeader) => false,
            Cause::Late(late) if late.phase == Phase::ResponseHeader => false,
            _ => return,
        };
        let is_its_own = has_closed && failure.processed == Processed::No;
        if let Some(address) = on.and_then(|on| on.remote)
            && (is_its_own || proxy.health.was_silent(address, &self.target, Instant::now()))
        {
            self.in_force.pool.blame_proxy(proxy, address);
        }
        if is_its_own {
            proxy.hung_up();
        }
    }
}
