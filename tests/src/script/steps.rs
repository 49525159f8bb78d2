//! What a scripted connection can do, and some whole scripts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::ServerConfig;

use crate::gate::Gate;

/// One thing that a scripted server does to a connection.
#[derive(Clone, Debug)]
pub enum Step {
    /// Reads to the end of the next head, the empty line included.
    ReadHead,
    /// Reads as many bytes more.
    ReadBody(usize),
    /// Reads head and body, by the request's `content-length` or its last chunk (without trailers).
    ReadRequest,
    /// Writes these bytes, in one piece if the network takes them so.
    Write(Bytes),
    /// Writes these bytes one by one, with a pause before each.
    WriteSlowly {
        /// What is written.
        bytes: Bytes,
        /// The pause.
        pause: Duration,
    },
    /// Waits at the gate.
    Hold(Gate),
    /// Waits at the gate and leaves what the client sends in the socket, for [`Step::StartTls`] after it.
    HoldUnheard(Gate),
    /// Says that no more will come: under TLS a `close_notify`, then FIN. Goes on reading.
    Fin,
    /// FIN alone: under TLS the stream is cut, as an attacker or a dying host would. Goes on reading.
    CutFin,
    /// Closes the socket. The kernel makes a RST of it when the client has sent something that was not read.
    Close,
    /// Closes the socket with a RST.
    Reset,
    /// Never does anything again. First of all steps, it is a TLS server that never answers the handshake.
    Stall,
    /// From here on takes nothing off the socket but what a step asks for: the client's writes fill up, and its close
    /// is not seen.
    StopReading,
    /// Shakes hands as a TLS server; the steps after it speak through TLS. Ends the connection if that fails.
    StartTls(Arc<ServerConfig>),
    /// Goes through these steps until the client leaves.
    Repeat(Vec<Step>),
}

impl Step {
    /// [`Step::Write`] of anything that is bytes.
    pub fn write(bytes: impl Into<Bytes>) -> Self {
        Self::Write(bytes.into())
    }
}

/// Answers one request, then keeps the connection open in silence.
pub fn answer_once(answer: impl Into<Bytes>) -> Vec<Step> {
    vec![Step::ReadRequest, Step::write(answer)]
}

/// Gives every request the same answer.
pub fn answer_all(answer: impl Into<Bytes>) -> Vec<Step> {
    vec![Step::Repeat(answer_once(answer))]
}

/// Answers one request, and closes when the gate opens: the close of an idle connection.
pub fn close_after_idle(answer: impl Into<Bytes>, gate: &Gate) -> Vec<Step> {
    vec![
        Step::ReadRequest,
        Step::write(answer),
        Step::Hold(gate.clone()),
        Step::Close,
    ]
}

/// Takes one request and resets the connection: the request may have been processed.
#[must_use]
pub fn reset_on_request() -> Vec<Step> {
    vec![Step::ReadRequest, Step::Reset]
}

/// Starts TLS, then goes on with these steps.
#[must_use]
pub fn over_tls(config: &Arc<ServerConfig>, then: Vec<Step>) -> Vec<Step> {
    [vec![Step::StartTls(config.clone())], then].concat()
}

/// Takes the TLS greeting and says that no version of it suits, as a server that is too new or too old.
#[must_use]
pub fn refuse_tls_version() -> Vec<Step> {
    vec![Step::ReadBody(1), Step::write(crate::tls::refusal()), Step::Close]
}

/// Answers the TLS greeting as a server that knows nothing newer than `version` (`0x0301` TLS 1.0, `0x0302` TLS 1.1).
#[must_use]
pub fn old_tls(version: u16) -> Vec<Step> {
    vec![Step::ReadBody(1), Step::write(crate::tls::server_hello(version))]
}
