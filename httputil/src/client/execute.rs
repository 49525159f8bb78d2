//! A request's way: deadline, resend, pool, wire.

use tokio::time::Instant;

use super::body::ResponseBody;
use super::failure::Failing;
use super::handle::{Inner, stopped};
use super::message::{Draft, to_reqwest};
use super::resend::{Resends, Verdict};
use crate::connect::Target;
use crate::error::{Error, Kind};
use crate::pool::Ticket;

/// A request ready to go. Boxed, so that the futures around it stay small: they are moved, and it is not.
pub(super) struct Prepared {
    draft: Draft,
    failing: Failing,
    target: Target,
    ticket: Ticket,
    deadline: Option<Instant>,
}

/// Does what needs no waiting: takes the ticket, finds the target, takes the request apart. The total time begins here.
pub(super) fn prepare(client: &Inner, request: reqwest::Request) -> Result<Box<Prepared>, Error> {
    let began = Instant::now();
    let timeout = request.timeout().copied().or(client.profile.policy.timeout);
    // A time-out too long for the clock is none.
    let deadline = timeout.and_then(|timeout| began.checked_add(timeout));
    let failing = Failing::new(client, &request, began, timeout);

    let Some(ticket) = client.lease.begin() else {
        return Err(failing.describe(stopped()));
    };
    let refuse = |reason| Error::new(Kind::Request, reason);
    let target = Target::of(request.url()).map_err(|reason| failing.describe(refuse(reason)))?;
    let route = client.lease.pool().check_route(&target);
    route.map_err(|failure| failing.of_dial(failure))?;
    let draft = Draft::new(request, &client.user_agent).map_err(|reason| failing.describe(refuse(reason)))?;
    Ok(Box::new(Prepared {
        draft,
        failing,
        target,
        ticket,
        deadline,
    }))
}

impl Prepared {
    /// Sends the request through the client's pool, again where that is right.
    pub(super) async fn run(mut self: Box<Self>, client: &Inner) -> Result<reqwest::Response, Error> {
        let pool = client.lease.pool();
        let pool_wait = client.profile.policy.pool_wait;
        let deadline = self.deadline;
        let mut resends = Resends::default();
        let mut fresh = false;
        loop {
            let checked = pool
                .checkout(&self.target, fresh, deadline, pool_wait)
                .await
                .map_err(|failure| self.failing.of_checkout(failure, pool_wait))?;
            self.failing.attempts += 1;
            // On a connection that nobody has used there is no keep-alive race to lose; HTTP/2 may still refuse the
            // stream.
            self.failing.is_first = !checked.is_reused();
            let keep = checked.is_reused() || checked.is_h2();
            let (sent, can_replay) = self.draft.request_for(&checked.key, checked.is_h2(), keep);
            let mut failure = match checked.send(sent, deadline).await {
                Ok(response) => {
                    let Prepared {
                        draft, failing, ticket, ..
                    } = *self;
                    let response = response.map(|body| ResponseBody::new(body, ticket, failing));
                    return Ok(to_reqwest(response, draft.url));
                }
                Err(failure) => failure,
            };
            let returned = failure.request.take().filter(|request| !request.body().is_touched());
            let verdict = resends.judge(failure.processed, &self.draft.method, can_replay || returned.is_some());
            if verdict == Verdict::GiveUp || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(self.failing.of_send(failure));
            }
            if !can_replay && let Some(request) = returned {
                self.draft.take_back(*request);
            }
            fresh = verdict == Verdict::AgainFresh;
            pool.count_resend();
        }
    }
}
