//! A place on an HTTP/2 connection: the right to one stream, from the request to the end of the answer's body.

use std::sync::atomic::Ordering;

use ::h2::Reason;
use http::{Request, Response};
use tokio::time::Instant;

use super::h2::H2;
use super::{Cause, PooledBody, Processed, RequestBody, SendFailure, terms};

/// The right to one stream. Dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Place {
    h2: H2,
    began: Began,
}

/// The moment since which an exchange waits, and what had been received by then.
#[derive(Clone, Copy, Debug)]
struct Began {
    at: Instant,
    received: u64,
    is_reused: bool,
}

impl Place {
    pub(super) fn new(h2: H2) -> Place {
        let began = Began {
            at: h2.shared.link.born,
            received: 0,
            is_reused: false,
        };
        Place { h2, began }
    }

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
        let shared = &self.h2.shared;
        self.began = Began {
            at: Instant::now(),
            received: shared.signs.received(),
            is_reused: shared.uses.fetch_add(1, Ordering::Relaxed) > 0,
        };
        if terms::request_binds(request.headers()) {
            shared.is_bound.store(true, Ordering::Relaxed);
        }
        // Boxed as in `h1`, and for its reason.
        let answer = Box::pin(self.h2.sender.try_send_request(request));
        async move {
            let answer = match deadline {
                None => answer.await,
                Some(deadline) => {
                    let Ok(answer) = tokio::time::timeout_at(deadline, answer).await else {
                        self.timed_out();
                        return Err(SendFailure {
                            processed: Processed::Maybe,
                            request: None,
                            cause: Cause::Deadline,
                            calm: false,
                        });
                    };
                    answer
                }
            };
            match answer {
                Ok(response) => {
                    self.answered(&response);
                    Ok(response.map(|body| PooledBody::h2(body, self, deadline)))
                }
                Err(mut error) => {
                    let request = error.take_message().map(Box::new);
                    let error = error.into_error();
                    // What the peer said with it shapes where the request goes next.
                    self.h2.shared.signs.tell(&self.h2.shared.link);
                    let processed = if request.is_some() || is_refused(&error) {
                        Processed::No
                    } else if self.began.is_reused && !is_reset(&error) {
                        Processed::Unknown
                    } else {
                        Processed::Maybe
                    };
                    Err(SendFailure {
                        processed,
                        request,
                        calm: self.h2.shared.signs.is_calmed(),
                        cause: match completion.failure() {
                            Some(why) => Cause::RequestBody(why.to_owned()),
                            None if error.is_timeout() => Cause::Ping(self.h2.shared.signs.pings.timeout()),
                            None => Cause::Hyper(error),
                        },
                    })
                }
            }
        }
    }

    /// The head has come. From here on the body is waited for.
    fn answered<B>(&mut self, response: &Response<B>) {
        let shared = &self.h2.shared;
        if terms::answer_binds(response.headers()) {
            shared.is_bound.store(true, Ordering::Relaxed);
        }
        self.began.received = shared.signs.received();
    }

    /// Our deadline ends the exchange. If the connection has been silent all the while, it may be dead, and others that
    /// have been idle for as long with it.
    pub(super) fn timed_out(&self) {
        let shared = &self.h2.shared;
        if shared.signs.doubt(self.began.received) && self.began.is_reused {
            shared.link.home.suspect(&shared.link, self.began.at);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.h2.shared.give_back();
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

/// The peer says that it has not acted on the stream: `REFUSED_STREAM` (RFC 9113 §8.7), `HTTP_1_1_REQUIRED`, or a GOAWAY
/// whose last stream is an earlier one (§6.8).
fn is_refused(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(|error| {
        let refuses = matches!(error.reason(), Some(Reason::REFUSED_STREAM | Reason::HTTP_1_1_REQUIRED));
        error.is_remote() && (error.is_go_away() || (error.is_reset() && refuses))
    })
}

fn is_reset(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(::h2::Error::is_reset)
}
