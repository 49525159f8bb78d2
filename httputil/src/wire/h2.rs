//! An HTTP/2 connection: many exchanges at a time, as many as there are places for.
//!
//! The pool keeps the places (`http2.max_streams_per_connection`, or fewer if the peer allows fewer), so that no
//! request waits inside hyper, where it would be lost with the connection. A place is held until the response's body
//! has ended.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::client::conn::http2;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::open::Wire;
use super::{Cause, CloseReason, Link, PooledBody, Processed, RequestBody, SendFailure};

type Sender = http2::SendRequest<RequestBody>;

/// A handle on an HTTP/2 connection. When the last one is dropped, the connection closes politely.
#[derive(Clone)]
pub(crate) struct H2 {
    sender: Sender,
    shared: Arc<Shared>,
}

struct Shared {
    link: Arc<Link>,
    in_use: AtomicUsize,
    limit: AtomicUsize,
    uses: AtomicUsize,
    is_retired: AtomicBool,
}

/// Spawns hyper's tasks, and remembers the first: the one that owns the socket.
#[derive(Clone, Default)]
pub(super) struct Executor {
    socket_task: Arc<OnceLock<AbortHandle>>,
}

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        let task = tokio::spawn(future);
        self.socket_task.get_or_init(|| task.abort_handle());
    }
}

impl H2 {
    /// Starts a driver that follows the connection's stream limit and its end.
    pub(super) fn start(
        sender: Sender,
        connection: http2::Connection<Wire, RequestBody, Executor>,
        link: Arc<Link>,
        executor: Executor,
        max_streams: usize,
    ) -> H2 {
        let limit = max_streams.min(connection.current_max_send_streams());
        let shared = Arc::new(Shared {
            link,
            in_use: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            uses: AtomicUsize::new(0),
            is_retired: AtomicBool::new(false),
        });
        tokio::spawn(Driver {
            connection,
            shared: Arc::clone(&shared),
            max_streams,
            executor,
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
        if shared.is_retired.load(Ordering::Acquire) || self.sender.is_closed() {
            return None;
        }
        let limit = shared.limit.load(Ordering::Acquire);
        let taken = shared
            .in_use
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |in_use| {
                (in_use < limit).then_some(in_use + 1)
            })
            .is_ok();
        taken.then(|| Place { h2: self.clone() })
    }

    pub(crate) fn in_use(&self) -> usize {
        self.shared.in_use.load(Ordering::Acquire)
    }

    pub(crate) fn known_limit(&self) -> Option<usize> {
        Some(self.shared.limit.load(Ordering::Acquire))
    }

    pub(crate) fn is_full_of_data(&self) -> bool {
        false
    }

    pub(crate) fn is_in_doubt(&self) -> bool {
        false
    }

    pub(crate) fn spent(&self) -> Option<CloseReason> {
        None
    }

    /// Lets the connection end after its exchanges, for `reason`. The caller drops its handle.
    pub(crate) fn retire(self, reason: CloseReason) {
        self.shared.is_retired.store(true, Ordering::Release);
        self.shared.link.socket.set_reason(reason);
    }
}

impl std::fmt::Debug for H2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("H2")
            .field("link", &self.shared.link)
            .finish_non_exhaustive()
    }
}

/// The right to one stream. Dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Place {
    h2: H2,
}

impl Place {
    /// Whether a stream has been opened on the connection before.
    pub(crate) fn is_reused(&self) -> bool {
        self.h2.shared.uses.load(Ordering::Relaxed) > 0
    }

    /// Sends a request and waits for the head of its answer. Dropping the future resets the stream and nothing else.
    pub(crate) fn send(
        mut self,
        request: Request<RequestBody>,
        deadline: Option<Instant>,
    ) -> impl Future<Output = Result<Response<PooledBody>, SendFailure>> + Send + use<> {
        let completion = request.body().completion();
        let is_reused = self.h2.shared.uses.fetch_add(1, Ordering::Relaxed) > 0;
        // Boxed as in `h1`, and for its reason.
        let answer = Box::pin(self.h2.sender.try_send_request(request));
        async move {
            let answer = match deadline {
                None => answer.await,
                Some(deadline) => match tokio::time::timeout_at(deadline, answer).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        return Err(SendFailure {
                            processed: Processed::Maybe,
                            request: None,
                            cause: Cause::Deadline,
                        });
                    }
                },
            };
            match answer {
                Ok(response) => Ok(response.map(|body| PooledBody::h2(body, self, deadline))),
                Err(mut error) => {
                    let request = error.take_message().map(Box::new);
                    let error = error.into_error();
                    let processed = if request.is_some() || is_refused(&error) {
                        Processed::No
                    } else if is_reused && !is_reset(&error) {
                        Processed::Unknown
                    } else {
                        Processed::Maybe
                    };
                    Err(SendFailure {
                        processed,
                        request,
                        cause: match completion.failure() {
                            Some(why) => Cause::RequestBody(why.to_owned()),
                            None => Cause::Hyper(error),
                        },
                    })
                }
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let shared = &self.h2.shared;
        shared.in_use.fetch_sub(1, Ordering::AcqRel);
        shared.link.home.places_changed(&shared.link);
    }
}

fn h2_error(error: &hyper::Error) -> Option<&::h2::Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<::h2::Error>() {
            return Some(error);
        }
        next = error.source();
    }
    None
}

/// The peer says that it has not acted on the stream: `REFUSED_STREAM` (RFC 9113 §8.7), or a GOAWAY whose last stream
/// is an earlier one (§6.8).
fn is_refused(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(|error| {
        error.is_remote()
            && (error.is_go_away() || (error.is_reset() && error.reason() == Some(::h2::Reason::REFUSED_STREAM)))
    })
}

fn is_reset(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(::h2::Error::is_reset)
}

struct Driver {
    connection: http2::Connection<Wire, RequestBody, Executor>,
    shared: Arc<Shared>,
    max_streams: usize,
    executor: Executor,
    is_finished: bool,
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        match Pin::new(&mut this.connection).poll(cx) {
            Poll::Ready(_) => {
                this.is_finished = true;
                Poll::Ready(())
            }
            Poll::Pending => {
                // hyper shows the peer's SETTINGS nowhere else, and wakes this task for them.
                let limit = this.max_streams.min(this.connection.current_max_send_streams());
                if this.shared.limit.swap(limit, Ordering::AcqRel) < limit {
                    this.shared.link.home.places_changed(&this.shared.link);
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.is_finished {
            self.shared.link.socket.set_reason(CloseReason::RuntimeGone);
            if let Some(task) = self.executor.socket_task.get() {
                task.abort();
            }
        }
        // Streams under way go on in the task that owns the socket; new ones would be refused.
        self.shared.is_retired.store(true, Ordering::Release);
        self.shared.link.retired();
    }
}
