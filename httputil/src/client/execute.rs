//! A request's way: deadline, resend, pool, wire.

use std::sync::Arc;

use tokio::time::Instant;

use super::body::ResponseBody;
use super::failure::Failing;
use super::handle::{Inner, stopped};
use super::message::{Draft, to_reqwest};
use super::resend::{Resends, Verdict};
use crate::connect::Target;
use crate::error::{Error, Kind};

/// Sends a request through a client's pool and policies.
pub(super) async fn execute(client: &Arc<Inner>, request: reqwest::Request) -> Result<reqwest::Response, Error> {
    let began = Instant::now();
    let policy = &client.profile.policy;
    let timeout = request.timeout().copied().or(policy.timeout);
    // A time-out too long for the clock is none.
    let deadline = timeout.and_then(|timeout| began.checked_add(timeout));
    let mut failing = Failing::new(client, &request, began, timeout);

    let Some(ticket) = client.lease.begin() else {
        return Err(failing.describe(stopped()));
    };
    let refuse = |reason| Error::new(Kind::Request, reason);
    let target = Target::of(request.url()).map_err(|reason| failing.describe(refuse(reason)))?;
    let pool = client.lease.pool();
    pool.check_route(&target).map_err(|failure| failing.of_dial(failure))?;
    let mut draft = Draft::new(request, &client.user_agent).map_err(|reason| failing.describe(refuse(reason)))?;

    let mut resends = Resends::default();
    let mut fresh = false;
    loop {
        let checked = pool
            .checkout(&target, fresh, deadline, policy.pool_wait)
            .await
            .map_err(|failure| failing.of_checkout(failure, policy.pool_wait))?;
        failing.attempts += 1;
        let is_reused = checked.is_reused();
        failing.is_first = !is_reused;
        // On a connection that nobody has used there is no keep-alive race to lose; HTTP/2 may still refuse the stream.
        let keep = is_reused || checked.is_h2();
        let (sent, can_replay) = draft.request_for(&checked.key, checked.is_h2(), keep);
        match checked.send(sent, deadline).await {
            Ok(response) => {
                let url = draft.url;
                let response = response.map(|body| ResponseBody::new(body, ticket, failing));
                return Ok(to_reqwest(response, url));
            }
            Err(mut failure) => {
                let returned = failure.request.take().filter(|request| !request.body().is_touched());
                let verdict = resends.judge(failure.processed, &draft.method, can_replay || returned.is_some());
                if verdict == Verdict::GiveUp || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                    return Err(failing.of_send(failure));
                }
                if !can_replay && let Some(request) = returned {
                    draft.take_back(*request);
                }
                fresh = verdict == Verdict::AgainFresh;
                pool.count_resend();
            }
        }
    }
}
