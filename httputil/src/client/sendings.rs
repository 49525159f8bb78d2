//! What a request remembers from one sending to the next, and what its hedge sees of it meanwhile.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::options::RequestOptions;
use crate::error::Error;
use crate::policy::resend::Resends;
use crate::pool::{Fresh, Pool};
use crate::wire::Marks;

/// What is remembered of a request from one sending to the next.
#[derive(Default)]
pub(super) struct Sendings {
    /// All attempts together, hedges included, so that however they end a request is sent a bounded number of times.
    pub(super) resends: Resends,
    pub(super) fresh: Fresh,
    /// The last sending's connection.
    pub(super) on: Option<Marks>,
    /// Addresses of the place at which it has failed; few requests do.
    pub(super) failed_at: Vec<SocketAddr>,
    /// Sent again, it is before those that came after it.
    pub(super) turn: Option<u64>,
    /// The last attempt failed, and that says something of the host.
    pub(super) is_theirs: bool,
    /// To where it goes now.
    pub(super) attempts: u32,
    /// The draft lacks what another sending would need.
    pub(super) is_spent: bool,
    /// When it was put on a connection last.
    pub(super) sent_at: Option<Instant>,
    /// When the answer came, if the attempt has one.
    pub(super) answered_at: Option<Instant>,
    /// Of one that may be hedged.
    sight: Option<Arc<Sight>>,
    /// It is the hedge.
    is_beside: bool,
}

/// What is seen of an attempt while it is under way: since when it is on a connection, if it is.
#[derive(Debug, Default)]
pub(super) struct Sight(Mutex<Option<Seen>>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    sent_at: Instant,
    /// The connection, if others may be on it, too.
    shared: Option<Marks>,
}

impl Sight {
    pub(super) fn sent_at(&self) -> Option<Instant> {
        self.seen().map(|seen| seen.sent_at)
    }

    /// The connection that the attempt is on, if a second one could go over the same.
    pub(super) fn shared(&self) -> Option<Marks> {
        self.seen()?.shared
    }

    fn seen(&self) -> Option<Seen> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, seen: Option<Seen>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

impl Sendings {
    pub(super) fn of(options: Option<&RequestOptions>) -> Sendings {
        Sendings {
            fresh: Sendings::fresh(options, Fresh::Any),
            ..Sendings::default()
        }
    }

    /// What a failure now says of the whole request: what an earlier sending may have done is not undone by it.
    pub(super) fn of_all(&self, error: Error) -> Error {
        let is_retryable = error.is_retryable() && !self.resends.may_be_done;
        error.retryable(is_retryable)
    }

    /// For another place: a connection or a turn at the former one means nothing there.
    pub(super) fn go_on(&mut self, options: Option<&RequestOptions>) {
        self.fresh = Sendings::fresh(options, Fresh::Any);
        self.on = None;
        self.failed_at.clear();
        self.turn = None;
        self.is_theirs = false;
        self.attempts = 0;
        self.is_spent = false;
    }

    /// Those of a second attempt beside the first.
    pub(super) fn beside(&mut self) -> Sendings {
        Sendings {
            resends: self.resends.beside(),
            attempts: self.attempts + 1,
            fresh: self.fresh,
            failed_at: self.failed_at.clone(),
            is_beside: true,
            ..Sendings::default()
        }
    }

    /// What is to be seen of the attempt that is about to begin.
    pub(super) fn sight(&mut self) -> Arc<Sight> {
        let sight = self.sight.get_or_insert_default();
        sight.show(None);
        Arc::clone(sight)
    }

    /// How long it waits for a connection at a cap: whoever is asked a second time is asked at once, and nobody else waits
    /// longer for that.
    pub(super) fn pool_wait(&self, of_profile: Duration) -> Duration {
        if self.is_beside { Duration::ZERO } else { of_profile }
    }

    /// Whether it need not wait for its turn: a hedge is made only when it has had it.
    pub(super) fn has_turn(&self) -> bool {
        self.is_beside
    }

    /// It waits for a connection.
    pub(super) fn wait(&self) {
        if let Some(sight) = &self.sight {
            sight.show(None);
        }
    }

    /// What hangs on one connection may hang because of it: the second attempt goes over another, if there is one.
    pub(super) fn turn_from(&mut self, first: Option<Marks>) {
        if let (Some(on), Fresh::Any) = (first, self.fresh) {
            self.fresh = Fresh::Another(on);
        }
    }

    /// It is put on a connection, which was to be had `at` that time.
    pub(super) fn go(&mut self, pool: &Pool, at: Instant, is_shared: bool) {
        if self.is_beside && self.sent_at.is_none() {
            pool.count_hedge();
        }
        self.sent_at = Some(at);
        if let Some(sight) = &self.sight {
            sight.show(Some(Seen {
                sent_at: at,
                shared: self.on.filter(|_| is_shared),
            }));
        }
    }

    /// What connection is wanted, where the request itself leaves the choice to `ours`.
    pub(super) fn fresh(options: Option<&RequestOptions>, ours: Fresh) -> Fresh {
        if options.is_some_and(|options| options.fresh_connection) {
            Fresh::Only
        } else {
            ours
        }
    }
}
