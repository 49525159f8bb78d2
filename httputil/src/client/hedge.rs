//! The stage of a request's way that asks twice: when an attempt has no answer `hedge.after` after it was sent, a second one
//! is made beside it, and the first good answer wins.
//!
//! Only of requests that may be sent twice, with a body that can be replayed, where the host's retry budget pays for it, its
//! breaker lets it through, and its limits and the pool have a place without waiting: a hedge is there to be quick, never to
//! add to a queue. Over HTTP/2 it goes to another connection than the first, one that there is or, where there is room for it, a
//! new one; or, where that is not there within half a second, over the first one's. The loser is dropped like a request that
//! its caller gave up: over HTTP/2 its stream is reset and the connection serves on; over HTTP/1, where nobody can take a
//! request back, its connection is closed. Off, it is not on the way at all.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::execute::Prepared;
use super::options::may_retry;
use super::retry::{Outcome, may_be_done};
use super::sendings::{Sendings, Sight};
use crate::policy::Budget;
use crate::policy::deadline::is_over_after;
use crate::policy::hedge::race;
use crate::wire::PooledBody;

impl Prepared {
    /// When to ask a second time; `None` if this request is asked once.
    pub(super) fn hedged_after(&self) -> Option<Duration> {
        let policies = &self.in_force.policies;
        let after = policies.settings().hedge_after?;
        let may_be = self.is_repeatable() && may_retry(self.options.as_deref()) && !self.manner.upgrade;
        may_be.then_some(after)
    }

    /// An attempt, and another one beside it if the first has no answer in time. Afterwards this is the one that won.
    ///
    /// Dropping the future gives both up.
    pub(super) async fn hedged_attempt(&mut self, after: Duration, sendings: &mut Sendings) -> Outcome {
        let Some(mut twin) = self.twin() else {
            return self.guarded_attempt(sendings).await;
        };
        let in_force = Arc::clone(&self.in_force);
        let mut beside = sendings.beside();
        let sight = sendings.sight();
        let profile = &*in_force.name;
        let raced = {
            let first = pin!(self.guarded_attempt(sendings));
            let (twin, beside) = (&mut *twin, &mut beside);
            let late = async {
                until_late(&sight, after).await;
                if !twin.may_be_asked().await {
                    twin.give_way();
                    return None;
                }
                tracing::debug!(profile, method = %twin.failing.method, ?after, "hedged: no answer yet");
                beside.turn_from(sight.shared());
                Some(async {
                    let outcome = twin.guarded_attempt(beside).await;
                    if !is_good(&outcome) {
                        twin.give_way();
                    }
                    outcome
                })
            };
            race(first, late, is_good).await
        };
        if raced.is_hedged && beside.sent_at.is_none() {
            // There was no connection to be had at once.
            twin.pay_back();
        }
        let is_done = !raced.is_second && raced.lost.as_ref().is_some_and(may_be_done);
        sendings.resends.may_be_done |= is_done || beside.resends.may_be_done;
        if raced.is_second {
            in_force.pool.count_hedge_won();
            tracing::debug!(profile, method = %self.failing.method, "hedge won: the second attempt answered first");
            sendings.is_spent = beside.is_spent;
            twin.take_over(self);
            std::mem::swap(self, &mut *twin);
        }
        raced.outcome
    }

    /// The same request once more; `None` if its body cannot be had twice.
    fn twin(&self) -> Option<Box<Prepared>> {
        Some(Box::new(Prepared {
            head: None,
            pooled: PooledBody::ended(),
            reading: None,
            in_force: Arc::clone(&self.in_force),
            draft: self.draft.twin()?,
            failing: self.failing.twin(),
            target: self.target.clone(),
            route: self.route.clone(),
            needs_h2: self.needs_h2,
            manner: self.manner,
            options: self.options.clone(),
            redirected: Vec::new(),
            has_strayed: self.has_strayed,
            tells_secrets: self.tells_secrets,
            authorization: self.authorization.clone(),
            ticket: None,
            layer: self.layer.clone(),
            deadline: self.deadline,
            places: super::limit::Places::default(),
            host: self.host.clone(),
            success: None,
            journey: self.journey.as_ref().map(|journey| Box::new(journey.twin())),
        }))
    }

    /// Whether the host, or another endpoint, may be asked a second time now. It is paid for then.
    async fn may_be_asked(&mut self) -> bool {
        if is_over_after(self.deadline, Instant::now(), Duration::ZERO) {
            return false;
        }
        if self.journey.is_some() {
            if self.set_out().await.is_err() {
                return false;
            }
            self.host = self.in_force.policies.host(&self.target);
        }
        if self.refused_for(Instant::now()).is_some() || !self.try_enter_host() {
            return false;
        }
        if !self.budget().is_some_and(Budget::withdraw) {
            self.in_force.pool.count_retry_denied();
            let (profile, method) = (&*self.in_force.name, &self.failing.method);
            tracing::debug!(profile, %method, "not hedged, the host's budget is spent (retry.budget)");
            return false;
        }
        // Last, since a turn cannot be given back: others wait for the next one by now.
        let has_turn = self.try_take_turn();
        if !has_turn {
            self.pay_back();
        }
        has_turn
    }

    /// Nothing comes of a second attempt: nobody is kept waiting for what it holds, however long the first one takes.
    fn give_way(&mut self) {
        drop(self.take_pooled());
        self.leave_host();
        self.journey = None;
    }

    fn budget(&self) -> Option<&Budget> {
        self.host.as_ref()?.budget.as_deref()
    }

    fn pay_back(&self) {
        if let Some(budget) = self.budget() {
            budget.pay_back();
        }
    }

    /// Takes over what a request holds until its answer's body has ended.
    fn take_over(&mut self, other: &mut Prepared) {
        self.ticket = other.ticket.take();
        self.redirected = std::mem::take(&mut other.redirected);
        self.places.take_over(&mut other.places);
        self.failing.attempts = self.failing.attempts.max(other.failing.attempts + 1);
    }
}

/// Waits until an attempt that is polled beside this has been on a connection for so long.
async fn until_late(sight: &Sight, after: Duration) {
    let mut sleep = pin!(tokio::time::sleep(after));
    poll_fn(|cx| {
        loop {
            // Nobody need wake this: whatever sends the attempt polls this, too.
            let due = sight.sent_at().and_then(|sent_at| sent_at.checked_add(after));
            let Some(due) = due else { return Poll::Pending };
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            if sleep.deadline() != due {
                sleep.as_mut().reset(due);
            }
            ready!(sleep.as_mut().poll(cx));
        }
    })
    .await;
}

/// Whether there is nothing better to wait for.
fn is_good(outcome: &Outcome) -> bool {
    outcome.as_ref().is_ok_and(|answered| !answered.is_failure)
}

#[cfg(test)]
mod tests;
