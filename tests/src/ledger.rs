//! What a server saw of its clients, kept so that a test can await it.
//!
//! One [`Ledger`] per server; each accepted connection is an entry in it, which the connection's socket carries and
//! which closes the entry when it is dropped. A connection is closed for the ledger at the first of: the client's FIN,
//! the client's RST, the server letting go of the socket.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use tokio::sync::watch;

use crate::PATIENCE;

/// The books of one server. Clones are the same books.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<watch::Sender<Seen>>);

/// Everything seen so far: the totals, and each connection in the order of acceptance.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Seen {
    /// Connections accepted.
    pub accepted: usize,
    /// Connections that are open now.
    pub open: usize,
    /// The most that were open at one time.
    pub max_open: usize,
    /// Connections that the client closed with a FIN.
    pub fins: usize,
    /// Connections that the client reset.
    pub resets: usize,
    /// Requests begun.
    pub requests: usize,
    /// Requests whose answer has not ended.
    pub in_flight: usize,
    /// The most that were in flight at one time.
    pub max_in_flight: usize,
    /// Full TLS handshakes completed.
    pub full_handshakes: usize,
    /// TLS handshakes that resumed a session.
    pub resumed_handshakes: usize,
    /// Why TLS handshakes failed, in order; a client's refusal shows as the alert it sent.
    pub failed_handshakes: Vec<String>,
    /// One record per connection.
    pub connections: Vec<ConnectionSeen>,
}

/// What was seen of one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionSeen {
    /// Requests begun on it.
    pub requests: usize,
    /// Requests whose answer has not ended.
    pub in_flight: usize,
    /// How it ended, if it did.
    pub end: End,
    /// The TLS handshake that was completed on it.
    pub handshake: Option<Handshake>,
    /// The protocol that ALPN chose.
    pub alpn: Option<String>,
    /// The name that the client asked for by SNI.
    pub server_name: Option<String>,
}

/// How a connection ended, as seen by the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It is open.
    #[default]
    Open,
    /// The client sent its FIN first.
    Fin,
    /// The client reset it.
    Rst,
    /// The server let go of it first.
    Server,
}

/// The kind of a completed TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// Certificates were exchanged.
    Full,
    /// An earlier session was taken up again.
    Resumed,
}

impl Seen {
    /// Connections that ended, however they did.
    #[must_use]
    pub fn closed(&self) -> usize {
        self.accepted - self.open
    }

    /// Requests of each connection, in order of acceptance.
    #[must_use]
    pub fn requests_per_connection(&self) -> Vec<usize> {
        self.connections.iter().map(|connection| connection.requests).collect()
    }
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Seen::default())))
    }

    /// A copy of everything seen so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.0.borrow().clone()
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.0.borrow().accepted
    }

    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.borrow().open
    }

    /// Connections that ended so far.
    #[must_use]
    pub fn closed(&self) -> usize {
        self.0.borrow().closed()
    }

    /// Requests begun so far.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.0.borrow().requests
    }

    /// Waits until exactly `n` connections are open.
    #[track_caller]
    pub fn until_open(&self, n: usize) -> impl Future<Output = ()> {
        self.until(format!("{n} open connections"), move |seen| seen.open == n)
    }

    /// Waits until at least `n` connections have been accepted.
    #[track_caller]
    pub fn until_accepted(&self, n: usize) -> impl Future<Output = ()> {
        self.until(format!("{n} accepted connections"), move |seen| seen.accepted >= n)
    }

    /// Waits until at least `n` connections have ended.
    #[track_caller]
    pub fn until_closed(&self, n: usize) -> impl Future<Output = ()> {
        self.until(format!("{n} closed connections"), move |seen| seen.closed() >= n)
    }

    /// Waits until at least `n` requests have begun.
    #[track_caller]
    pub fn until_requests(&self, n: usize) -> impl Future<Output = ()> {
        self.until(format!("{n} requests"), move |seen| seen.requests >= n)
    }

    /// Waits until connection number `connection` (from 0) has ended.
    #[track_caller]
    pub fn until_ended(&self, connection: usize) -> impl Future<Output = ()> {
        self.until(format!("the end of connection {connection}"), move |seen| {
            seen.connections
                .get(connection)
                .is_some_and(|connection| connection.end != End::Open)
        })
    }

    /// Waits until `holds` is true of what was seen, and panics at the caller's line after [`PATIENCE`], saying `what`
    /// was awaited and what was seen instead. For a tighter bound wrap it in [`within`](crate::within).
    #[track_caller]
    pub fn until(&self, what: impl Into<String>, mut holds: impl FnMut(&Seen) -> bool) -> impl Future<Output = ()> {
        let caller = Location::caller();
        let what = what.into();
        let ledger = self.clone();
        async move {
            let mut news = ledger.0.subscribe();
            let seen = tokio::time::timeout(PATIENCE, news.wait_for(|seen| holds(seen))).await;
            assert!(
                seen.is_ok(),
                "{caller}: waited {PATIENCE:?} for {what}; the server saw {:#?}",
                ledger.0.borrow()
            );
        }
    }

    /// Opens an entry for a connection just accepted.
    pub(crate) fn enter(&self) -> Entry {
        let mut number = 0;
        self.0.send_modify(|seen| {
            number = seen.accepted;
            seen.accepted += 1;
            seen.open += 1;
            seen.max_open = seen.max_open.max(seen.open);
            seen.connections.push(ConnectionSeen::default());
        });
        Entry {
            ledger: self.clone(),
            number,
        }
    }

    /// Counts a request on the connection until the guard is dropped.
    pub(crate) fn request(&self, connection: usize) -> InFlight {
        self.0.send_modify(|seen| {
            seen.requests += 1;
            seen.in_flight += 1;
            seen.max_in_flight = seen.max_in_flight.max(seen.in_flight);
            seen.connections[connection].requests += 1;
            seen.connections[connection].in_flight += 1;
        });
        InFlight {
            ledger: self.clone(),
            connection,
        }
    }

    /// The TLS handshake on the connection was completed.
    pub(crate) fn shook_hands(&self, connection: usize, tls: &rustls::ServerConnection) {
        let kind = match tls.handshake_kind() {
            Some(rustls::HandshakeKind::Resumed) => Handshake::Resumed,
            _ => Handshake::Full,
        };
        let alpn = tls
            .alpn_protocol()
            .map(|name| String::from_utf8_lossy(name).into_owned());
        let server_name = tls.server_name().map(str::to_owned);
        self.0.send_modify(|seen| {
            seen.full_handshakes += usize::from(kind == Handshake::Full);
            seen.resumed_handshakes += usize::from(kind == Handshake::Resumed);
            seen.connections[connection].handshake = Some(kind);
            seen.connections[connection].alpn = alpn;
            seen.connections[connection].server_name = server_name;
        });
    }

    /// A TLS handshake failed.
    pub(crate) fn handshake_failed(&self, why: &std::io::Error) {
        self.0.send_modify(|seen| seen.failed_handshakes.push(why.to_string()));
    }

    pub(crate) fn is_idle(&self, connection: usize) -> bool {
        self.0.borrow().connections[connection].in_flight == 0
    }

    /// How a connection (from 0) ended; `Open` also before it was accepted.
    #[must_use]
    pub fn saw(&self, connection: usize) -> End {
        self.0
            .borrow()
            .connections
            .get(connection)
            .map_or(End::Open, |connection| connection.end)
    }
}

/// A connection's line in the books; dropping it says that the server let go of the socket.
#[derive(Debug)]
pub(crate) struct Entry {
    ledger: Ledger,
    number: usize,
}

impl Entry {
    /// The connection's number, from 0 in order of acceptance.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The client's FIN or RST was seen. Only the first end counts.
    pub(crate) fn ended(&self, end: End) {
        self.ledger.0.send_if_modified(|seen| {
            let connection = &mut seen.connections[self.number];
            let first = connection.end == End::Open;
            if first {
                connection.end = end;
                seen.open -= 1;
                seen.fins += usize::from(end == End::Fin);
                seen.resets += usize::from(end == End::Rst);
            }
            first
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.ended(End::Server);
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct InFlight {
    ledger: Ledger,
    connection: usize,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.ledger.0.send_modify(|seen| {
            seen.in_flight -= 1;
            seen.connections[self.connection].in_flight -= 1;
        });
    }
}
