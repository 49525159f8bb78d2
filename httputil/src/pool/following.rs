//! Following the DNS: a name is looked up again while its connections serve on.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::key::Key;
use super::shared::Inner;
use crate::connect::Answer;

/// A name is not looked up more often than this, however short `dns.ttl` is.
const LEAST: Duration = Duration::from_millis(50);

/// Looks the name up on its runtime; no request waits for it. An answer without an address, a failure or a time-out
/// changes nothing, and is tried again after `dns.ttl`.
pub(super) fn look_up(pool: &Arc<Inner>, key: &Arc<Key>) {
    let making = pool.world.peek();
    let connector = &making.connector;
    let names = Arc::clone(connector.names());
    let bound = connector.transport().timeouts.dns;
    let following = Following {
        pool: Arc::downgrade(pool),
        key: Arc::clone(key),
        again: connector.transport().dns.ttl.max(LEAST),
        answer: None,
    };
    key.handle.spawn(async move {
        let mut following = following;
        following.answer = names.renew(&following.key.target, bound).await.ok();
    });
}

/// After a quiet time, so long does a request wait for what the name leads to now.
const PATIENCE: Duration = Duration::from_millis(200);

/// Looks a name up before a request is given a connection, since nobody has for longer than `dns.ttl`: what vanished
/// meanwhile is not to be used. For a moment only; then the request goes where the last one went, and the look-up is
/// begun anew beside it.
pub(super) async fn catch_up(pool: &Arc<Inner>, key: Arc<Key>, deadline: Option<Instant>) {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let bound = left.map_or(PATIENCE, |left| PATIENCE.min(left / 4));
    let names = Arc::clone(pool.world.peek().connector.names());
    let mut following = Following {
        pool: Arc::downgrade(pool),
        key,
        again: Duration::ZERO,
        answer: None,
    };
    following.answer = names.renew(&following.key.target, bound).await.ok();
}

/// A look-up under way. However it ends, even with its runtime, the pool hears of it; it keeps no pool alive.
struct Following {
    pool: Weak<Inner>,
    key: Arc<Key>,
    again: Duration,
    answer: Option<Answer>,
}

impl Drop for Following {
    fn drop(&mut self) {
        let Some(pool) = self.pool.upgrade() else { return };
        let now = Instant::now();
        let answer = self.answer.take().map(|mut answer| {
            answer.ask_again = answer.ask_again.max(now.checked_add(LEAST));
            answer
        });
        let answer = answer.as_ref().ok_or(self.again);
        pool.with_state(|state, todo| state.looked_up(&self.key, answer, now, todo));
    }
}
