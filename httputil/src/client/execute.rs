//! A request's way: deadline, retry, resend, pool, wire. Both doors, reqwest's and tower's, lead onto it.

use std::time::Duration;

use http::{HeaderMap, Method, Response, StatusCode, Version};
use tokio::time::Instant;

use super::address::Address;
use super::failure::Failing;
use super::framing;
use super::handle::{Inner, stopped};
use super::into_url::foreign_socket;
use super::message::{Defaults, Draft};
use super::resend::{Resends, Verdict, may_repeat};
use super::retry::{Fault, Outcome};
use super::timings::Timings;
use crate::connect::{Route, Target};
use crate::error::{Error, Kind};
use crate::pool::{Checked, Ticket};
use crate::settings::BaseUrl;
use crate::wire::{Manner, PooledBody, RequestBody};

/// A request ready to go. Boxed, so that the futures around it stay small: they are moved, and it is not. The box goes on
/// to the response's body.
pub(super) struct Prepared {
    draft: Draft,
    pub(super) failing: Failing,
    target: Target,
    route: Route,
    needs_h2: bool,
    manner: Manner,
    /// Of the sending that was answered.
    pub(super) timings: Option<Timings>,
    /// Held until the response's body has ended.
    _ticket: Ticket,
    deadline: Option<Instant>,
}

/// Makes what the user gets of what came.
pub(super) type Answer<A> = fn(Response<PooledBody>, Box<Prepared>) -> A;

/// A request in neither language.
pub(super) struct Written {
    pub(super) method: Method,
    pub(super) address: Address,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: RequestBody,
    pub(super) timeout: Option<Duration>,
}

impl From<reqwest::Request> for Written {
    fn from(mut request: reqwest::Request) -> Written {
        Written {
            method: std::mem::take(request.method_mut()),
            version: request.version(),
            headers: std::mem::take(request.headers_mut()),
            body: request
                .body_mut()
                .take()
                .map_or_else(RequestBody::empty, RequestBody::new),
            timeout: request.timeout().copied(),
            address: Address::Url(Box::new(request)),
        }
    }
}

/// Does what needs no waiting: takes the ticket, finds the target, takes the request apart. The total time begins here.
pub(super) fn prepare(client: &Inner, request: impl Into<Written>) -> Result<Box<Prepared>, Error> {
    let began = Instant::now();
    let Written {
        method,
        address,
        version,
        mut headers,
        mut body,
        timeout,
    } = request.into();
    let timeout = timeout.or(client.profile.policy.timeout);
    let failing = Failing::new(client, method, address, began, timeout);
    let Some(ticket) = client.lease.begin() else {
        return Err(failing.describe(stopped()));
    };
    let refuse = |reason| Error::new(Kind::Request, reason);
    if !matches!(version, Version::HTTP_11 | Version::HTTP_2) {
        let message = format!("{version:?} is not spoken here: ask for HTTP/1.1, HTTP/2, or nothing");
        return Err(failing.describe(Error::new(Kind::Request, message)));
    }
    let expect_continue = client.profile.policy.expect_continue;
    let manner = framing::settle(&failing.method, &mut headers, &mut body, expect_continue);
    let manner = manner.map_err(|reason| failing.describe(Error::new(Kind::Request, reason)))?;
    let target = failing.address.target();
    let target = target.map_err(|reason| failing.describe(refuse(reason)))?;
    if let Some(socket) = target.socket()
        && client.base.as_ref().and_then(BaseUrl::socket) != Some(socket)
    {
        return Err(failing.describe(foreign_socket()));
    }
    let path = failing.address.path();
    let path = path.map_err(|reason| failing.describe(refuse(reason)))?;
    // A proxy passes on neither another protocol nor `OPTIONS *`.
    let route = client.lease.pool().route(&target, || manner.upgrade || path == "*");
    if manner.has_proxy_login && route.forwards().is_none() {
        framing::strip_proxy_login(&mut headers);
    }
    Ok(Box::new(Prepared {
        draft: Draft {
            path: Some(path),
            headers,
            body,
        },
        failing,
        target,
        route,
        needs_h2: version == Version::HTTP_2,
        manner,
        timings: None,
        _ticket: ticket,
        // A time-out too long for the clock is none.
        deadline: timeout.and_then(|timeout| began.checked_add(timeout)),
    }))
}

/// What is remembered of a request from one sending to the next.
#[derive(Default)]
struct Sendings {
    /// All attempts together, so that however they end a request is sent a bounded number of times.
    resends: Resends,
    /// A connection that nobody has used is wanted.
    fresh: bool,
    /// Sent again, it is before those that came after it.
    turn: Option<u64>,
    attempts: u32,
    /// The draft lacks what another sending would need.
    is_spent: bool,
}

impl Prepared {
    /// Sends the request through the client's pool: attempt by attempt, until one ends well, or none is left. `answer`
    /// says in whose language.
    pub(super) async fn run<A>(mut self: Box<Self>, client: &Inner, answer: Answer<A>) -> Result<A, Error> {
        client.retries.deposit(&self.target);
        let mut sendings = Sendings::default();
        loop {
            sendings.attempts += 1;
            let outcome = self.attempt(client, &mut sendings).await;
            let again = self.pause_before_another(client, sendings.attempts, !sendings.is_spent, &outcome);
            let Some(pause) = again else {
                let response = outcome.map_err(|fault| fault.error)?;
                // What only another sending would need.
                self.draft.headers = HeaderMap::new();
                self.draft.body = RequestBody::empty();
                return Ok(answer(response, self));
            };
            drop(outcome);
            // Boxed, so that the future of a request that does not fail stays small.
            Box::pin(tokio::time::sleep(pause)).await;
        }
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.draft.headers
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Whether the total deadline comes before the end of a pause.
    pub(super) fn is_over_after(&self, now: Instant, pause: Duration) -> bool {
        let Some(deadline) = self.deadline else { return false };
        now.checked_add(pause).is_none_or(|then| deadline <= then)
    }

    /// Why the connection cannot bear the request, if it cannot.
    fn misfit(&self, checked: &Checked) -> Option<&'static str> {
        if self.needs_h2 && !checked.is_h2() {
            return Some("the request asks for HTTP/2, and the server or http2.enabled allows HTTP/1.1 only");
        }
        (self.manner.upgrade && checked.is_h2()).then_some(
            "the request asks for an upgrade, which HTTP/2 does not have: set http2.enabled = false for this host's profile",
        )
    }

    /// One attempt: sends the request, and again where the server has not acted on it.
    async fn attempt(&mut self, client: &Inner, sendings: &mut Sendings) -> Outcome {
        let pool = client.lease.pool();
        let pool_wait = client.profile.policy.pool_wait;
        let deadline = self.deadline;
        let defaults = Defaults {
            user_agent: &client.user_agent,
            accept: self.failing.address.is_reqwest(),
            made: &client.made,
        };
        // What was done before takes next to nothing.
        let mut asked = if sendings.attempts == 1 {
            self.failing.began
        } else {
            Instant::now()
        };
        loop {
            self.failing.attempts += 1;
            let Sendings { fresh, turn, .. } = *sendings;
            let checked = pool
                .checkout(&self.target, &self.route, fresh, turn, deadline, pool_wait)
                .await
                .map_err(|failure| self.failing.of_checkout(failure, pool_wait))?;
            sendings.turn = Some(checked.turn);
            if let Some(why) = self.misfit(&checked) {
                pool.put_back(checked);
                return Err(self.failing.describe(Error::new(Kind::Request, why)).into());
            }
            let (manner, sighting, socket) = (self.manner, checked.sighting(), checked.own_socket());
            let Prepared { draft, failing, .. } = &mut *self;
            // On a connection that was neither used nor idle there is no keep-alive race to lose; HTTP/2 may still refuse the
            // stream.
            failing.is_first = !checked.may_be_stale();
            let keep = checked.may_be_stale()
                || checked.is_h2()
                || client
                    .retries
                    .may_follow(sendings.attempts, &failing.method, &draft.headers);
            let path = draft.path.take().map_or_else(|| failing.address.path(), Ok);
            let path = path.map_err(|reason| Fault::lasting(failing.describe(Error::new(Kind::Request, reason))))?;
            let (mut sent, can_replay) =
                draft.request_for(&failing.method, path, &defaults, &checked.key, checked.is_h2(), keep);
            sendings.is_spent = !can_replay;
            if manner.has_h1_headers && checked.is_h2() {
                framing::strip_for_h2(sent.headers_mut());
            }
            let sent_at = Instant::now();
            let mut failure = match checked.send(sent, deadline, manner).await {
                Ok(response) if sendings.resends.is_misdirected(response.status(), can_replay) => {
                    drop(response);
                    sendings.fresh = true;
                    asked = Instant::now();
                    pool.count_resend();
                    continue;
                }
                Ok(response) => {
                    if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED
                        && let Some(proxy) = self.route.forwards()
                    {
                        return Err(Fault::lasting(self.failing.of_proxy_login(proxy)));
                    }
                    let writing = socket.map(|socket| socket.wrote_at().saturating_duration_since(sent_at));
                    let began = self.failing.began;
                    let version = response.version();
                    let attempts = self.failing.attempts;
                    self.timings = Some(Timings::new(
                        began,
                        (asked, sent_at),
                        writing,
                        version,
                        sighting,
                        attempts,
                    ));
                    return Ok(response);
                }
                Err(failure) => failure,
            };
            let returned = failure.request.take().filter(|request| !request.body().is_touched());
            // What can be replayed is still in the draft.
            let headers = returned
                .as_ref()
                .map_or(&self.draft.headers, |request| request.headers());
            let verdict = sendings.resends.judge(
                failure.processed,
                failure.calm,
                may_repeat(&self.failing.method, headers, &client.retries.rules),
                can_replay || returned.is_some(),
            );
            if !can_replay && let Some(request) = returned {
                self.draft.take_back(*request);
                sendings.is_spent = false;
            }
            let pause = match verdict {
                Verdict::AgainAfter(pause) => pause,
                _ => Duration::ZERO,
            };
            if verdict == Verdict::GiveUp || self.is_over_after(Instant::now(), pause) {
                return Err(self.failing.of_send(failure, &self.route).into());
            }
            sendings.fresh = verdict == Verdict::AgainFresh;
            pool.count_resend();
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            asked = Instant::now();
        }
    }
}
