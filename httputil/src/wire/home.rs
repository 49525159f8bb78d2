//! Where a connection lives, and what it says there.

use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Complaints, H1, SocketHandle};
use crate::connect::{Spent, TlsInfo};

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum CloseReason {
    /// It was idle for `pool.idle_timeout`.
    IdleTimeout,
    /// A cap on idle connections was reached and it was the least recently used, or none may be idle.
    IdleCap,
    /// The peer closed it, or said that it would.
    PeerClosed,
    /// It failed: a reset, or a protocol error.
    Error,
    /// A response's body was dropped before its end.
    HalfRead,
    /// A request was dropped while its answer was awaited.
    Cancelled,
    /// A time-out.
    Timeout,
    /// The answer came to its end before the request's body did.
    EarlyResponse,
    /// `close_idle_connections` was called.
    CloseIdle,
    /// The pool's last lease is back.
    Stopped,
    /// `pool.reuse` is off.
    NoReuse,
    /// The runtime that drove it shut down.
    RuntimeGone,
    /// It was older than `pool.max_lifetime`.
    MaxLifetime,
    /// It has borne `pool.max_requests_per_connection`, or as many as the server's `Keep-Alive: max` allows.
    MaxRequests,
    /// It was idle for as long as the server's `Keep-Alive: timeout` allows, less a second.
    KeepAlive,
    /// It had to make room for a connection to another host, under `pool.max_connections` or `registry.max_connections`.
    MadeRoom,
    /// Another connection to the same host went silent while this one was idle.
    Suspect,
    /// The server bound it to one user: `NTLM` or `Negotiate`.
    ConnectionAuth,
    /// The server asked for HTTP/1.1 on it.
    Http1Required,
    /// It answered no ping.
    PingTimeout,
    /// An answer `101` gave it to another protocol, which has ended since.
    Upgraded,
    /// The resolver names its address no more (`dns.balance = "round_robin"`).
    AddressGone,
    /// Its address had more connections than others, and the host's cap left these none (`dns.balance = "round_robin"`).
    Rebalanced,
    /// It was made under settings that a reload has replaced.
    Reloaded,
}

impl CloseReason {
    pub(super) const UNSET: u8 = u8::MAX;

    /// Every reason, in the order of their numbers.
    pub const ALL: [CloseReason; 24] = [
        CloseReason::IdleTimeout,
        CloseReason::IdleCap,
        CloseReason::PeerClosed,
        CloseReason::Error,
        CloseReason::HalfRead,
        CloseReason::Cancelled,
        CloseReason::Timeout,
        CloseReason::EarlyResponse,
        CloseReason::CloseIdle,
        CloseReason::Stopped,
        CloseReason::NoReuse,
        CloseReason::RuntimeGone,
        CloseReason::MaxLifetime,
        CloseReason::MaxRequests,
        CloseReason::KeepAlive,
        CloseReason::MadeRoom,
        CloseReason::Suspect,
        CloseReason::ConnectionAuth,
        CloseReason::Http1Required,
        CloseReason::PingTimeout,
        CloseReason::Upgraded,
        CloseReason::AddressGone,
        CloseReason::Rebalanced,
        CloseReason::Reloaded,
    ];

    pub(super) fn from_number(number: u8) -> Option<CloseReason> {
        CloseReason::ALL.get(usize::from(number)).copied()
    }

    /// The word that metrics and logs use.
    pub fn as_str(self) -> &'static str {
        match self {
            CloseReason::IdleTimeout => "idle_timeout",
            CloseReason::IdleCap => "idle_cap",
            CloseReason::PeerClosed => "peer_closed",
            CloseReason::Error => "error",
            CloseReason::HalfRead => "half_read",
            CloseReason::Cancelled => "cancelled",
            CloseReason::Timeout => "timeout",
            CloseReason::EarlyResponse => "early_response",
            CloseReason::CloseIdle => "close_idle",
            CloseReason::Stopped => "stopped",
            CloseReason::NoReuse => "no_reuse",
            CloseReason::RuntimeGone => "runtime_gone",
            CloseReason::MaxLifetime => "max_lifetime",
            CloseReason::MaxRequests => "max_requests",
            CloseReason::KeepAlive => "keep_alive",
            CloseReason::MadeRoom => "made_room",
            CloseReason::Suspect => "suspect",
            CloseReason::ConnectionAuth => "connection_auth",
            CloseReason::Http1Required => "http1_required",
            CloseReason::PingTimeout => "ping_timeout",
            CloseReason::Upgraded => "upgraded",
            CloseReason::AddressGone => "address_gone",
            CloseReason::Rebalanced => "rebalanced",
            CloseReason::Reloaded => "reloaded",
        }
    }
}

/// The pool, as a connection sees it.
pub(crate) trait Home: Send + Sync + 'static {
    /// An HTTP/1 connection has finished an exchange and can take another request.
    fn ready(&self, connection: H1);

    /// An HTTP/1 connection has finished an exchange and will be ready when its driver's poll is over, in a moment: a
    /// request that comes now need not dial.
    fn settling(&self, link: &Arc<Link>);

    /// It was not ready then after all.
    fn unsettled(&self, link: &Arc<Link>);

    /// An HTTP/2 connection has a place more, or its peer allows another number of them.
    fn places_changed(&self, link: &Arc<Link>);

    /// It takes no more requests; exchanges under way may go on.
    fn retired(&self, link: &Arc<Link>);

    /// Its socket is gone.
    fn closed(&self, link: &Link, reason: CloseReason);

    /// A request on it timed out without a sign of life since `began`: what has been idle for as long may be as dead.
    fn suspect(&self, link: &Link, began: Instant);

    /// The peer complained of too much (`ENHANCE_YOUR_CALM`): ping it less, dial it later.
    fn calm(&self, link: &Link);

    /// The peer wants HTTP/1.1 (`HTTP_1_1_REQUIRED`, `INADEQUATE_SECURITY`).
    fn http1_required(&self, link: &Arc<Link>);
}

/// What a connection must know of its place in the pool, said when it is dialled.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    /// The pool's number of the host that the connection is for.
    pub(crate) host: usize,
    /// The pool's generation when the connection was dialled.
    pub(crate) generation: u64,
    /// Offer HTTP/1 only: the host has asked for it.
    pub(crate) http1_only: bool,
    /// How often the host has complained.
    pub(crate) complaints: Arc<Complaints>,
    /// The pool's number of the host's address that the connection leads to, where that counts.
    pub(crate) site: u32,
}

impl Seat {
    /// `site` where it does not.
    pub(crate) const NO_SITE: u32 = u32::MAX;
}

/// By what a connection is told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// A number of its own in this process.
    pub(crate) number: u64,
    /// The target's address; the proxy's, where that alone knows the target's; `None` where it has none.
    pub(crate) remote: Option<SocketAddr>,
}

impl Marks {
    /// Whether this is another connection.
    pub(crate) fn is_beside(&self, other: Marks) -> bool {
        self.number != other.number
    }

    /// Whether this one leads to one of these addresses.
    pub(crate) fn is_at(&self, addresses: &[SocketAddr]) -> bool {
        self.remote.is_some_and(|remote| addresses.contains(&remote))
    }

    /// Whether this one leads to another address.
    pub(crate) fn is_elsewhere(&self, other: Marks) -> bool {
        self.remote.is_some() && other.remote.is_some() && self.remote != other.remote
    }
}

/// What there is to tell of a connection, for its whole life.
#[derive(Debug)]
pub(crate) struct Facts {
    /// A number of its own in this process.
    pub(crate) number: u64,
    /// The other end of the socket.
    pub(crate) remote: Option<SocketAddr>,
    /// The target's address, where it is known.
    pub(crate) target: Option<SocketAddr>,
    /// What its dial took.
    pub(crate) spent: Spent,
    /// Where the transport's settings want it.
    pub(crate) tls: Option<Arc<TlsInfo>>,
}

/// What ties one connection to its home.
pub(crate) struct Link {
    pub(crate) home: Arc<dyn Home>,
    pub(crate) seat: Seat,
    /// The pool's number of the place where it keeps the connection; written under the pool's lock only.
    pub(crate) place: AtomicUsize,
    pub(crate) socket: SocketHandle,
    pub(crate) facts: Arc<Facts>,
    /// When it was made.
    pub(crate) born: Instant,
    /// When it is to take no more requests (`pool.max_lifetime`, jittered).
    pub(crate) expires: Option<Instant>,
    /// Whether it has been idle: since then it may have been closed unnoticed, used or not.
    has_rested: AtomicBool,
    /// When its last request took it. Locked for a moment, and mostly under the pool's lock: to tell an atomic the time
    /// takes four times as long.
    lent: Mutex<Instant>,
    /// Set when the connection takes no more requests, before its home is told.
    is_gone: AtomicBool,
    /// Whether the pool counts on its coming home in a moment; written under the pool's lock only.
    pub(crate) is_settling: AtomicBool,
}

impl Facts {
    pub(crate) fn marks(&self) -> Marks {
        Marks {
            number: self.number,
            remote: self.target.or(self.remote),
        }
    }
}

impl Link {
    /// `place` of a connection that the pool keeps nowhere.
    pub(crate) const NOWHERE: usize = usize::MAX;

    pub(super) fn new(
        home: Arc<dyn Home>,
        seat: Seat,
        socket: SocketHandle,
        target: Option<SocketAddr>,
        spent: Spent,
        tls: Option<Arc<TlsInfo>>,
        max_lifetime: Option<Duration>,
    ) -> Arc<Link> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let place = AtomicUsize::new(Link::NOWHERE);
        let born = Instant::now();
        Arc::new(Link {
            facts: Arc::new(Facts {
                number: NEXT.fetch_add(1, Ordering::Relaxed),
                remote: socket.remote(),
                target,
                spent,
                tls,
            }),
            born,
            has_rested: AtomicBool::new(false),
            lent: Mutex::new(born),
            expires: max_lifetime.and_then(|lifetime| born.checked_add(jittered(lifetime))),
            home,
            seat,
            place,
            socket,
            is_gone: AtomicBool::new(false),
            is_settling: AtomicBool::new(false),
        })
    }

    /// Whether the connection takes no more requests. Whoever keeps a connection looks at this after having written down
    /// where: one that went in between was told too early.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::SeqCst)
    }

    /// It is idle from now on.
    pub(crate) fn rest(&self) {
        self.has_rested.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_rested(&self) -> bool {
        self.has_rested.load(Ordering::Relaxed)
    }

    /// A request takes it.
    pub(crate) fn lend(&self, now: Instant) {
        *self.lent.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// For how long the last request has had it.
    pub(crate) fn lent_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.lent_at())
    }

    /// When its last request took it.
    pub(super) fn lent_at(&self) -> Instant {
        *self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection takes no more requests. Its home is told once.
    pub(super) fn retired(self: &Arc<Self>) {
        if !self.is_gone.swap(true, Ordering::SeqCst) {
            self.home.retired(self);
        }
    }

    pub(super) fn closed(&self, reason: CloseReason) {
        self.home.closed(self, reason);
    }
}

/// `length` give or take a tenth, so that connections made together do not go together.
pub(crate) fn jittered(length: Duration) -> Duration {
    // What is too long to be counted is too long to matter.
    Duration::try_from_secs_f64(length.as_secs_f64() * (0.9 + chance() / 5.0)).unwrap_or(length)
}

/// A number from 0 to 1.
pub(crate) fn chance() -> f64 {
    // A hasher's keys are random; no more is asked of it here.
    let random = std::hash::RandomState::new().build_hasher().finish();
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("seat", &self.seat).finish_non_exhaustive()
    }
}
