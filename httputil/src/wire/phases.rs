//! The bounds of an exchange's phases: how long the peer may take nothing of the request, give no head, be silent in the
//! middle of the body.
//!
//! ```text
//! the caller's turn ─► ours is written ─► the peer's turn: head ─► the reader waits ─► piece ─► …
//!  (its stream gives    `write`            `response_header`       `read`
//!   nothing: no bound)
//! ```
//!
//! A reader that does not wait for a piece makes no silence. But where no deadline would end an answer that nobody asks for
//! more of, it is over after `read`, too: it holds a connection.
//!
//! A request has a [`Watch`] only where one of the bounds is on: one timer, made when the first wait begins, and set anew
//! for each one. Whose turn it is changes without waking anybody; the watch looks again when a bound could have been
//! reached at the earliest, and so is never late.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::upload::{Turn, Upload};
use super::{RequestBody, SocketHandle};
use crate::error::Phase;

/// The bounds that a profile has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Phases {
    /// `timeouts.response_header`
    pub(crate) response_header: Option<Duration>,
    /// `timeouts.read`
    pub(crate) read: Option<Duration>,
    /// `timeouts.write`
    pub(crate) write: Option<Duration>,
}

/// A bound that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Late {
    pub(crate) phase: Phase,
    pub(crate) after: Duration,
}

/// Watches over one exchange.
pub(super) struct Watch {
    phases: Arc<Phases>,
    /// Where there is something to send.
    upload: Option<Arc<Upload>>,
    /// Of a connection that is the exchange's alone: the socket says whether the peer takes what is written.
    socket: Option<SocketHandle>,
    began: Instant,
    /// For how long a reader may ask for nothing.
    patience: Option<Duration>,
    /// Since when somebody waits for a piece of the body.
    reading: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Bytes that had been received when half of the wait was over.
    heard: u64,
}

/// What a bound comes to, as things stand.
enum Due {
    Over(Late, Instant),
    /// None is running; one may by then.
    Look(Instant),
    Never,
}

impl Phases {
    /// Nothing, where no bound is on: then nobody watches.
    pub(crate) fn any(self) -> Option<Arc<Phases>> {
        let is_any = self.response_header.or(self.read).or(self.write).is_some();
        is_any.then(|| Arc::new(self))
    }
}

impl Watch {
    /// Watches over the exchange of a request with this `body`, which begins now. The `socket` is that of a connection that
    /// is the exchange's alone; the `deadline`, what ends it if nothing else does.
    pub(super) fn over(
        phases: &Arc<Phases>,
        body: &mut RequestBody,
        socket: Option<SocketHandle>,
        deadline: Option<Instant>,
    ) -> Watch {
        let follows = phases.response_header.or(phases.write).is_some();
        Watch {
            phases: Arc::clone(phases),
            upload: follows.then(|| body.follow(socket.is_none())).flatten(),
            socket,
            began: Instant::now(),
            patience: phases.read.filter(|_| deadline.is_none()),
            reading: None,
            sleep: None,
            heard: 0,
        }
    }

    /// What had been [heard](Self::poll) when half of the wait was over that took too long.
    pub(super) fn heard(&self) -> u64 {
        self.heard
    }

    /// Whether the exchange has taken too long while its head is awaited; `received` are the bytes received so far.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>, received: impl Fn() -> u64) -> Poll<Late> {
        self.poll(cx, received, |watch, now| {
            watch.sending(now, watch.phases.response_header)
        })
    }

    /// The same while somebody waits for a piece of the body.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>, received: impl Fn() -> u64) -> Poll<Late> {
        let since = *self.reading.get_or_insert_with(Instant::now);
        self.poll(cx, received, |watch, now| {
            let read = watch
                .phases
                .read
                .map_or(Due::Never, |after| over(Phase::Body, after, since));
            // The request may be on its way still.
            earlier(read, watch.sending(now, None))
        })
    }

    /// For how long a reader may ask for nothing, if that is bounded.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// When an answer is over that nobody asks for more of from now on.
    pub(super) fn unread_until(&self) -> Option<Instant> {
        let patience = self.patience?;
        // One who waits for a piece is told of the silence first.
        let longest = if self.reading.is_some() {
            patience.saturating_mul(2)
        } else {
            patience
        };
        Instant::now().checked_add(longest)
    }

    /// A piece of the body has come.
    pub(super) fn progress(&mut self) {
        self.reading = None;
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        received: impl Fn() -> u64,
        due: impl Fn(&Watch, Instant) -> Due,
    ) -> Poll<Late> {
        loop {
            let now = Instant::now();
            let wake = match due(self, now) {
                Due::Never => return Poll::Pending,
                Due::Look(at) => at,
                Due::Over(late, at) if at <= now => return Poll::Ready(late),
                Due::Over(late, at) => match at.checked_sub(late.after / 2).filter(|half| now < *half) {
                    Some(half) => half,
                    None => at,
                },
            };
            if self.sleep.as_ref().is_none_or(|sleep| sleep.deadline() != wake) {
                // From here on only silence counts.
                self.heard = received();
            }
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(wake)));
            if sleep.deadline() != wake {
                sleep.as_mut().reset(wake);
            }
            ready!(sleep.as_mut().poll(cx));
        }
    }

    /// What is due while the request is on its way, and after it, if the head is awaited.
    fn sending(&self, now: Instant, header: Option<Duration>) -> Due {
        let turn = match &self.upload {
            None => Turn::Peer(self.began),
            Some(upload) => upload.turn(self.socket.as_ref()),
        };
        let Phases { write, .. } = *self.phases;
        match turn {
            Turn::Wire(since) if let Some(after) = write => over(Phase::Write, after, since),
            Turn::Peer(since) => header.map_or(Due::Never, |after| over(Phase::ResponseHeader, after, since)),
            // Neither can have been reached before.
            Turn::Wire(_) | Turn::Caller => {
                let least = header.into_iter().chain(write).min();
                least.map_or(Due::Never, |least| now.checked_add(least).map_or(Due::Never, Due::Look))
            }
        }
    }
}

fn over(phase: Phase, after: Duration, since: Instant) -> Due {
    let late = Late { phase, after };
    // A bound too far for the clock is none.
    since.checked_add(after).map_or(Due::Never, |at| Due::Over(late, at))
}

fn earlier(one: Due, other: Due) -> Due {
    let at = |due: &Due| match due {
        Due::Over(_, at) | Due::Look(at) => Some(*at),
        Due::Never => None,
    };
    match (at(&one), at(&other)) {
        (Some(first), Some(second)) if second < first => other,
        (None, _) => other,
        _ => one,
    }
}
