//! A request's way, each stage around the next one. Both doors, reqwest's and tower's, lead onto it.
//!
//! ```text
//!                                                                                  who judges, in `policy`
//! prepare              total deadline                                              deadline
//! └ run                profile's limit ─► redirect ─► guard, headers, credentials  limit · redirect, guard · auth, cookies
//!   └ retried          retry ─► endpoint ─► hedge                                  retry, budget · endpoint · hedge
//!     └ guarded_attempt    host's limit, rate ─► breaker                           limit, rate · breaker
//!       └ attempt      attempt's deadline ─► signing ─► resend ─► pool ─► wire     deadline · auth · resend
//! receive              on the way back: decompression, bound on what is read
//! ```
//!
//! The order says what a stage covers. A redirect has retries of its own, and all share the deadline and the profile's place;
//! each attempt, a hedge too, has an endpoint, a turn at the host and a word of its breaker of its own; what is sent again within
//! an attempt is seen by none of them. A stage whose policy is off costs a look, and no future.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use tokio::time::Instant;

use super::address::{Address, Known};
use super::credentials::Credentials;
use super::endpoints::Journey;
use super::failure::Failing;
use super::framing;
use super::handle::{Inner, stopped};
use super::in_force::InForce;
use super::into_url::foreign_socket;
use super::layer::Layer;
use super::limit::Places;
use super::message::Draft;
use super::options::{self, RequestOptions};
use super::policies::PerHost;
use super::reading::{Codings, Reading};
use super::redirect::{Redirected, read_on};
use super::retry::{Head, Outcome, may_be_done};
use super::sendings::Sendings;
use crate::connect::{Refusal, Target};
use crate::error::{Error, Kind};
use crate::policy::breaker::{Success, Verdict};
use crate::policy::deadline::Deadline;
use crate::pool::Way;
use crate::settings::BaseUrl;
use crate::wire::{Held, Holding, Manner, PooledBody, RequestBody};

/// A request ready to go. Boxed, so that the futures around it stay small: they are moved, and it is not. The box goes on
/// to the response's body.
pub(super) struct Prepared {
    /// The answer that came last, if one came: its head, and its body.
    pub(super) head: Option<Head>,
    pub(super) pooled: PooledBody,
    /// Taken once, for all that the request does.
    pub(super) in_force: Arc<InForce>,
    pub(super) draft: Draft,
    pub(super) failing: Failing,
    pub(super) target: Target,
    pub(super) route: Way,
    pub(super) needs_h2: bool,
    pub(super) manner: Manner,
    /// Boxed, so that a request without options is no larger.
    pub(super) options: Option<Box<RequestOptions>>,
    /// The redirects that were followed.
    pub(super) redirected: Vec<Redirected>,
    /// Whether one of them led to another origin.
    pub(super) has_strayed: bool,
    /// Whether the place that the request goes to is told the profile's secrets.
    pub(super) tells_secrets: bool,
    /// The profile's, if the request bears it.
    pub(super) authorization: Option<HeaderValue>,
    /// Of the user's own, around each attempt.
    pub(super) layer: Option<Layer>,
    /// What is done with the answer's body, if anything is.
    pub(super) reading: Option<Box<Reading>>,
    /// The lease's.
    pub(super) ticket: Option<Holding>,
    pub(super) deadline: Option<Instant>,
    /// In the limits.
    pub(super) places: Places,
    /// What the profile remembers of the host.
    pub(super) host: Option<Arc<PerHost>>,
    /// What the host's breaker has counted the answer as.
    pub(super) success: Option<Success>,
    /// Where it may go, if there is a choice.
    pub(super) journey: Option<Box<Journey>>,
}

/// Makes what the user gets of the answer that came.
pub(super) type Answer<A> = fn(Box<Prepared>) -> A;

/// A request in neither language.
pub(super) struct Written {
    pub(super) method: Method,
    pub(super) address: Address,
    /// It was written relative to `base_url`, and names no host itself.
    pub(super) is_relative: bool,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: RequestBody,
    pub(super) timeout: Option<Duration>,
    pub(super) options: Option<Box<RequestOptions>>,
}

impl Written {
    pub(super) fn of(mut request: Box<reqwest::Request>, options: Option<Box<RequestOptions>>) -> Written {
        Written {
            method: std::mem::take(request.method_mut()),
            version: request.version(),
            headers: std::mem::take(request.headers_mut()),
            body: request
                .body_mut()
                .take()
                .map_or_else(RequestBody::empty, RequestBody::new),
            timeout: request.timeout().copied(),
            options,
            address: Address::Url(request),
            is_relative: false,
        }
    }

    /// A request that has nothing to it but its method, its URL and perhaps options.
    pub(super) fn bare(method: Method, url: Arc<Known>, options: Option<Box<RequestOptions>>) -> Written {
        Written {
            method,
            address: Address::Known(url),
            is_relative: false,
            version: Version::default(),
            headers: HeaderMap::new(),
            body: RequestBody::empty(),
            timeout: None,
            options,
        }
    }
}

/// Does what needs no waiting: takes the ticket, finds the target, takes the request apart. The total time begins here.
pub(super) fn prepare(client: &Inner, request: Written) -> Result<Box<Prepared>, Error> {
    let began = Instant::now();
    let Written {
        method,
        address,
        is_relative,
        version,
        mut headers,
        mut body,
        timeout,
        options,
    } = request;
    let in_force = client.in_force.load_full();
    let own = options.as_deref();
    if let Some(factory) = own.and_then(|own| own.body.as_ref()) {
        body = RequestBody::of_factory(factory.clone());
    }
    let timeout = own.and_then(|own| own.timeout).or(timeout);
    let timeout = timeout.or(in_force.profile.policy.timeout);
    let total = Deadline::of(began, timeout, own.and_then(|own| own.deadline));
    let failing = Failing::new(&in_force, method, address, began, total);
    let Some(ticket) = client.lease.begin() else {
        return Err(failing.describe(stopped()));
    };
    if !matches!(version, Version::HTTP_11 | Version::HTTP_2) {
        let message = format!("{version:?} is not spoken here: ask for HTTP/1.1, HTTP/2, or nothing");
        return Err(failing.describe(Error::new(Kind::Request, message)));
    }
    let max_redirects = options::max_redirects(options.as_deref(), in_force.profile.policy.redirect.max);
    let aim = aim(&in_force, &failing, &mut headers, &mut body).map_err(|error| failing.describe(error))?;
    let endpoints = in_force.policies.endpoints.as_ref();
    let journey = endpoints.filter(|_| is_relative);
    let journey = journey.and_then(|endpoints| endpoints.journey(&failing.address));
    let route = aim.route.or_else(|refusal| {
        // Where it goes is chosen later.
        let elsewhere = endpoints.filter(|_| journey.is_some());
        let elsewhere = elsewhere.and_then(|endpoints| endpoints.any_route(&in_force.pool, aim.manner.upgrade));
        elsewhere.ok_or_else(|| failing.describe(refused(&refusal)))
    })?;
    let decodes = in_force.codings.is_some() && Codings::are_for(&headers);
    // Written where it stays, and not copied there: it is large.
    let prepared = Box::write(
        Box::new_uninit(),
        Prepared {
            head: None,
            pooled: PooledBody::ended(),
            draft: Draft {
                path: Some(aim.path),
                headers,
                body,
                keeps_headers: max_redirects > 0
                    || journey.is_some()
                    || in_force.cookies.is_on()
                    || in_force.credentials.as_ref().is_some_and(Credentials::are_renewable),
                decodes,
            },
            in_force,
            failing,
            target: aim.target,
            route,
            needs_h2: version == Version::HTTP_2,
            manner: aim.manner,
            options,
            redirected: Vec::new(),
            has_strayed: false,
            tells_secrets: false,
            authorization: None,
            layer: None,
            reading: None,
            ticket: Some(ticket),
            deadline: total.at,
            places: Places::default(),
            host: None,
            success: None,
            journey,
        },
    );
    Ok(prepared)
}

/// Where a request goes, and how.
pub(super) struct Aim {
    pub(super) target: Target,
    pub(super) route: Result<Way, Refusal>,
    pub(super) manner: Manner,
    pub(super) path: PathAndQuery,
}

/// `egress` refuses where the request leads.
pub(super) fn refused(refusal: &Refusal) -> Error {
    Error::new(Kind::Egress, refusal.to_string())
}

/// Takes aim at where the request's address leads: of the first request, and after each redirect.
///
/// # Errors
///
/// Why it cannot be sent there. They do not tell of the request yet.
pub(super) fn aim(
    in_force: &InForce,
    failing: &Failing,
    headers: &mut HeaderMap,
    body: &mut RequestBody,
) -> Result<Aim, Error> {
    let refuse = |reason| Error::new(Kind::Request, reason);
    let expect_continue = in_force.profile.policy.expect_continue;
    let manner = framing::settle(&failing.method, headers, body, expect_continue);
    let manner = manner.map_err(|reason| Error::new(Kind::Request, reason))?;
    let target = failing.address.target(&in_force.first_target).map_err(refuse)?;
    if let Some(socket) = target.socket()
        && in_force.base.as_ref().and_then(BaseUrl::socket) != Some(socket)
        && !in_force
            .policies
            .endpoints
            .as_ref()
            .is_some_and(|endpoints| endpoints.have_socket(socket))
    {
        return Err(foreign_socket());
    }
    let path = failing.address.path().map_err(refuse)?;
    // A proxy passes on neither another protocol nor `OPTIONS *`.
    let needs_tunnel = manner.upgrade || path == "*";
    let route = in_force.first_target.route(&in_force.pool, &target, needs_tunnel);
    if manner.has_proxy_login && route.as_ref().is_ok_and(|route| route.forwards().is_none()) {
        framing::strip_proxy_login(headers);
    }
    Ok(Aim {
        target,
        route,
        manner,
        path,
    })
}

impl Prepared {
    /// Sends the request through the client's pool, and on to where its answers send it. `answer` says in whose language.
    pub(super) async fn run<A>(mut self: Box<Self>, answer: Answer<A>) -> Result<A, Error> {
        if self.in_force.policies.limits.bounds_requests() {
            Box::pin(self.enter_profile()).await?;
        }
        let mut sendings = Sendings::of(self.options.as_deref());
        let mut is_renewed = false;
        loop {
            if self.in_force.credentials.is_some() {
                self.authorize().await.map_err(|error| sendings.of_all(error))?;
            }
            let came = self.retried(&mut sendings).await;
            let status = came.map_err(|error| sendings.of_all(error))?;
            // Boxed, and once, so that the future of a request that is answered at once stays small.
            if self.may_go_on(status, is_renewed, &sendings)
                && Box::pin(self.goes_on(&mut is_renewed, &mut sendings)).await?
            {
                continue;
            }
            self.receive()?;
            // What only another sending would need.
            if !self.draft.headers.is_empty() {
                self.draft.headers = HeaderMap::new();
            }
            self.draft.body = RequestBody::empty();
            return Ok(answer(self));
        }
    }

    /// Whether an answer may ask for another request.
    fn may_go_on(&self, status: StatusCode, is_renewed: bool, sendings: &Sendings) -> bool {
        match status {
            StatusCode::UNAUTHORIZED => !is_renewed && self.may_renew(sendings),
            status => status.is_redirection() && self.max_redirects() > 0,
        }
    }

    /// Makes ready for the request that the answer asks for, if it is to be sent. Else the answer stays.
    async fn goes_on(&mut self, is_renewed: &mut bool, sendings: &mut Sendings) -> Result<bool, Error> {
        let head = self.take_head();
        let goes_on = self.goes_on_from(&head, is_renewed, sendings).await?;
        if !goes_on {
            self.head = Some(head);
        }
        Ok(goes_on)
    }

    async fn goes_on_from(
        &mut self,
        head: &Head,
        is_renewed: &mut bool,
        sendings: &mut Sendings,
    ) -> Result<bool, Error> {
        if head.status() != StatusCode::UNAUTHORIZED {
            let goes_on = self.redirect(head, sendings).await?;
            if goes_on {
                // It goes where it was sent.
                self.journey = None;
            }
            return Ok(goes_on);
        }
        *is_renewed = true;
        let goes_on = self.renew(head).await;
        if goes_on {
            read_on(self.take_pooled()).await;
            self.leave_host();
            sendings.resends.may_be_done = true;
            sendings.go_on(self.options.as_deref());
        }
        Ok(goes_on)
    }

    /// Attempt by attempt, until one ends well, or none is left.
    async fn retried(&mut self, sendings: &mut Sendings) -> Result<StatusCode, Error> {
        loop {
            sendings.attempts += 1;
            if self.journey.is_some() {
                Box::pin(self.set_out()).await?;
            }
            self.host = self.in_force.policies.host(&self.target);
            // In a block of its own, lest the future keeps room for the outcome while it waits for it.
            let pause = {
                let outcome = match self.hedged_after() {
                    None => self.guarded_attempt(sendings).await,
                    // Boxed, so that the future of a request that is asked once stays small.
                    Some(after) => Box::pin(self.hedged_attempt(after, sendings)).await,
                };
                if outcome.is_err() && self.may_turn(&outcome) {
                    sendings.attempts -= 1;
                    self.leave_host();
                    continue;
                }
                let again = self.pause_before_another(sendings.attempts, !sendings.is_spent, &outcome);
                let Some(pause) = again else {
                    self.turn_others_elsewhere(sendings);
                    return outcome.map(|answered| answered.status).map_err(|fault| fault.error);
                };
                self.turn_elsewhere(sendings, &outcome);
                sendings.resends.may_be_done |= may_be_done(&outcome);
                pause
            };
            drop(self.take_pooled());
            self.head = None;
            self.leave_host();
            // Boxed, so that the future of a request that does not fail stays small.
            Box::pin(tokio::time::sleep(pause)).await;
        }
    }

    /// An attempt, when it is its turn and if the host's breaker lets it through, which is told how it ended; only such a
    /// request pays into the host's budget.
    pub(super) async fn guarded_attempt(&mut self, sendings: &mut Sendings) -> Outcome {
        sendings.is_theirs = false;
        if !sendings.has_turn() && self.in_force.policies.limits.bounds_attempts(self.host.as_deref()) {
            Box::pin(self.enter_host()).await?;
        }
        // One look at the clock for all that comes before the request is sent.
        let began = Instant::now();
        let pass = self.pass_breaker(began)?;
        if sendings.attempts == 1
            && let Some(budget) = self.host.as_ref().and_then(|host| host.budget.as_ref())
        {
            budget.deposit_at(began);
        }
        self.awaits(began);
        let outcome = self.attempt(sendings, began).await;
        if outcome.is_ok() {
            self.keep_cookies();
        }
        let verdict = self.verdict(&outcome, began, sendings);
        sendings.is_theirs = verdict == Some(Verdict::Failure);
        self.judge(pass, verdict, sendings);
        self.arrived(&outcome, verdict, sendings.sent_at);
        outcome
    }

    /// What it holds until its exchange is over.
    pub(super) fn take_held(&mut self) -> Held {
        let visit = self.journey.as_mut().and_then(|journey| journey.take_place());
        let Places { profile, host } = std::mem::take(&mut self.places);
        [visit, host, profile, self.ticket.take()]
    }

    /// The head of the answer that came last.
    pub(super) fn take_head(&mut self) -> Head {
        self.head.take().expect("an answer that came has a head")
    }

    /// Its body.
    pub(super) fn take_pooled(&mut self) -> PooledBody {
        std::mem::replace(&mut self.pooled, PooledBody::ended())
    }

    /// Looks at the answer that the user gets: whether its body is to be decompressed or bounded.
    fn receive(&mut self) -> Result<(), Error> {
        let codings = self.in_force.codings.as_ref().filter(|_| self.draft.decodes);
        let own = self.options.as_ref().and_then(|own| own.max_response_bytes);
        let max = own.or(self.in_force.profile.policy.max_response_bytes);
        let head = self.head.as_mut().expect("an answer that came has a head");
        let reading = Reading::begin(head, &self.pooled, codings, max);
        self.reading = reading.map_err(|broken| self.broken(broken))?;
        Ok(())
    }
}
