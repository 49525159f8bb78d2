//! A request that was put on an HTTP/2 connection, until the head of its answer has come.
//!
//! Written by hand, as [`Awaited`](super::Awaited) is, and for its reason. Dropping it resets the stream, sooner or later (see
//! [`parking`](super::parking)), and nothing else.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::time::Instant;

use super::alarms::Alarm;
use super::phases::Watch;
use super::stream::{Answer, Stream};
use super::turn::Numbered;
use super::{Cause, Place, PooledBody, Processed, SendFailure};

const ONCE: &str = "it is not polled again when it is over";

/// An answer that is awaited.
#[must_use = "nobody hears of an answer that is not awaited"]
pub(crate) struct Reply {
    /// Gone when the head has come, or will not come.
    stream: Option<Stream>,
    watch: Option<Box<Watch>>,
    deadline: Option<Instant>,
    /// For when half of its time is over, and then for the deadline.
    alarm: Option<Alarm>,
    /// What had been received on the connection when half of the time was over.
    received: Option<u64>,
    /// That the peer's first SETTINGS allow no stream, where they have not come yet.
    nothing: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Reply {
    pub(super) fn new(
        answer: Answer<Numbered>,
        place: Place,
        deadline: Option<Instant>,
        watch: Option<Box<Watch>>,
    ) -> Box<Reply> {
        let shared = place.shared();
        let signs = &shared.signs;
        let alarm = deadline.map(|deadline| {
            let (alarm, is_early) = shared.alarms.set(place.half_time(deadline));
            if is_early {
                signs.wake_driver();
            }
            alarm
        });
        let nothing = (!signs.is_settled()).then(|| {
            let signs = Arc::clone(signs);
            Box::pin(async move { signs.allows_nothing().await }) as Pin<Box<dyn Future<Output = ()> + Send>>
        });
        // Written where it stays, and not copied there: it is large.
        Box::write(
            Box::new_uninit(),
            Reply {
                stream: Some(Stream::of_answer(answer, place)),
                watch,
                deadline,
                alarm,
                received: None,
                nothing,
            },
        )
    }

    /// Waits for the head of the answer, and puts the rest into `body`.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut PooledBody,
    ) -> Poll<Result<Response<()>, SendFailure>> {
        let stream = self.stream.as_mut().expect(ONCE);
        match stream.poll_answer(cx) {
            Poll::Ready(Ok(response)) => return Poll::Ready(self.answered(response, body)),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(self.unanswered(error))),
            Poll::Pending => {}
        }
        if let Some(watch) = &mut self.watch
            && let Poll::Ready(late) = watch.poll_head(cx, || stream.received().unwrap_or(0))
        {
            let heard = watch.heard();
            return Poll::Ready(Err(self.timed_out(Some(heard), Cause::Late(late))));
        }
        if let Some(nothing) = &mut self.nothing
            && nothing.as_mut().poll(cx).is_ready()
        {
            self.stream = None;
            return Poll::Ready(Err(failure(Processed::No, Cause::NoStream)));
        }
        while let (Some(alarm), Some(deadline)) = (&mut self.alarm, self.deadline) {
            ready!(alarm.poll(cx));
            if alarm.at() == deadline {
                let cause = Cause::Deadline(stream.phase());
                return Poll::Ready(Err(self.timed_out(self.received, cause)));
            }
            self.received = stream.received();
            if alarm.move_to(deadline)
                && let Some(place) = stream.place()
            {
                place.shared().signs.wake_driver();
            }
        }
        Poll::Pending
    }

    fn answered(&mut self, response: Response<Incoming>, body: &mut PooledBody) -> Result<Response<()>, SendFailure> {
        let stream = self.stream.as_mut().expect(ONCE);
        let place = stream.place().expect(ONCE);
        if let Some(why) = place.completion().late_failure() {
            self.stream = None;
            return Err(SendFailure::of_body(why));
        }
        place.answered(&response);
        let (head, incoming) = response.into_parts();
        stream.begin_body(incoming);
        *body = PooledBody::h2(&mut self.stream, self.deadline, self.watch.take());
        Ok(Response::from_parts(head, ()))
    }

    fn unanswered(&mut self, mut error: TrySendError<Request<Numbered>>) -> SendFailure {
        let mut stream = self.stream.take().expect(ONCE);
        let place = stream.place().expect(ONCE);
        let request = error.take_message();
        let request = request.map(|request| Box::new(request.map(|numbered| numbered.body)));
        place.failure(error.into_error(), request)
    }

    /// A bound of ours ends it; `received` is what had come by the middle of the wait.
    fn timed_out(&mut self, received: Option<u64>, cause: Cause) -> SendFailure {
        self.stream.take().expect(ONCE).timed_out(received);
        failure(Processed::Maybe, cause)
    }
}

fn failure(processed: Processed, cause: Cause) -> SendFailure {
    SendFailure {
        processed,
        request: None,
        cause,
        has_answer: false,
        calm: false,
    }
}
