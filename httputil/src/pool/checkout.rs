//! Getting a connection for a request.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::counters::Counters;
use super::following;
use super::key::{Key, KeyRef};
use super::queued::Queued;
use super::shared::{Inner, Pool};
use super::state::{Ask, Cap, Delivery, Failed, GIVES_WAY_AFTER, Outcome, Presser, Rather, Standing, Waiting};
use super::way::Way;
use crate::connect::{DialFailure, ProxyServer, Route, Spent, Target};
use crate::error::Phase;
use crate::settings::DnsBalance;
use crate::wire::{
    Awaited, Facts, H1, Link, Manner, Marks, Peek, Phases, Place, PooledBody, Reply, RequestBody, SendFailure,
    SocketHandle,
};

/// A connection that has been idle for less than this is not peeked at: it was in use a moment ago.
const PEEK_AFTER: Duration = Duration::from_millis(1);

/// Who would rather have a new connection looks so often whether an idle one is there by now.
const LOOKS_AROUND_AFTER: Duration = Duration::from_millis(250);

/// From then on the one that bore a bad answer will do, too. A new one to a server far away would be there by then.
const TAKES_ANY_AFTER: Duration = Duration::from_millis(500);

/// A connection in the hands of one request.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) key: Arc<Key>,
    /// The request's number in the order in which requests came.
    pub(crate) turn: u64,
    /// When it was to be had.
    pub(crate) at: Instant,
    connection: Connection,
}

#[derive(Debug)]
enum Connection {
    H1(H1),
    Place(Place),
}

/// Why there is no connection.
pub(crate) enum CheckoutFailure {
    /// The request's own deadline, in this phase.
    Deadline(Phase),
    /// `timeouts.pool_wait`, while this cap was reached.
    PoolWait(&'static str),
    Dial(DialFailure),
    /// No request may go there (`egress.*`), as the settings are by now.
    Refused(String),
    /// Not called from within a tokio runtime.
    NoRuntime,
    /// The host's name cannot stand in a request.
    BadHost,
}

/// What a request can tell of its connection.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    pub(crate) facts: Arc<Facts>,
    pub(crate) reused: bool,
}

impl Sighting {
    /// What the dial took, if the request is the first to use the connection.
    pub(crate) fn spent(&self) -> Spent {
        if self.reused {
            Spent::default()
        } else {
            self.facts.spent
        }
    }
}

impl Checked {
    /// Whether the connection has been used before.
    pub(crate) fn is_reused(&self) -> bool {
        match &self.connection {
            Connection::H1(h1) => h1.is_reused(),
            Connection::Place(place) => place.is_reused(),
        }
    }

    /// Whether the peer may have closed it by now: it has been used, or idle.
    pub(crate) fn may_be_stale(&self) -> bool {
        match &self.connection {
            Connection::H1(h1) => h1.is_reused() || h1.link().has_rested(),
            Connection::Place(place) => place.may_be_stale(),
        }
    }

    fn link(&self) -> &Arc<Link> {
        match &self.connection {
            Connection::H1(h1) => h1.link(),
            Connection::Place(place) => place.link(),
        }
    }

    /// What there is to tell of the connection.
    pub(crate) fn sighting(&self) -> Sighting {
        Sighting {
            facts: Arc::clone(&self.link().facts),
            reused: self.is_reused(),
        }
    }

    /// By what the connection is told from others.
    pub(crate) fn marks(&self) -> Marks {
        self.link().facts.marks()
    }

    /// A handle on its socket, if no other request writes on it meanwhile.
    pub(crate) fn own_socket(&self) -> Option<SocketHandle> {
        (!self.is_h2()).then(|| self.link().socket.clone())
    }

    pub(crate) fn is_h2(&self) -> bool {
        matches!(self.connection, Connection::Place(_))
    }

    /// Sends the request; what comes back waits for the head of its answer.
    pub(crate) fn send(
        self,
        request: Request<RequestBody>,
        deadline: Option<Instant>,
        phases: Option<&Arc<Phases>>,
        manner: Manner,
    ) -> Sending {
        match self.connection {
            Connection::H1(h1) => Sending::H1(h1.send(request, deadline, phases, manner)),
            Connection::Place(place) if place.is_to_settle(&request) => {
                Sending::Settling(Box::pin(place.send_when_settled(request, deadline, phases.cloned())))
            }
            Connection::Place(place) => Sending::H2(place.send(request, self.at, deadline, phases)),
        }
    }
}

/// A request that was sent.
#[must_use = "nobody hears of an answer that is not awaited"]
pub(crate) enum Sending {
    H1(Awaited),
    /// Boxed, so that the future of the other kind stays small.
    H2(Box<Reply>),
    /// Not yet: nobody knows whether the peer allows a stream.
    Settling(Pin<Box<dyn Future<Output = Result<Box<Reply>, SendFailure>> + Send>>),
}

impl Sending {
    /// Waits for the head of the answer, and puts the rest into `body`.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut PooledBody,
    ) -> Poll<Result<Response<()>, SendFailure>> {
        loop {
            *self = match self {
                Sending::H1(awaited) => return awaited.poll_head(cx, body),
                Sending::H2(reply) => return reply.poll_head(cx, body),
                Sending::Settling(settling) => match ready!(settling.as_mut().poll(cx)) {
                    Ok(reply) => Sending::H2(reply),
                    Err(failure) => return Poll::Ready(Err(failure)),
                },
            };
        }
    }
}

/// A connection for a request, or the way to one.
pub(crate) enum Checkout<'a> {
    Now(Result<Checked, CheckoutFailure>),
    /// Boxed: its state would weigh on every request, and a miss costs a dial anyway.
    Later(Pin<Box<dyn Future<Output = Result<Checked, CheckoutFailure>> + Send + 'a>>),
}

/// Which connections will do for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fresh {
    /// Any.
    #[default]
    Any,
    /// Rather another than this one, on which it has just failed: an idle one to an address of the host at which nothing
    /// failed of late, else a new one, for which it need not wait until others have ended, else any other, if the new one
    /// is not there in a moment. A moment later this one, too, if it `bore` an answer.
    Rather { on: Marks, bore: Bore },
    /// The same, where no new one can be had.
    Beside(Marks),
    /// Another than this one, on which nothing has failed yet: an idle one or a place, to another address first, else a new one
    /// where there is room for it, else this one, too, as also where the new one does not come in time.
    Another(Marks),
    /// One that nobody has used.
    Only,
}

/// What a connection bore for a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bore {
    NoAnswer,
    /// It may have been chance. Where no other can be had beside it, it is asked once more.
    BadAnswer,
    /// It is closed for a new one, if no other can be had.
    BadAnswers,
}

impl Fresh {
    /// Rather another than the one on which an answer `was_bad`, or none came, where the request wanted this before.
    pub(crate) fn than(on: Marks, was_bad: bool, before: Fresh) -> Fresh {
        let bore_another = match before {
            Fresh::Rather { on: other, bore } => bore != Bore::NoAnswer && !on.is_beside(other),
            Fresh::Beside(other) => !on.is_beside(other),
            Fresh::Any | Fresh::Only | Fresh::Another(_) => false,
        };
        let bore = match was_bad {
            false => Bore::NoAnswer,
            true if bore_another => Bore::BadAnswers,
            true => Bore::BadAnswer,
        };
        Fresh::Rather { on, bore }
    }

    /// What comes after an idle connection to another address, for one that has waited for a new one since then, if it has.
    fn rather(self, waits_since: Option<Instant>, now: Instant) -> Rather {
        let takes_any = match self {
            Fresh::Rather { bore, .. } => bore != Bore::NoAnswer,
            Fresh::Another(_) => true,
            Fresh::Any | Fresh::Beside(_) | Fresh::Only => return Rather::Any,
        };
        match waits_since {
            Some(since) if takes_any && now.saturating_duration_since(since) >= TAKES_ANY_AFTER => Rather::Any,
            None if matches!(self, Fresh::Rather { .. }) => Rather::New,
            _ => Rather::Idle,
        }
    }
}

/// What a request wants of a checkout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The time at which it is asked for.
    pub(crate) now: Instant,
    pub(crate) fresh: Fresh,
    /// Addresses at which the request has failed.
    pub(crate) failed_at: &'a [SocketAddr],
    /// What an earlier checkout gave: with it, the request keeps its place before those that have come since.
    pub(crate) turn: Option<u64>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) pool_wait: Duration,
}

/// What can be had without waiting.
enum Taken {
    Now(Checked),
    /// The number of the one that waits is its turn.
    Wait(Arc<Key>, Waiting<H1, Place>),
    /// After the host's name has been looked up, which nobody has for a while.
    Later(Arc<Key>),
    /// The pool has other settings by now, and so perhaps another way.
    Elsewhere,
}

impl Pool {
    /// A connection to `target` by the way `to` it: idle, returning, or dialled. Where the pool has other settings than
    /// those that led there, the way is found anew.
    ///
    /// No future by itself: most requests wait for nothing, and one that might would be moved and polled by all of them.
    /// Dropping what comes [`Later`](Checkout::Later) leaves the queue; a dial that it began goes on and serves the pool.
    pub(crate) fn checkout<'a>(&'a self, target: &'a Target, way: &'a mut Way, wanted: Wanted<'a>) -> Checkout<'a> {
        let Ok(handle) = Handle::try_current() else {
            return Checkout::Now(Err(CheckoutFailure::NoRuntime));
        };
        match self.inner.take((target, way), &handle, wanted, None, true) {
            Ok(Taken::Now(checked)) => {
                self.count(&checked);
                Checkout::Now(Ok(checked))
            }
            Ok(taken) => Checkout::Later(Box::pin(async move {
                let checked = self.seek((target, way), &handle, wanted, taken).await?;
                self.count(&checked);
                Ok(checked)
            })),
            Err(failure) => Checkout::Now(Err(failure)),
        }
    }

    /// Counts a request that is about to be put on a connection.
    fn count(&self, checked: &Checked) {
        let (ours, hosts) = (&self.inner.counters.tally, &checked.key.counters.tally);
        Counters::add(&ours.requests);
        Counters::add(&hosts.requests);
        if checked.is_reused() {
            Counters::add(&ours.reuses);
            Counters::add(&hosts.reuses);
        }
    }

    /// Does what stands before a connection, until there is one.
    async fn seek(
        &self,
        (target, way): (&Target, &mut Way),
        handle: &Handle,
        mut wanted: Wanted<'_>,
        mut taken: Taken,
    ) -> Result<Checked, CheckoutFailure> {
        let inner = &self.inner;
        let mut follows = true;
        let mut began = None;
        loop {
            match taken {
                Taken::Now(checked) => return Ok(checked),
                Taken::Later(key) => {
                    follows = false;
                    following::catch_up(inner, key, wanted.deadline).await;
                    wanted.now = Instant::now();
                }
                Taken::Elsewhere => {
                    let found = self.route(target, way.needs_tunnel());
                    *way = found.map_err(|refusal| CheckoutFailure::Refused(refusal.to_string()))?;
                }
                Taken::Wait(key, waiting) => {
                    let turn = waiting.id;
                    let bound = (*began.get_or_insert_with(Instant::now), wanted.pool_wait);
                    let connection = match inner.wait(waiting, wanted.deadline, bound, wanted.fresh).await? {
                        Some(Delivery::Exclusive(h1)) => Some(Connection::H1(h1)),
                        Some(Delivery::Place(place)) => Some(Connection::Place(place)),
                        Some(Delivery::Failed(failure)) => return Err(CheckoutFailure::Dial(failure)),
                        Some(Delivery::Moved) | None => None,
                    };
                    wanted.now = Instant::now();
                    if let Some(connection) = connection {
                        return Ok(Checked {
                            key,
                            turn,
                            at: wanted.now,
                            connection,
                        });
                    }
                    wanted.turn = Some(turn);
                }
            }
            taken = inner.take((target, way), handle, wanted, began, follows)?;
        }
    }
}

impl Pool {
    /// A request failed at this address of the target, and is made again: for a while others are dialled first. Those at which
    /// it need not be tried, since others have failed there, are added to `failed_at`; where connections are spread, each host
    /// knows them itself.
    pub(crate) fn blame(&self, target: &Target, route: &Route, address: SocketAddr, failed_at: &mut Vec<SocketAddr>) {
        {
            let world = self.inner.world.peek();
            let names = world.connector.names();
            names.blame(target, address);
            // Behind a proxy nothing is spread.
            if world.connector.transport().dns.balance == DnsBalance::First || route.proxy().is_some() {
                for address in names.blamed(target) {
                    if !failed_at.contains(&address) {
                        failed_at.push(address);
                    }
                }
            }
        }
        let Ok(runtime) = Handle::try_current().map(|handle| handle.id()) else {
            return;
        };
        let key = KeyRef { target, route, runtime };
        self.inner
            .with_state(|state, _| state.blame(key, address, Instant::now()));
    }

    /// A proxy did not answer at this address: for a while its others are dialled first.
    pub(crate) fn blame_proxy(&self, proxy: &ProxyServer, address: SocketAddr) {
        self.inner.world.peek().connector.names().blame(&proxy.place, address);
    }

    /// Takes back a connection on which nothing was sent.
    pub(crate) fn put_back(&self, checked: Checked) {
        match checked.connection {
            Connection::H1(h1) => self.inner.returned(h1),
            Connection::Place(place) => drop(place),
        }
    }
}

impl Inner {
    fn take(
        &self,
        (target, way): (&Target, &Way),
        handle: &Handle,
        wanted: Wanted<'_>,
        waits_since: Option<Instant>,
        follows: bool,
    ) -> Result<Taken, CheckoutFailure> {
        let Wanted {
            now,
            fresh,
            failed_at: at,
            mut turn,
            deadline,
            ..
        } = wanted;
        self.warm_up();
        let ttl = || self.world.peek().connector.transport().dns.ttl;
        // Nobody waits for its answer any more.
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Err(CheckoutFailure::Deadline(Phase::PoolWait));
        }
        // For one that would not wait no other makes room.
        let waits = matches!(fresh, Fresh::Rather { .. }) && !wanted.pool_wait.is_zero();
        let has_other = waits && self.leads_beside(target, way, at);
        loop {
            let asked = self.with_state(|state, todo| {
                if way.generation() != state.renewed() {
                    return Ok(None);
                }
                let host = self.host(state, (target, way), handle, now)?;
                if follows && state.is_forgotten(host, ttl, now) {
                    let key = Arc::clone(state.key(host).ok_or(CheckoutFailure::BadHost)?);
                    return Ok(Some((key, 0, None)));
                }
                // One whose idle connection turns out to be dead asks again.
                let turn = *turn.get_or_insert_with(|| state.next_turn());
                let ask = Ask {
                    now,
                    turn,
                    deadline,
                    fresh: fresh == Fresh::Only,
                };
                let rather = fresh.rather(waits_since, now);
                let failed = match fresh {
                    Fresh::Any | Fresh::Only => None,
                    Fresh::Rather { on, bore } => Some((on, bore)),
                    Fresh::Another(on) | Fresh::Beside(on) => Some((on, Bore::BadAnswer)),
                };
                let outcome = match failed {
                    None => state.checkout(host, ask, todo),
                    Some((on, bore)) => {
                        let makes_room = bore != Bore::BadAnswer;
                        let failed = Failed {
                            on,
                            at,
                            has_other,
                            makes_room,
                        };
                        state.checkout_beside(host, failed, rather, ask, todo)
                    }
                };
                let key = Arc::clone(state.key(host).ok_or(CheckoutFailure::BadHost)?);
                Ok(Some((key, turn, Some(outcome))))
            })?;
            let Some((key, turn, outcome)) = asked else {
                return Ok(Taken::Elsewhere);
            };
            let Some(outcome) = outcome else {
                return Ok(Taken::Later(key));
            };
            let connection = match outcome {
                Outcome::Idle(mut h1, since) => {
                    if !h1.wake() {
                        // It was closed in its sleep, and the pool is about to hear of it.
                        continue;
                    }
                    if since + PEEK_AFTER <= now && h1.socket().peek() != Peek::Quiet {
                        // A close, or bytes that nobody asked for: its driver finds out.
                        h1.set_aside();
                        continue;
                    }
                    Connection::H1(h1)
                }
                Outcome::Place(place) => Connection::Place(place),
                Outcome::Wait(waiting) => return Ok(Taken::Wait(key, waiting)),
            };
            return Ok(Taken::Now(Checked {
                key,
                turn,
                at: now,
                connection,
            }));
        }
    }

    /// Whether the target's name is known to lead to another address than these. Where a proxy looks it up, nobody knows.
    fn leads_beside(&self, target: &Target, route: &Route, addresses: &[SocketAddr]) -> bool {
        let is_ours = route.proxy().is_none_or(|proxy| !proxy.resolves_names());
        is_ours && self.world.peek().connector.names().leads_beside(target, addresses)
    }

    pub(super) fn host(
        &self,
        state: &mut super::state::State<H1, crate::wire::H2>,
        (target, route): (&Target, &Route),
        handle: &Handle,
        now: Instant,
    ) -> Result<usize, CheckoutFailure> {
        if let Some(host) = state.find(KeyRef {
            target,
            route,
            runtime: handle.id(),
        }) {
            return Ok(host);
        }
        let key = Key::new(target.clone(), route.clone(), handle.clone()).ok_or(CheckoutFailure::BadHost)?;
        let protocol = self.world.peek().begins_with(target, route);
        Ok(state.add_host(Arc::new(key), protocol, now))
    }

    /// Waits for what the queue brings, for `pool_wait`. While a dial that serves the request is under way its own bounds
    /// hold, and `pool_wait`, if it is over by then, ends the wait as soon as no dial serves the request any more. Who
    /// would rather have a new connection gets `None` when that takes its time and another one stands by: it is to ask again.
    async fn wait(
        self: &Arc<Self>,
        waiting: Waiting<H1, Place>,
        deadline: Option<Instant>,
        (began, pool_wait): (Instant, Duration),
        fresh: Fresh,
    ) -> Result<Option<Delivery<H1, Place>>, CheckoutFailure> {
        let mut queued = Queued::new(self, waiting);
        let (host, id) = (queued.host, queued.id);
        let looks_around = |now: Instant| match fresh {
            Fresh::Rather { on, .. } | Fresh::Another(on) => now.checked_add(LOOKS_AROUND_AFTER).map(|at| (at, on)),
            _ => None,
        };
        let mut looks = looks_around(Instant::now());
        let gives_up = began.checked_add(pool_wait);
        let mut presses = began.checked_add(GIVES_WAY_AFTER);
        let mut has_waited = false;
        let mut dial_over = None;
        loop {
            let look = looks.map(|(at, _)| at);
            let bound = [deadline, gives_up.filter(|_| !has_waited), presses, look]
                .into_iter()
                .flatten()
                .min();
            let woken = async {
                tokio::select! {
                    biased;
                    delivery = queued.delivery() => Some(delivery),
                    () = maybe(dial_over.take()) => None,
                }
            };
            match within(bound, woken).await.flatten() {
                Some(Some(delivery)) => return Ok(Some(delivery)),
                // Passed by, its time being over; or the pool was torn down around us.
                Some(None) => return Err(CheckoutFailure::Deadline(Phase::PoolWait)),
                None => {}
            }
            let now = Instant::now();
            let is_due = |bound: Option<Instant>| bound.is_some_and(|bound| bound <= now);
            has_waited |= is_due(gives_up);
            let standing = self.with_state(|state, _| {
                let standing = state.standing(host, id, now);
                if has_waited && matches!(standing, Some(Standing::Dial(_))) {
                    dial_over = state.dial_over(host);
                }
                standing
            });
            if is_due(deadline) {
                if let Some(Standing::Dial(progress)) = &standing
                    && let Some(address) = progress.hangs_at(now)
                {
                    self.doubt(host, address, now);
                }
                return Err(CheckoutFailure::Deadline(match standing {
                    Some(Standing::Dial(progress)) => progress.phase(),
                    _ => Phase::PoolWait,
                }));
            }
            if has_waited && let Some(Standing::Cap(cap)) = &standing {
                return Err(CheckoutFailure::PoolWait(cap.words()));
            }
            if let Some((at, failed)) = looks
                && is_due(Some(at))
            {
                let rather = fresh.rather(Some(began), now);
                if self.with_state(|state, _| state.has_beside(host, failed, rather)) {
                    return Ok(None);
                }
                looks = looks_around(now);
            }
            if is_due(presses) {
                if matches!(standing, Some(Standing::Cap(_))) {
                    self.with_state(|state, todo| state.look_for_overdue(host, now, todo));
                }
                if let Some(Standing::Cap(cap @ (Cap::Pool | Cap::Registry))) = standing
                    && let Some(presser) = self.with_state(|state, _| state.presses(host, now))
                {
                    match cap {
                        Cap::Pool => self.press(presser, now),
                        _ => self.budget.press(&(Arc::clone(self) as _), presser, now),
                    }
                }
                presses = now.checked_add(GIVES_WAY_AFTER);
            }
        }
    }

    /// A request's time ran out over a dial that hangs at this address beyond its TCP connect. If the name has another one, the
    /// next attempt, and whoever else waits, is dialled for there.
    fn doubt(&self, host: usize, address: SocketAddr, now: Instant) {
        let Some(key) = self.with_state(|state, _| state.key(host).cloned()) else {
            return;
        };
        let has_other = {
            let world = self.world.peek();
            let names = world.connector.names();
            names.blame(&key.target, address);
            !names.blamed(&key.target).is_empty()
        };
        if has_other {
            self.with_state(|state, todo| state.doubt(host, address, now, todo));
        }
    }

    /// A host has waited for a slot of this pool: an idle connection makes room, else the oldest dial does, else the next
    /// connection whose request ends.
    fn press(&self, presser: Presser, now: Instant) {
        self.with_state(|state, todo| {
            if !state.make_room(todo) && !state.give_way(presser, now, todo) {
                state.reclaim(presser.host, now);
            }
        });
    }
}

async fn maybe(event: Option<impl Future<Output = ()>>) {
    match event {
        Some(event) => event.await,
        None => std::future::pending().await,
    }
}

async fn within<T>(bound: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match bound {
        None => Some(future.await),
        Some(bound) => tokio::time::timeout_at(bound, future).await.ok(),
    }
}
