//! An HTTP/2 connection: many exchanges at a time, as many as there are places for.
//!
//! The pool keeps the places (`http2.max_streams_per_connection`, or fewer if the peer allows fewer), so that no
//! request waits inside hyper, where it would be lost with the connection. Before the peer's SETTINGS have come there is
//! one place. What the frames say beyond that is in [`Signs`](super::signs). A request that has its place when the peer
//! lowers the limit may wait there all the same: see [`stranded`](super::stranded).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use hyper::client::conn::http2;
use tokio::runtime::Handle;

use super::alarms::{Alarms, Clock};
use super::counted::Wire;
use super::crew::{Crew, Watch};
use super::parking::Parking;
use super::signs::{Bar, Signs};
use super::stranded::Strand;
use super::turn::Numbered;
use super::{CloseReason, Link, Place};
use crate::settings::Transport;

pub(super) type Sender = http2::SendRequest<Numbered>;

/// A handle on an HTTP/2 connection. When the last one is dropped, the connection closes politely.
#[derive(Clone)]
pub(crate) struct H2 {
    pub(super) sender: Sender,
    pub(super) shared: Arc<Shared>,
}

/// What the handles and places of a connection share.
pub(super) struct Shared {
    pub(super) link: Arc<Link>,
    pub(super) signs: Arc<Signs>,
    max_streams: usize,
    /// Requests that hyper was given.
    pub(super) uses: AtomicUsize,
    /// Places given out, as far as they are counted: where there is a maximum of requests.
    granted: AtomicUsize,
    max_uses: Option<usize>,
    /// The server bound it to one user.
    pub(super) is_bound: AtomicBool,
    /// Where the connection lives.
    pub(super) runtime: Handle,
    pub(super) parking: Parking,
    pub(super) crew: Crew,
    /// When its requests are to be woken.
    pub(super) alarms: Arc<Alarms>,
}

impl H2 {
    /// Starts a driver that tells the pool what the frames say, and of the connection's end.
    pub(super) fn start(
        sender: Sender,
        connection: http2::Connection<Wire, Numbered, Crew>,
        link: Arc<Link>,
        signs: Arc<Signs>,
        crew: Crew,
        transport: &Transport,
    ) -> H2 {
        let max_uses = transport.pool.max_requests_per_connection;
        let shared = Arc::new(Shared {
            link,
            signs,
            max_streams: transport.http2.max_streams_per_connection,
            uses: AtomicUsize::new(0),
            granted: AtomicUsize::new(0),
            max_uses: max_uses.map(|max| usize::try_from(max).unwrap_or(usize::MAX)),
            is_bound: AtomicBool::new(false),
            runtime: Handle::current(),
            parking: Parking::default(),
            crew: crew.clone(),
            alarms: Arc::default(),
        });
        let dispatch = dispatch(connection, Arc::clone(&shared));
        tokio::spawn(Driver {
            watch: crew.watch(dispatch),
            shared: Arc::clone(&shared),
            strand: Strand::default(),
            clock: Clock::default(),
            is_let_go: false,
            is_finished: false,
        });
        H2 { sender, shared }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.shared.link
    }

    /// Takes a place, if one is free and the connection still takes requests.
    pub(crate) fn try_acquire(&self) -> Option<Place> {
        let shared = &self.shared;
        if shared.signs.is_barred() || self.sender.is_closed() {
            return None;
        }
        if self.spent().is_some() {
            return None;
        }
        let limit = self.limit();
        let taken = shared
            .signs
            .in_use
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |in_use| {
                (in_use < limit).then_some(in_use + 1)
            })
            .is_ok();
        taken.then(|| {
            // Counted here, under the pool's lock, and not when the request is sent: many may be given out before that.
            if shared.max_uses.is_some() {
                shared.granted.fetch_add(1, Ordering::Relaxed);
            }
            Place::new(self.clone())
        })
    }

    /// Places that are taken. More than the [`limit`](Self::limit), if the peer has lowered it since.
    pub(crate) fn in_use(&self) -> usize {
        self.shared.in_use()
    }

    /// Places that there are; none at times, if the peer says so.
    fn limit(&self) -> usize {
        self.shared.max_streams.min(self.shared.signs.limit())
    }

    /// The limit, once the peer's SETTINGS have come. Before, it is one, and says nothing of how many there will be in a
    /// moment: who waits for a place need not dial.
    pub(crate) fn known_limit(&self) -> Option<usize> {
        self.shared.signs.is_settled().then(|| self.limit())
    }

    /// Whether bodies that nobody reads have used up the connection's window.
    pub(crate) fn is_full_of_data(&self) -> bool {
        self.shared.signs.has(Bar::Full)
    }

    /// Whether a request ran out of time while the connection was silent, and nothing has come since.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.shared.signs.has(Bar::Doubt)
    }

    /// Whether the peer, which took requests, allows no stream any more.
    pub(crate) fn is_shut(&self) -> bool {
        self.shared.uses.load(Ordering::Relaxed) > 0 && self.known_limit() == Some(0)
    }

    /// Why it takes no more requests, if it takes no more.
    pub(crate) fn spent(&self) -> Option<CloseReason> {
        let shared = &self.shared;
        if shared.is_bound.load(Ordering::Relaxed) {
            Some(CloseReason::ConnectionAuth)
        } else if shared
            .max_uses
            .is_some_and(|max| shared.granted.load(Ordering::Relaxed) >= max)
        {
            Some(CloseReason::MaxRequests)
        } else {
            None
        }
    }

    /// Lets the connection end after its exchanges, for `reason`; at once, if there are none and its runtime may stand
    /// still. The caller drops its handle.
    pub(crate) fn retire(self, reason: CloseReason) {
        self.shared.signs.bar(Bar::Retired);
        let socket = &self.shared.link.socket;
        socket.set_reason(reason);
        if self.in_use() == 0 {
            socket.cut_if_undriven(&self.shared.runtime);
        }
        if self.limit() == 0 {
            // It may bear what nobody waits for any more.
            self.shared.signs.wake_driver();
        }
    }
}

impl std::fmt::Debug for H2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("H2")
            .field("link", &self.shared.link)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn in_use(&self) -> usize {
        self.signs.in_use.load(Ordering::Acquire)
    }

    /// Streams under way go on with the socket; new ones would be refused.
    pub(super) fn end(&self) {
        self.signs.end();
        self.link.retired();
    }

    /// A place is free again.
    pub(super) fn give_back(&self) {
        self.signs.in_use.fetch_sub(1, Ordering::AcqRel);
        self.link.home.places_changed(&self.link);
    }
}

/// Takes the requests in, until the connection takes no more.
async fn dispatch(connection: http2::Connection<Wire, Numbered, Crew>, shared: Arc<Shared>) {
    let _ = connection.await;
    shared.end();
}

/// The connection's task: of all that hyper spawns for it, the socket included. What the frames have said, it tells the pool.
struct Driver {
    watch: Watch,
    shared: Arc<Shared>,
    strand: Strand,
    clock: Clock,
    /// It takes no more requests in, and bears none.
    is_let_go: bool,
    is_finished: bool,
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.shared.signs.driven_by(cx.waker());
        this.clock.poll(&this.shared.alarms, cx);
        let polled = Pin::new(&mut this.watch).poll(cx);
        this.shared.signs.tell(&this.shared.link);
        if !this.is_let_go && this.strand.poll(&this.shared, cx).is_ready() {
            this.is_let_go = true;
            this.watch.drop_first();
            this.shared.end();
        }
        this.is_finished = polled.is_ready();
        polled
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.is_finished {
            self.shared.link.socket.set_reason(CloseReason::RuntimeGone);
            // Before the streams under way hear of it.
            self.shared.end();
        }
        self.shared.alarms.end();
    }
}
