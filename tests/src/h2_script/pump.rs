//! The pump between the socket and the `h2` crate: every frame passes here, whole.
//!
//! ```text
//! client ─ socket ─►  log ─────────────────────────► h2
//!        ◄─ socket ─ frames of h2, frames injected ◄─ h2
//! ```
//! What h2 has written goes out before any order is obeyed; so an order given after an answer was [seen](Sent) leaving
//! never overtakes it.

use std::collections::HashMap;
use std::future::pending;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};

use super::frame::{ACK, END_STREAM, Frame, FrameReader, Kind, PREFACE};
use super::log::FrameLog;

/// What a test or a step tells a connection.
#[derive(Debug)]
pub(super) enum Order {
    Inject(Frame),
    Close,
    Reset,
    Freeze,
}

/// How a connection is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Close,
    Reset,
}

/// What has left on each stream.
pub(super) type Sent = watch::Sender<HashMap<u32, SentOnStream>>;

/// What has left on a stream: heads and trailers, bytes of body, ends, resets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SentOnStream {
    pub(super) heads: usize,
    pub(super) bytes: usize,
    pub(super) ends: usize,
    pub(super) resets: usize,
}

impl SentOnStream {
    pub(super) fn covers(self, expected: Self) -> bool {
        let Self {
            heads,
            bytes,
            ends,
            resets,
        } = self;
        heads >= expected.heads && bytes >= expected.bytes && ends >= expected.ends && resets >= expected.resets
    }
}

/// Client to h2, until the client leaves or the connection freezes; then h2 hears the end of it.
pub(super) async fn inward(
    source: impl AsyncRead + Unpin,
    mut h2: WriteHalf<DuplexStream>,
    number: usize,
    log: FrameLog,
    mut frozen: watch::Receiver<bool>,
) {
    let mut frames = FrameReader::new(source);
    tokio::select! {
        biased;
        () = async {
            drop(frozen.wait_for(|frozen| *frozen).await);
            pending::<()>().await;
        } => {}
        // A client that breaks off is in the ledger already.
        _ = forward(&mut frames, &mut h2, number, &log) => {}
    }
    // It fails when h2 has ended first.
    let _ = h2.shutdown().await;
}

async fn forward(
    frames: &mut FrameReader<impl AsyncRead + Unpin>,
    h2: &mut WriteHalf<DuplexStream>,
    number: usize,
    log: &FrameLog,
) -> io::Result<()> {
    let Some(preface) = frames.bytes(PREFACE.len()).await? else {
        return Ok(());
    };
    h2.write_all(&preface).await?;
    let mut settings_known = false;
    while let Some(frame) = frames.next().await? {
        log.add(number, &frame);
        let acknowledges = frame.kind == Kind::Settings && frame.has(ACK);
        // h2 sends SETTINGS once. What is acknowledged later was injected; h2 would take offence.
        if !(acknowledges && settings_known) {
            h2.write_all(&frame.encode()).await?;
        }
        settings_known |= acknowledges;
    }
    Ok(())
}

/// h2 to client, and the orders in between; ends when told to, or when h2 has said its last.
pub(super) async fn outward(
    h2: ReadHalf<DuplexStream>,
    mut sink: impl AsyncWrite + Unpin,
    mut orders: mpsc::UnboundedReceiver<Order>,
    sent: &Sent,
    frozen: watch::Sender<bool>,
) -> io::Result<Ending> {
    let mut frames = FrameReader::new(h2);
    loop {
        tokio::select! {
            biased;
            frame = frames.next() => {
                let Some(frame) = frame? else { break };
                sink.write_all(&frame.encode()).await?;
                sink.flush().await?;
                note(sent, &frame);
            }
            Some(order) = orders.recv() => match order {
                Order::Inject(frame) => {
                    sink.write_all(&frame.encode()).await?;
                    sink.flush().await?;
                }
                Order::Close => break,
                Order::Reset => return Ok(Ending::Reset),
                Order::Freeze => {
                    frozen.send_replace(true);
                    pending::<()>().await;
                }
            }
        }
    }
    sink.shutdown().await?;
    Ok(Ending::Close)
}

fn note(sent: &Sent, frame: &Frame) {
    sent.send_modify(|all| {
        let stream = all.entry(frame.stream).or_default();
        let body = matches!(frame.kind, Kind::Headers | Kind::Data);
        stream.heads += usize::from(frame.kind == Kind::Headers);
        stream.bytes += if frame.kind == Kind::Data {
            frame.payload.len()
        } else {
            0
        };
        stream.ends += usize::from(body && frame.has(END_STREAM));
        stream.resets += usize::from(frame.kind == Kind::RstStream);
    });
}
