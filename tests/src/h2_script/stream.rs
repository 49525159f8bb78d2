//! One stream: what can be done to it, and the doing.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::connection::Control;
use super::frame::Frame;
use super::pump::{Sent, SentOnStream};
use crate::gate::Gate;
use crate::server::handlers::TAG;

/// A stream that has just begun.
#[derive(Debug)]
#[non_exhaustive]
pub struct Arrival {
    /// Its connection, from 0 in order of acceptance.
    pub connection: usize,
    /// Its place among the streams of the connection, from 0.
    pub nth: usize,
    /// Its place among all streams of the server, from 0.
    pub overall: usize,
    /// Its id: 1, 3, 5, …
    pub id: u32,
    /// The request's head.
    pub head: http::request::Parts,
}

/// The last stream that a GOAWAY owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// 2^31-1: no new streams please, all that run will finish.
    All,
    /// The stream whose step this is; from a [`Control`], the newest one.
    This,
    /// The one before that: it was not and will not be processed.
    Before,
    /// This very id; 0 owns none.
    Id(u32),
}

impl Last {
    pub(super) fn id(self, this: u32) -> u32 {
        match self {
            Self::All => u32::MAX >> 1,
            Self::This => this,
            Self::Before => this.saturating_sub(2),
            Self::Id(id) => id,
        }
    }
}

/// One thing that the server does to a stream. After the last one, an unfinished stream is held in silence until the
/// client resets it. What a stream has written leaves before the order of a later step is obeyed.
#[derive(Clone, Debug)]
pub enum Step {
    /// Waits at the gate, or until the client resets the stream.
    Hold(Gate),
    /// Reads the request's body to its end.
    ReadBody,
    /// Reads the request's body and answers 200 with it and with the request's `x-tag` header.
    Echo,
    /// Answers 200 with this body.
    Answer(Bytes),
    /// Answers 200, body to follow.
    Head,
    /// Answers 200 with this `content-length`, body to follow.
    HeadOf(u64),
    /// A piece of the body, after [`Step::Head`].
    Data(Bytes),
    /// Ends the body, after [`Step::Head`].
    End,
    /// Ends the body with this trailer, after [`Step::Head`].
    Trailer(&'static str, &'static str),
    /// Resets the stream, such as with `Reason::REFUSED_STREAM`.
    RstStream(Reason),
    /// Says GOAWAY; see [`Control::goaway`].
    GoAway(Last, Reason),
    /// Sends any frame.
    Inject(Frame),
    /// Closes the connection with a FIN.
    CloseConnection,
    /// Closes the connection with a RST.
    ResetConnection,
    /// Freezes the connection; see [`Control::freeze`].
    FreezeConnection,
}

pub(super) struct Stream {
    id: u32,
    tag: Option<HeaderValue>,
    incoming: RecvStream,
    respond: SendResponse<Bytes>,
    outgoing: Option<SendStream<Bytes>>,
    control: Control,
    sent: Arc<Sent>,
    written: SentOnStream,
}

impl Stream {
    pub(super) fn new(
        arrival: &Arrival,
        incoming: RecvStream,
        respond: SendResponse<Bytes>,
        control: Control,
        sent: Arc<Sent>,
    ) -> Self {
        let tag = arrival.head.headers.get(TAG).cloned();
        let written = SentOnStream::default();
        Self {
            id: arrival.id,
            tag,
            incoming,
            respond,
            outgoing: None,
            control,
            sent,
            written,
        }
    }

    /// Goes through the steps while a GOAWAY has not disowned the stream, then holds it unless it is over.
    pub(super) async fn play(mut self, steps: Vec<Step>) {
        for step in steps {
            // An error says that the client or the connection has gone, which the ledger or the frame log knows.
            if self.control.ignores(self.id) || self.take(step).await.is_err() {
                break;
            }
        }
        if self.written.ends + self.written.resets == 0 {
            self.reset_by_client().await;
        }
    }

    async fn take(&mut self, step: Step) -> Result<(), h2::Error> {
        match step {
            Step::Hold(gate) => tokio::select! {
                biased;
                () = gate.pass() => Ok(()),
                reason = self.reset_by_client() => Err(reason.into()),
            },
            Step::ReadBody => self.body().await.map(drop),
            Step::Echo => {
                let body = self.body().await?;
                let mut head = Response::new(());
                head.headers_mut().extend(self.tag.take().map(|tag| (TAG, tag)));
                self.head(head)?;
                self.data(body, true)
            }
            Step::Answer(body) => {
                self.head(Response::new(()))?;
                self.data(body, true)
            }
            Step::Head => self.head(Response::new(())),
            Step::HeadOf(length) => {
                let mut head = Response::new(());
                head.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
                self.head(head)
            }
            Step::Data(piece) => self.data(piece, false),
            Step::End => self.data(Bytes::new(), true),
            Step::Trailer(name, value) => self.trailer(name, value),
            Step::RstStream(reason) => {
                self.respond.send_reset(reason);
                self.written.resets += 1;
                Ok(())
            }
            order => {
                self.flushed().await;
                self.order(order);
                Ok(())
            }
        }
    }

    fn order(&self, step: Step) {
        match step {
            Step::GoAway(last, reason) => self.control.goaway_at(self.id, last, reason),
            Step::Inject(frame) => self.control.inject(frame),
            Step::CloseConnection => self.control.close(),
            Step::ResetConnection => self.control.reset(),
            Step::FreezeConnection => self.control.freeze(),
            other => unreachable!("{other:?} is no order"),
        }
    }

    async fn body(&mut self) -> Result<Bytes, h2::Error> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.incoming.data().await {
            let piece = piece?;
            self.incoming.flow_control().release_capacity(piece.len())?;
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }

    fn head(&mut self, head: Response<()>) -> Result<(), h2::Error> {
        self.outgoing = Some(self.respond.send_response(head, false)?);
        self.written.heads += 1;
        Ok(())
    }

    fn data(&mut self, piece: Bytes, last: bool) -> Result<(), h2::Error> {
        self.written.bytes += piece.len();
        self.written.ends += usize::from(last);
        self.outgoing().send_data(piece, last)
    }

    fn trailer(&mut self, name: &'static str, value: &'static str) -> Result<(), h2::Error> {
        self.written.heads += 1;
        self.written.ends += 1;
        let trailer = (HeaderName::from_static(name), HeaderValue::from_static(value));
        self.outgoing().send_trailers(HeaderMap::from_iter([trailer]))
    }

    fn outgoing(&mut self) -> &mut SendStream<Bytes> {
        self.outgoing
            .as_mut()
            .expect("the script sends the head before the body")
    }

    /// All that this stream has written so far is on the wire.
    async fn flushed(&self) {
        let mut news = self.sent.subscribe();
        let on_wire = |all: &std::collections::HashMap<u32, SentOnStream>| {
            all.get(&self.id).copied().unwrap_or_default().covers(self.written)
        };
        // The sender lives as long as this stream.
        let _ = news.wait_for(on_wire).await;
    }

    /// The reason that the client gives for resetting the stream; the end of the connection counts as a cancel.
    async fn reset_by_client(&mut self) -> Reason {
        let reason = poll_fn(|cx| match self.outgoing.as_mut() {
            Some(outgoing) => outgoing.poll_reset(cx),
            None => self.respond.poll_reset(cx),
        });
        reason.await.unwrap_or(Reason::CANCEL)
    }
}
