//! Raw HTTP/2 frames (RFC 9113 §4.1), to see and to send.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::Reason;
use tokio::io::{AsyncRead, AsyncReadExt};

const HEAD: usize = 9;

/// What a client says before its first frame (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The flag of DATA and HEADERS that ends their stream.
pub const END_STREAM: u8 = 0x1;

/// The flag of SETTINGS and PING that answers the peer's.
pub const ACK: u8 = 0x1;

/// The SETTINGS key of the limit of concurrent streams.
pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of RFC 9113 §6")]
pub enum Kind {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    Other(u8),
}

const KINDS: [Kind; 10] = [
    Kind::Data,
    Kind::Headers,
    Kind::Priority,
    Kind::RstStream,
    Kind::Settings,
    Kind::PushPromise,
    Kind::Ping,
    Kind::GoAway,
    Kind::WindowUpdate,
    Kind::Continuation,
];

impl Kind {
    fn of(code: u8) -> Self {
        KINDS.get(usize::from(code)).copied().unwrap_or(Self::Other(code))
    }

    fn code(self) -> u8 {
        match self {
            Self::Other(code) => code,
            known => (0u8..)
                .zip(KINDS)
                .find(|(_, kind)| *kind == known)
                .map_or(0, |(code, _)| code),
        }
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: Kind,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 is the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Bytes,
}

impl Frame {
    /// GOAWAY: no stream above `last` was or will be processed.
    #[must_use]
    pub fn goaway(last: u32, reason: Reason) -> Self {
        Self::of(
            Kind::GoAway,
            0,
            [last.to_be_bytes(), u32::from(reason).to_be_bytes()].concat(),
        )
    }

    /// `RST_STREAM`.
    #[must_use]
    pub fn rst_stream(stream: u32, reason: Reason) -> Self {
        Self::of(Kind::RstStream, stream, u32::from(reason).to_be_bytes().to_vec())
    }

    /// PING, to be answered.
    #[must_use]
    pub fn ping(payload: [u8; 8]) -> Self {
        Self::of(Kind::Ping, 0, payload.to_vec())
    }

    /// SETTINGS. The server's own idea of a limit stays what its builder said, so inject lower ones than that.
    #[must_use]
    pub fn settings(values: &[(u16, u32)]) -> Self {
        let mut payload = BytesMut::new();
        for (key, value) in values {
            payload.put_u16(*key);
            payload.put_u32(*value);
        }
        Self::of(Kind::Settings, 0, payload)
    }

    /// `WINDOW_UPDATE`; stream 0 is the connection.
    #[must_use]
    pub fn window_update(stream: u32, by: u32) -> Self {
        Self::of(Kind::WindowUpdate, stream, by.to_be_bytes().to_vec())
    }

    fn of(kind: Kind, stream: u32, payload: impl Into<Bytes>) -> Self {
        Self {
            kind,
            flags: 0,
            stream,
            payload: payload.into(),
        }
    }

    /// Whether it has this flag.
    #[must_use]
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag == flag
    }

    /// The reason of `RST_STREAM` or GOAWAY.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        let at = match self.kind {
            Kind::RstStream => 0,
            Kind::GoAway => 4,
            _ => return None,
        };
        let code = self.payload.get(at..at + 4)?;
        Some(Reason::from(u32::from_be_bytes(code.try_into().ok()?)))
    }

    /// As it is on the wire.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut wire = BytesMut::with_capacity(HEAD + self.payload.len());
        wire.put_uint(self.payload.len() as u64, 3);
        wire.put_u8(self.kind.code());
        wire.put_u8(self.flags);
        wire.put_u32(self.stream);
        wire.put_slice(&self.payload);
        wire.freeze()
    }
}

/// Takes frames off a stream of bytes. Cancel-safe: a frame half read stays half read.
pub(super) struct FrameReader<R> {
    source: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            buffer: BytesMut::new(),
        }
    }

    /// Exactly `n` bytes that are no frame; `None` when the stream ends before.
    pub(super) async fn bytes(&mut self, n: usize) -> io::Result<Option<Bytes>> {
        while self.buffer.len() < n {
            if self.source.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
        Ok(Some(self.buffer.split_to(n).freeze()))
    }

    /// The next frame; `None` when the stream ends, in the midst of one too.
    pub(super) async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.buffered() {
                return Ok(Some(frame));
            }
            if self.source.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn buffered(&mut self) -> Option<Frame> {
        let length = usize::try_from(self.buffer.get(..3)?.get_uint(3)).expect("24 bits");
        if self.buffer.len() < HEAD + length {
            return None;
        }
        let mut wire = self.buffer.split_to(HEAD + length).freeze();
        wire.advance(3);
        let (kind, flags, stream) = (Kind::of(wire.get_u8()), wire.get_u8(), wire.get_u32() & (u32::MAX >> 1));
        Some(Frame {
            kind,
            flags,
            stream,
            payload: wire,
        })
    }
}
