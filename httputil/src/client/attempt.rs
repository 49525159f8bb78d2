//! One attempt of a request: sent, and sent again where the server has not acted on it.

use std::future::poll_fn;
use std::time::Duration;

use http::{HeaderMap, Request, StatusCode};
use tokio::time::Instant;

use super::execute::Prepared;
use super::framing;
use super::options;
use super::retry::{Answered, Fault, Outcome};
use super::sendings::Sendings;
use super::timings::Timings;
use crate::error::{Error, Kind};
use crate::policy::Budget;
use crate::policy::deadline::{is_over_after, of_attempt};
use crate::policy::resend::{Verdict, may_repeat};
use crate::pool::{Checked, Checkout, CheckoutFailure, Fresh, Sending, Sighting, Wanted};
use crate::wire::{Marks, Processed, RequestBody, SendFailure, SocketHandle};

/// What there is to tell of the connection of a sending.
struct Over {
    sighting: Sighting,
    socket: Option<SocketHandle>,
}

impl Prepared {
    /// Why the connection cannot bear the request, if it cannot.
    fn misfit(&self, checked: &Checked) -> Option<&'static str> {
        if self.needs_h2 && !checked.is_h2() {
            return Some("the request asks for HTTP/2, and the server or http2.enabled allows HTTP/1.1 only");
        }
        (self.manner.upgrade && checked.is_h2()).then_some(
            "the request asks for an upgrade, which HTTP/2 does not have: set http2.enabled = false for this host's profile",
        )
    }

    /// When an attempt begins that is made `now`. What was done before the first sending takes next to nothing, unless the
    /// request had to wait for its turn or for a token.
    fn beginning(&self, now: Instant) -> Instant {
        if self.failing.attempts == 0 && self.redirected.is_empty() && !self.may_have_waited() {
            self.failing.began
        } else {
            now
        }
    }

    /// Whether something stood before the attempt that may have taken time.
    fn may_have_waited(&self) -> bool {
        let limits = &self.in_force.policies.limits;
        limits.bounds_requests() || limits.bounds_attempts(self.host.as_deref()) || self.in_force.credentials.is_some()
    }

    /// Whether the request may be sent twice; it is `returned`, or still in the draft.
    fn may_repeat(&self, returned: Option<&Request<RequestBody>>) -> bool {
        let headers = returned.map_or(&self.draft.headers, Request::headers);
        options::may_repeat(self.options.as_deref(), || {
            may_repeat(&self.failing.method, headers, &self.in_force.policies.retry)
        })
    }

    /// The connection beside which any other will do where no new one can be had: a new one was not what the user asked for.
    fn makes_do_without(&self, sendings: &Sendings) -> Option<Marks> {
        let is_our_choice = Sendings::fresh(self.options.as_deref(), Fresh::Any) == Fresh::Any;
        match sendings.fresh {
            Fresh::Rather { on, .. } | Fresh::Another(on) => Some(on),
            Fresh::Only if is_our_choice => sendings.on,
            Fresh::Only | Fresh::Any | Fresh::Beside(_) => None,
        }
    }

    /// Takes out what is not for this connection's peer, and adds the cookies for it, unless a layer has signed without them.
    fn fit(&self, headers: &mut HeaderMap, is_h2: bool, is_signed: bool) {
        if !is_signed {
            self.add_cookies(headers);
        }
        if self.manner.has_h1_headers && is_h2 {
            framing::strip_for_h2(headers);
        }
        if self.manner.has_proxy_login && self.route.forwards().is_none() {
            framing::strip_proxy_login(headers);
        }
    }

    /// One attempt, made `now`: sends the request, and again where the server has not acted on it.
    pub(super) async fn attempt(&mut self, sendings: &mut Sendings, mut now: Instant) -> Outcome {
        let mut asked = self.beginning(now);
        let deadline;
        (self.failing.attempt, deadline) = of_attempt(self.deadline, asked, self.in_force.profile.policy.attempt);
        let pool_wait = sendings.pool_wait(self.in_force.profile.policy.pool_wait);
        let mut signed = None;
        if self.layer.is_some() {
            // It is shown the body.
            self.draft.body.make();
            // Boxed, so that the future of a request without a layer stays small.
            signed = Box::pin(self.signed(sendings.attempts, deadline)).await?.map(Box::new);
            now = Instant::now();
        }
        sendings.on = None;
        (sendings.sent_at, sendings.answered_at) = (None, None);
        let mut undialled = None;
        loop {
            self.failing.attempts += 1;
            sendings.wait();
            let Sendings { fresh, turn, .. } = *sendings;
            let wanted = Wanted {
                now,
                fresh,
                failed_at: &sendings.failed_at,
                turn,
                deadline,
                pool_wait,
            };
            // Blocks, lest the future keeps room for what it is through with: the connection, the answer.
            let pause = {
                let (mut sending, over) = {
                    let pool = &self.in_force.pool;
                    let found = match pool.checkout(&self.target, &mut self.route, wanted) {
                        Checkout::Now(found) => found,
                        Checkout::Later(seeking) => seeking.await,
                    };
                    match found {
                        Ok(checked) => self.put_on(checked, signed.as_deref(), sendings, deadline)?,
                        // No new connection can be had: an idle one is better than none.
                        Err(failure) => {
                            if let (CheckoutFailure::Dial(_), Some(failed)) =
                                (&failure, self.makes_do_without(sendings))
                            {
                                sendings.fresh = Fresh::Beside(failed);
                                self.failing.attempts -= 1;
                                undialled = Some(Box::new(failure));
                                now = Instant::now();
                                continue;
                            }
                            let failure = undialled.map_or(failure, |first| *first);
                            return Err(self.failing.of_checkout(failure, pool_wait));
                        }
                    }
                };
                match poll_fn(|cx| sending.poll_head(cx, &mut self.pooled)).await {
                    Ok(head) if sendings.resends.is_misdirected(head.status(), !sendings.is_spent) => {
                        drop(self.take_pooled());
                        sendings.fresh = Fresh::Only;
                        self.tell_of_resend("it was answered 421 Misdirected Request");
                        Duration::ZERO
                    }
                    Ok(head) => {
                        self.head = Some(head);
                        return self.answered(sendings, asked, over);
                    }
                    Err(failure) => self.pause_before_resend(failure, sendings, deadline)?,
                }
            };
            if !pause.is_zero() {
                // Boxed like all that is rare.
                Box::pin(tokio::time::sleep(pause)).await;
            }
            now = Instant::now();
            asked = now;
        }
    }

    /// After which pause the request is sent again, whose last sending failed; if it is not, why it failed.
    fn pause_before_resend(
        &mut self,
        mut failure: SendFailure,
        sendings: &mut Sendings,
        deadline: Option<Instant>,
    ) -> Result<Duration, Fault> {
        let can_replay = !sendings.is_spent;
        self.blame_proxy(sendings.on, &failure);
        let returned = failure.request.take().filter(|request| !request.body().is_touched());
        let again = self.judge_sending(sendings, &failure, returned.as_deref(), can_replay, deadline);
        if !can_replay && let Some(request) = returned {
            self.draft.take_back(*request);
            sendings.is_spent = false;
        }
        let Some(pause) = again else {
            return Err(self.failing.fault_of_send(failure, &self.route));
        };
        sendings.resends.may_be_done |= failure.processed != Processed::No;
        self.tell_of_resend(match failure.processed {
            _ if failure.calm => "the server complains of too much (ENHANCE_YOUR_CALM)",
            Processed::No => "the server has not acted on it",
            _ => "its connection closed before any byte of an answer",
        });
        Ok(pause)
    }

    /// Puts the request on a connection; what the answer is told of that comes back too. Not in the attempt itself, which would
    /// keep room for the request and the connection while it waits.
    fn put_on(
        &mut self,
        checked: Checked,
        signed: Option<&HeaderMap>,
        sendings: &mut Sendings,
        deadline: Option<Instant>,
    ) -> Result<(Sending, Over), Fault> {
        sendings.turn = Some(checked.turn);
        sendings.on = Some(checked.marks());
        if let Some(why) = self.misfit(&checked) {
            self.in_force.pool.put_back(checked);
            return Err(self.failing.describe(Error::new(Kind::Request, why)).into());
        }
        let over = Over {
            sighting: checked.sighting(),
            socket: checked.own_socket(),
        };
        let keep =
            self.draft.keeps_headers || checked.may_be_stale() || checked.is_h2() || self.may_follow(sendings.attempts);
        let mut defaults = self.in_force.defaults(
            self.failing.address.is_reqwest(),
            self.draft.decodes,
            self.tells_secrets,
            self.authorization.as_ref(),
        );
        defaults.signed = signed;
        let (draft, failing) = (&mut self.draft, &mut self.failing);
        // On a connection that was neither used nor idle there is no keep-alive race to lose; HTTP/2 may still refuse the
        // stream.
        failing.is_first = !checked.may_be_stale();
        let path = draft.path.take().map_or_else(|| failing.address.path(), Ok);
        let path = path.map_err(|reason| Fault::lasting(failing.describe(Error::new(Kind::Request, reason))))?;
        let spare = if keep { draft.body.replay() } else { None };
        sendings.is_spent = spare.is_none();
        let mut sent = Request::new(RequestBody::empty());
        sent.method_mut().clone_from(&failing.method);
        draft.write(&mut sent, path, &defaults, &checked.key, checked.is_h2(), spare);
        self.fit(sent.headers_mut(), checked.is_h2(), signed.is_some());
        sendings.go(&self.in_force.pool, checked.at, checked.is_h2());
        let sending = checked.send(sent, deadline, self.in_force.phases.as_ref(), self.manner);
        Ok((sending, over))
    }

    /// The head has come of an answer to what was put on a connection that was `asked` for then.
    fn answered(&mut self, sendings: &mut Sendings, asked: Instant, over: Over) -> Outcome {
        let answered_at = Instant::now();
        sendings.answered_at = Some(answered_at);
        self.trust_proxy(sendings.on);
        let head = self.head.as_mut().expect("it has come");
        if head.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED
            && let Some(proxy) = self.route.forwards()
        {
            return Err(Fault::lasting(self.failing.of_proxy_login(proxy)));
        }
        let sent_at = sendings.sent_at.unwrap_or(answered_at);
        let timings = Timings::new(
            self.failing.began,
            (asked, sent_at, answered_at),
            over.socket.map(|socket| socket.wrote_at()),
            head.version(),
            over.sighting,
            self.failing.attempts,
        );
        head.extensions_mut().insert(timings);
        Ok(Answered {
            status: head.status(),
            is_failure: self.in_force.policies.retry.is_failure(head.status(), head.headers()),
        })
    }

    /// Counts that the request is sent again, and says so.
    fn tell_of_resend(&self, why: &str) {
        self.in_force.pool.count_resend();
        let (profile, method) = (&*self.in_force.name, &self.failing.method);
        tracing::debug!(profile, %method, host = %self.target, "sent again: {why}");
    }

    /// Whether the host's budget pays for the request once more; where retries are off there is none, and each request has
    /// its own bound.
    fn pays_for_a_resend(&self) -> bool {
        let budget = self.host.as_ref().and_then(|host| host.budget.as_deref());
        let is_paid = budget.is_none_or(Budget::withdraw);
        if !is_paid {
            self.in_force.pool.count_retry_denied();
            let (profile, method) = (&*self.in_force.name, &self.failing.method);
            tracing::debug!(profile, %method, "not sent again, the host's budget is spent (retry.budget)");
        }
        is_paid
    }

    /// Whether the request is sent again within the attempt, after which pause, and over which connection.
    fn judge_sending(
        &self,
        sendings: &mut Sendings,
        failure: &SendFailure,
        returned: Option<&Request<RequestBody>>,
        can_replay: bool,
        deadline: Option<Instant>,
    ) -> Option<Duration> {
        let verdict = sendings.resends.judge(
            failure.processed,
            failure.calm,
            self.may_repeat(returned),
            can_replay || returned.is_some(),
        );
        let pause = match verdict {
            Verdict::AgainAfter(pause) => pause,
            _ => Duration::ZERO,
        };
        if verdict == Verdict::GiveUp || is_over_after(deadline, Instant::now(), pause) {
            return None;
        }
        // Who complains of too much is asked no more often than a host that fails.
        if matches!(verdict, Verdict::AgainAfter(_)) && !self.pays_for_a_resend() {
            return None;
        }
        let ours = if verdict == Verdict::AgainFresh {
            Fresh::Only
        } else {
            Fresh::Any
        };
        sendings.fresh = Sendings::fresh(self.options.as_deref(), ours);
        Some(pause)
    }
}
