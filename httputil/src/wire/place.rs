//! A place on an HTTP/2 connection: the right to one stream, from the request to the end of the answer's body.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{Method, Request, Response, StatusCode};
use tokio::time::Instant;

use super::crew::Upload;
use super::h2::{H2, Sender, Shared};
use super::phases::Watch;
use super::reasons::{is_complaint, is_refused, is_reset, is_runtime_gone};
use super::request::Completion;
use super::turn::{Numbered, Turn};
use super::{BodyFailure, Cause, CloseReason, Link, Phases, Processed, Reply, RequestBody, SendFailure, terms};
use crate::error::Phase;

/// The right to one stream. Dropping it gives the place back.
pub(crate) struct Place {
    shared: Arc<Shared>,
    /// Given up with the request: one that is put into hyper's queue in the very moment in which the connection drops it
    /// comes back only with the last sender.
    sender: Option<Sender>,
    /// When the exchange began.
    began: Instant,
    /// What has become of the request, once it is sent.
    turn: Option<Arc<Turn>>,
    /// What has become of the request's body.
    request: Completion,
    /// It is a stream of the caller's.
    upload: Option<Upload>,
    /// The peer may have closed the connection before the exchange began.
    began_stale: bool,
    /// The answer bears no body, whatever its length says.
    is_bodiless: bool,
}

impl Place {
    pub(super) fn new(h2: H2) -> Place {
        let began = h2.shared.link.born;
        let H2 { sender, shared } = h2;
        Place {
            shared,
            sender: Some(sender),
            began,
            turn: None,
            request: Completion::default(),
            upload: None,
            began_stale: false,
            is_bodiless: false,
        }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.shared.link
    }

    /// Whether a stream has been opened on the connection before.
    pub(crate) fn is_reused(&self) -> bool {
        self.shared.uses.load(Ordering::Relaxed) > 0
    }

    /// Whether the peer may have closed the connection by now: it has been used, or idle.
    pub(crate) fn may_be_stale(&self) -> bool {
        self.is_reused() || self.shared.link.has_rested()
    }

    /// Whether the request is to be sent by [`send_when_settled`](Self::send_when_settled): it could not be sent again, and
    /// nobody knows yet whether the peer allows a stream at all. One that h2 holds back never comes out of it.
    pub(crate) fn is_to_settle(&self, request: &Request<RequestBody>) -> bool {
        request.body().is_one_shot() && !self.shared.signs.is_settled()
    }

    /// Waits for the peer's first SETTINGS, sends then, or gives the request back if they allow no stream.
    pub(crate) async fn send_when_settled(
        self,
        request: Request<RequestBody>,
        deadline: Option<Instant>,
        phases: Option<Arc<Phases>>,
    ) -> Result<Box<Reply>, SendFailure> {
        let signs = &self.shared.signs;
        let received = signs.received();
        let is_over = match deadline {
            None => {
                signs.settle().await;
                false
            }
            Some(deadline) => tokio::time::timeout_at(deadline, signs.settle()).await.is_err(),
        };
        if is_over {
            self.timed_out(received);
        } else if signs.limit() > 0 {
            return Ok(self.send(request, Instant::now(), deadline, phases.as_ref()));
        }
        Err(SendFailure {
            processed: Processed::No,
            request: Some(Box::new(request)),
            cause: if is_over {
                Cause::Deadline(Phase::ResponseHeader)
            } else {
                Cause::NoStream
            },
            has_answer: false,
            calm: false,
        })
    }

    /// Sends a request `now`; what comes back waits for the head of its answer.
    pub(crate) fn send(
        mut self,
        mut request: Request<RequestBody>,
        now: Instant,
        deadline: Option<Instant>,
        phases: Option<&Arc<Phases>>,
    ) -> Box<Reply> {
        let shared = &self.shared;
        let watch = phases.map(|phases| Box::new(Watch::over(phases, request.body_mut(), None, deadline)));
        self.request = request.body().completion();
        if self.is_uploading() {
            self.upload = Some(shared.crew.upload());
            request.body_mut().step_aside();
        }
        self.is_bodiless = request.method() == Method::HEAD;
        self.began = now;
        self.began_stale = shared.uses.fetch_add(1, Ordering::SeqCst) > 0 || shared.link.has_rested();
        if terms::request_binds(request.headers()) {
            shared.is_bound.store(true, Ordering::Relaxed);
        }
        // Boxed as in `h1`, and for its reason.
        let mut sender = self.sender.take().expect("a place is used once");
        let turn = Turn::new(&shared.signs);
        self.turn = Some(Arc::clone(&turn));
        let answer = Box::pin(sender.try_send_request(request.map(|body| Numbered { body, turn })));
        drop(sender);
        Reply::new(answer, self, deadline, watch)
    }

    /// What has become of the request's body.
    pub(super) fn completion(&self) -> &Completion {
        &self.request
    }

    pub(super) fn failure(&self, error: hyper::Error, request: Option<Box<Request<RequestBody>>>) -> SendFailure {
        let Shared { signs, link, .. } = &*self.shared;
        // What the peer said with it shapes where the request goes next.
        signs.tell(link);
        let rejection = link.socket.rejection().filter(|_| !self.began_stale);
        // As long as the socket lives, h2 may write what it holds.
        let is_unwritten = link.socket.is_cut() && self.turn.as_ref().is_some_and(|turn| turn.is_unwritten());
        let processed = if rejection.is_some() {
            // It would do so on the next connection, too.
            Processed::Maybe
        } else if request.is_some() || is_refused(&error) || is_unwritten {
            Processed::No
        } else if self.began_stale && !is_reset(&error) {
            Processed::Unknown
        } else {
            Processed::Maybe
        };
        let upload = self.request.failure();
        SendFailure {
            processed,
            request,
            calm: is_complaint(&error).unwrap_or_else(|| signs.is_left_for_calm()),
            has_answer: false,
            cause: match upload {
                Some(why) => Cause::RequestBody(why.to_owned()),
                None if let Some(rejection) = rejection => Cause::Rejected(Box::new(rejection.clone())),
                None if is_unwritten && signs.is_stranded() => Cause::NoStream,
                None if is_runtime_gone(&error) => Cause::RuntimeGone,
                None if signs.pings.is_missed() => Cause::Ping(signs.pings.timeout()),
                None => Cause::Hyper(error),
            },
        }
    }

    /// Why the body failed.
    pub(super) fn body_failure(&self, error: hyper::Error) -> BodyFailure {
        let pings = &self.shared.signs.pings;
        if pings.is_missed() {
            BodyFailure::Ping(pings.timeout())
        } else if self.shared.link.socket.reason() == Some(CloseReason::RuntimeGone) {
            BodyFailure::RuntimeGone
        } else {
            BodyFailure::Hyper(error)
        }
    }

    /// Whether the answer bears no body, whatever its length says.
    pub(super) fn is_bodiless(&self) -> bool {
        self.is_bodiless
    }

    /// Whether the request's body is yet to come to its end.
    pub(super) fn is_uploading(&self) -> bool {
        self.request.is_under_way()
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The head has come. From here on the body is waited for.
    pub(super) fn answered<B>(&mut self, response: &Response<B>) {
        self.is_bodiless |= response.status() == StatusCode::NOT_MODIFIED;
        let shared = &self.shared;
        if terms::answer_binds(response.headers()) {
            shared.is_bound.store(true, Ordering::Relaxed);
        }
    }

    /// When half of the exchange's time is over.
    pub(super) fn half_time(&self, deadline: Instant) -> Instant {
        self.began + deadline.saturating_duration_since(self.began) / 2
    }

    /// Bytes received on the connection so far.
    pub(super) fn received(&self) -> u64 {
        self.shared.signs.received()
    }

    /// Our deadline ends the exchange. If the connection has been silent since half of its time, by when `received` had
    /// come, it may be dead, and others that have been idle for longer with it. One with traffic since then is only slow
    /// with this answer.
    pub(super) fn timed_out(&self, received: u64) {
        let shared = &self.shared;
        if shared.signs.doubt(received) && self.began_stale {
            shared.link.home.suspect(&shared.link, self.began);
        }
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("link", &self.shared.link)
            .finish_non_exhaustive()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(turn) = &self.turn {
            turn.ends();
        }
        self.shared.give_back();
    }
}
