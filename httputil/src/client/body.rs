//! The response's body as the user reads it: it holds the request's ticket, and its errors are ours.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::failure::Failing;
use crate::pool::Ticket;
use crate::wire::{BodyFailure, PooledBody};

/// A body whose errors are `io::Error`s around ours, so that reqwest's `is_timeout()` is right and
/// [`Error::of`](crate::Error::of) finds it.
pub(super) struct ResponseBody {
    body: PooledBody,
    ticket: Option<Ticket>,
    failing: Failing,
}

impl ResponseBody {
    pub(super) fn new(body: PooledBody, ticket: Ticket, failing: Failing) -> ResponseBody {
        let ticket = (!body.is_end_stream()).then_some(ticket);
        ResponseBody { body, ticket, failing }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if self.body.is_end_stream() {
            self.ticket = None;
        }
        Poll::Ready(frame.map(|frame| {
            frame.map_err(|failure| {
                let kind = match &failure {
                    BodyFailure::Deadline => io::ErrorKind::TimedOut,
                    BodyFailure::Ping(_) | BodyFailure::Hyper(_) => io::ErrorKind::Other,
                };
                io::Error::new(kind, self.failing.of_body(failure))
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
