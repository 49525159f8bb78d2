//! What is learnt of a proxy that is sent whole requests. Its dial ends where it has taken the connection, which says little of
//! it; the first exchange says the rest. With any other proxy a dial has an exchange of its own.

use super::execute::Prepared;
use crate::error::Phase;
use crate::wire::{Cause, Marks, Processed, SendFailure};

impl Prepared {
    /// The first request on a connection was answered, if only with 407 or 502.
    pub(super) fn trust_proxy(&self) {
        if self.failing.is_first
            && let Some(proxy) = self.route.forwards()
        {
            proxy.health.answered();
        }
    }

    /// The first request on a connection was not answered. Whether the proxy is to blame for silence, or a close, cannot be told
    /// once it has been named a place, and its other addresses are dialled first for a while; before that it is.
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
        if let Some(address) = on.and_then(|on| on.remote) {
            self.in_force.pool.blame_proxy(proxy, address);
        }
        if has_closed && failure.processed == Processed::No {
            proxy.hung_up();
        }
    }
}
