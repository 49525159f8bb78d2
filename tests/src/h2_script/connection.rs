//! One connection: TLS, the pump, h2 behind it, and the reins that a test holds.

use std::future::pending;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use h2::Reason;
use rustls::ServerConfig;
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

use super::OnStream;
use super::frame::Frame;
use super::log::FrameLog;
use super::pump::{self, Ending, Order, Sent};
use super::stream::{Arrival, Last, Stream};
use crate::ledger::Ledger;
use crate::script::AnyStream;
use crate::server::Observed;
use crate::tasks::Tasks;

const PIPE: usize = 64 * 1024;

/// What all connections of a server have in common.
pub(super) struct Shared {
    pub(super) h2: h2::server::Builder,
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) on_stream: OnStream,
    pub(super) log: FrameLog,
    pub(super) controls: Mutex<Vec<Control>>,
    pub(super) streams: AtomicUsize,
    pub(super) ledger: Ledger,
    pub(super) tasks: Tasks,
}

impl Shared {
    /// Makes the reins of the connection just accepted; connections are accepted in the order of their numbers.
    pub(super) fn admit(&self, number: usize) -> (Control, mpsc::UnboundedReceiver<Order>) {
        let (orders, obeyed) = mpsc::unbounded_channel();
        let control = Control {
            orders,
            last: Arc::new(AtomicU32::new(u32::MAX)),
            newest: Arc::default(),
        };
        self.log.open(number);
        self.controls
            .lock()
            .expect("no code that can panic runs under this lock")
            .push(control.clone());
        (control, obeyed)
    }

    pub(super) fn control(&self, number: usize) -> Control {
        let controls = self
            .controls
            .lock()
            .expect("no code that can panic runs under this lock");
        controls
            .get(number)
            .cloned()
            .unwrap_or_else(|| panic!("connection {number} was not accepted yet"))
    }
}

/// The reins of one connection. Orders to a connection that has ended do nothing.
#[derive(Clone, Debug)]
pub struct Control {
    orders: mpsc::UnboundedSender<Order>,
    last: Arc<AtomicU32>,
    newest: Arc<AtomicU32>,
}

impl Control {
    /// Says GOAWAY. Streams above the last id are ignored from here on, those at or below it go on; the connection stays
    /// open until the client or [`close`](Self::close) ends it.
    pub fn goaway(&self, last: Last, reason: Reason) {
        self.goaway_at(self.newest.load(Ordering::SeqCst), last, reason);
    }

    /// Sends any frame, whole, between two others.
    pub fn inject(&self, frame: Frame) {
        self.order(Order::Inject(frame));
    }

    /// Closes the connection with a FIN (and `close_notify`).
    pub fn close(&self) {
        self.order(Order::Close);
    }

    /// Closes the connection with a RST.
    pub fn reset(&self) {
        self.order(Order::Reset);
    }

    /// From here on reads nothing and writes nothing, as behind a black hole; the connection stays open.
    pub fn freeze(&self) {
        self.order(Order::Freeze);
    }

    pub(super) fn goaway_at(&self, stream: u32, last: Last, reason: Reason) {
        let last = last.id(stream);
        self.last.fetch_min(last, Ordering::SeqCst);
        self.order(Order::Inject(Frame::goaway(last, reason)));
    }

    /// Whether a GOAWAY has disowned the stream.
    pub(super) fn ignores(&self, stream: u32) -> bool {
        stream > self.last.load(Ordering::SeqCst)
    }

    fn order(&self, order: Order) {
        // Nobody obeys when the connection has ended.
        let _ = self.orders.send(order);
    }
}

pub(super) async fn serve(io: Observed, shared: Arc<Shared>, control: Control, orders: mpsc::UnboundedReceiver<Order>) {
    let number = io.entry().number();
    let socket = io.second_handle();
    let stream: AnyStream = match shared.tls.clone() {
        None => Box::new(io),
        Some(tls) => match TlsAcceptor::from(tls).accept(io).await {
            Ok(stream) => {
                shared.ledger.shook_hands(number, stream.get_ref().1);
                Box::new(stream)
            }
            Err(error) => return shared.ledger.handshake_failed(&error),
        },
    };
    let (source, sink) = tokio::io::split(stream);
    let (near, far) = tokio::io::duplex(PIPE);
    let (from_h2, to_h2) = tokio::io::split(near);
    let (freeze, frozen) = watch::channel(false);
    let sent = Arc::new(Sent::default());
    let inward = pump::inward(source, to_h2, number, shared.log.clone(), frozen);
    let outward = pump::outward(from_h2, sink, orders, &sent, freeze);
    let h2 = answer(far, number, &shared, &control, &sent);
    let ending = tokio::select! {
        ending = outward => ending,
        // When these are through, so is h2, and `outward` learns of it by itself.
        never = async { tokio::join!(inward, h2); pending().await } => never,
    };
    if let (Ok(Ending::Reset), Some(socket)) = (ending, socket) {
        // It fails when the client was faster.
        let _ = socket.set_linger(Some(Duration::ZERO));
    }
}

/// Takes the streams in, each into a task of its own, until the connection ends.
async fn answer(pipe: DuplexStream, number: usize, shared: &Arc<Shared>, control: &Control, sent: &Arc<Sent>) {
    let Ok(mut connection) = shared.h2.handshake(pipe).await else {
        return;
    };
    let mut ignored = Vec::new();
    let mut nth = 0;
    while let Some(Ok((request, respond))) = connection.accept().await {
        let id = u32::from(respond.stream_id());
        if control.ignores(id) {
            // Dropping them would reset the stream, which is an answer too.
            ignored.push((request, respond));
            continue;
        }
        control.newest.fetch_max(id, Ordering::SeqCst);
        let in_flight = shared.ledger.request(number);
        let (head, body) = request.into_parts();
        let overall = shared.streams.fetch_add(1, Ordering::SeqCst);
        let arrival = Arrival {
            connection: number,
            nth,
            overall,
            id,
            head,
        };
        nth += 1;
        let steps = (shared.on_stream)(&arrival);
        let stream = Stream::new(&arrival, body, respond, control.clone(), sent.clone());
        shared.tasks.spawn(async move {
            stream.play(steps).await;
            drop(in_flight);
        });
    }
}
