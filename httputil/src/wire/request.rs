//! The request's body on its way to the wire.

use std::error::Error as StdError;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use sync_wrapper::SyncWrapper;
use tokio::runtime::Handle;

use super::counting::Counting;
use super::factory::BodyFactory;
use super::manner::Hold;
use super::upload::{InPieces, PIECE, Upload};
use crate::error::BoxError;

/// A request body that knows whether it can be sent again. Null where it is empty, and boxed where it is not: it goes
/// through hyper by value with its request, a dozen moves, and most requests have none.
#[derive(Debug, Default)]
pub(crate) struct RequestBody(Option<Box<Filled>>);

#[derive(Debug)]
struct Filled {
    content: Content,
    touched: bool,
    /// What became of a stream; bytes are one piece and need none.
    fate: Option<Arc<Fate>>,
    /// What it waits at before its first byte.
    hold: Option<Arc<Hold>>,
    /// Somebody watches how far it is.
    upload: Option<Arc<Upload>>,
    /// Bytes are given in pieces.
    in_pieces: bool,
    /// Who asks first gets nothing yet.
    steps_aside: bool,
    /// What makes it once more.
    again: Option<Box<Again>>,
}

/// How a body is made once more.
#[derive(Clone, Debug)]
struct Again {
    factory: BodyFactory,
    /// The length that the caller has stated.
    length: Option<u64>,
}

#[derive(Debug)]
enum Content {
    /// It is made when it is needed.
    Unmade,
    Bytes(Bytes),
    Stream(reqwest::Body),
    Any(Shut),
}

/// Any body, made shareable by letting nobody look at it but through `&mut`; what is asked of it is kept beside it.
#[derive(Debug)]
struct Shut {
    body: SyncWrapper<AnyBody>,
    hint: SizeHint,
    has_ended: bool,
}

impl Shut {
    fn new(body: AnyBody) -> Shut {
        Shut {
            hint: body.size_hint(),
            has_ended: body.is_end_stream(),
            body: SyncWrapper::new(body),
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        let body = self.body.get_mut();
        let polled = Pin::new(&mut *body).poll_frame(cx);
        self.hint = body.size_hint();
        self.has_ended = body.is_end_stream();
        polled
    }
}

/// Any body, in one box. Unlike reqwest's, it need not be shareable.
type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

impl RequestBody {
    pub(crate) fn empty() -> RequestBody {
        RequestBody(None)
    }

    pub(crate) fn of_bytes(bytes: Bytes) -> RequestBody {
        RequestBody((!bytes.is_empty()).then(|| Box::new(Filled::new(Content::Bytes(bytes), None))))
    }

    pub(crate) fn new(body: reqwest::Body) -> RequestBody {
        match body.as_bytes() {
            Some(_) => RequestBody::of_bytes(bytes_of(body)),
            None => RequestBody::of_stream(Content::Stream(body)),
        }
    }

    /// Any body. One whose length is known is asked for its first piece: if that is all, and ready, it is as good as
    /// bytes.
    pub(crate) fn of_body<B>(body: B) -> RequestBody
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return RequestBody::empty();
        }
        let length = body.size_hint().exact().filter(|&length| length > 0);
        let mut body = body.map_err(Into::into).boxed_unsync();
        // A body may need a runtime to be polled; the request does, and says so better.
        let Some(length) = length.filter(|_| Handle::try_current().is_ok()) else {
            return RequestBody::of_stream(Content::Any(Shut::new(body)));
        };
        let mut cx = Context::from_waker(Waker::noop());
        let first = match Pin::new(&mut body).poll_frame(&mut cx) {
            // Whoever asks next leaves a waker that counts.
            Poll::Pending => return RequestBody::of_stream(Content::Any(Shut::new(body))),
            Poll::Ready(Some(first)) => first,
            Poll::Ready(None) => Err("the body ended before its length was reached".into()),
        };
        match first.map(Frame::into_data) {
            Ok(Ok(all)) if all.len() as u64 == length && body.is_end_stream() => RequestBody::of_bytes(all),
            first => {
                let first = match first {
                    Ok(Ok(data)) => Ok(Frame::data(data)),
                    Ok(Err(other)) => Ok(other),
                    Err(error) => Err(error),
                };
                let begun = Begun {
                    first: Some(first),
                    rest: body,
                };
                RequestBody::of_stream(Content::Any(Shut::new(begun.boxed_unsync())))
            }
        }
    }

    /// The body that a factory makes, when it is needed.
    pub(crate) fn of_factory(factory: BodyFactory) -> RequestBody {
        let again = Again { factory, length: None };
        RequestBody(Some(Box::new(Filled::of_again(Box::new(again)))))
    }

    /// Makes it, if it is to be made and was not yet: until then nobody knows its length.
    pub(crate) fn make(&mut self) {
        if let Some(filled) = &mut self.0 {
            filled.make();
        }
    }

    /// Whether another one of its kind may have another length.
    pub(crate) fn is_made_anew(&self) -> bool {
        self.0.as_ref().is_some_and(|filled| filled.again.is_some())
    }

    fn of_stream(content: Content) -> RequestBody {
        RequestBody(Some(Box::new(Filled::new(content, Some(Arc::default())))))
    }

    /// The same body once more, if it can be had.
    pub(crate) fn replay(&self) -> Option<RequestBody> {
        match &self.0 {
            None => Some(RequestBody::empty()),
            Some(filled) => match (&filled.again, &filled.content) {
                (Some(again), _) => Some(RequestBody(Some(Box::new(Filled::of_again(again.clone()))))),
                (None, Content::Bytes(bytes)) if !filled.touched => Some(RequestBody::of_bytes(bytes.clone())),
                _ => None,
            },
        }
    }

    /// The whole body, unless it is a stream.
    pub(crate) fn bytes(&self) -> Option<Bytes> {
        match &self.0 {
            None => Some(Bytes::new()),
            Some(filled) => match &filled.content {
                Content::Bytes(bytes) => Some(bytes.clone()),
                Content::Unmade | Content::Stream(_) | Content::Any(_) => None,
            },
        }
    }

    /// Whether it can be sent once only.
    pub(super) fn is_one_shot(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|filled| filled.again.is_none() && !matches!(filled.content, Content::Bytes(_)))
    }

    /// Whether the wire has taken anything of it.
    pub(crate) fn is_touched(&self) -> bool {
        self.0.as_ref().is_some_and(|filled| filled.touched)
    }

    /// The length, where it is known beforehand.
    pub(crate) fn length(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    /// From now on it gives nothing before the hold is opened.
    pub(super) fn hold(&mut self) -> Arc<Hold> {
        match &mut self.0 {
            Some(filled) => Arc::clone(filled.hold.get_or_insert_default()),
            // There is nothing to be held.
            None => Arc::default(),
        }
    }

    /// A stream of the caller's gives nothing to who asks first: over HTTP/2 that is the connection's task, which then leaves
    /// it to another.
    pub(super) fn step_aside(&mut self) {
        if let Some(filled) = &mut self.0 {
            filled.steps_aside = filled.fate.is_some();
        }
    }

    /// It waits for nothing.
    pub(crate) fn send_at_once(&mut self) {
        if let Some(filled) = &mut self.0 {
            filled.hold = None;
            filled.steps_aside = false;
        }
    }

    /// From now on it says how far it is; nothing, if there is nothing to send. With `in_pieces`, what is long is given
    /// piece by piece.
    pub(super) fn follow(&mut self, in_pieces: bool) -> Option<Arc<Upload>> {
        let filled = self.0.as_mut().filter(|filled| !filled.is_end_stream())?;
        if in_pieces {
            filled.give_in_pieces();
        }
        let upload = Arc::new(Upload::new());
        filled.upload = Some(Arc::clone(&upload));
        Some(upload)
    }

    /// The caller's own `Content-Length`: a stream that gives more or less fails.
    ///
    /// # Errors
    ///
    /// The length that the body has for certain, if it is another.
    pub(crate) fn declare(&mut self, length: u64) -> Result<(), u64> {
        match &mut self.0 {
            Some(filled) => filled.declare(length),
            None if length == 0 => Ok(()),
            None => Err(0),
        }
    }

    /// Tells later whether the body was taken to its end.
    pub(super) fn completion(&self) -> Completion {
        let filled = self.0.as_deref();
        Completion {
            fate: filled.and_then(|filled| filled.fate.clone()),
            length: self.length().unwrap_or(0),
            hold: filled.and_then(|filled| filled.hold.clone()),
        }
    }
}

impl Filled {
    fn new(content: Content, fate: Option<Arc<Fate>>) -> Filled {
        Filled {
            content,
            touched: false,
            fate,
            hold: None,
            upload: None,
            in_pieces: false,
            steps_aside: false,
            again: None,
        }
    }

    fn of_again(again: Box<Again>) -> Filled {
        let mut filled = Filled::new(Content::Unmade, None);
        filled.again = Some(again);
        filled
    }

    fn make(&mut self) {
        let (Content::Unmade, Some(again)) = (&self.content, &self.again) else {
            return;
        };
        let length = again.length;
        match again.factory.make() {
            Ok(RequestBody(None)) => self.content = Content::Bytes(Bytes::new()),
            Ok(RequestBody(Some(mut made))) => {
                std::mem::swap(&mut self.content, &mut made.content);
                self.fate = made.fate.take();
            }
            Err(why) => self.fail(why.into()),
        }
        if let Some(length) = length
            && let Err(known) = self.declare(length)
        {
            self.fail(format!("it has {known} bytes, and its content-length, {length}, was stated").into());
        }
    }

    /// Makes it a body that fails.
    fn fail(&mut self, why: BoxError) {
        let begun = Begun {
            first: Some(Err(why)),
            rest: Empty::new().map_err(|never| match never {}).boxed_unsync(),
        };
        self.content = Content::Any(Shut::new(begun.boxed_unsync()));
        self.fate.get_or_insert_default();
    }

    /// Drops the caller's stream; whether that went well. A panic here would take along whoever happens to drop it: the
    /// driver of the connection, and with it an innocent answer.
    fn let_go(&mut self) -> bool {
        let content = std::mem::replace(&mut self.content, Content::Bytes(Bytes::new()));
        std::panic::catch_unwind(AssertUnwindSafe(|| drop(content))).is_ok()
    }

    fn give_in_pieces(&mut self) {
        self.make();
        let content = std::mem::replace(&mut self.content, Content::Bytes(Bytes::new()));
        self.content = match content {
            Content::Unmade => Content::Unmade,
            Content::Bytes(bytes) => {
                self.in_pieces = true;
                // As a stream, it can be on its way.
                self.fate.get_or_insert_default();
                Content::Bytes(bytes)
            }
            Content::Stream(body) => Content::Any(Shut::new(InPieces::new(body).boxed_unsync())),
            Content::Any(shut) => Content::Any(Shut::new(InPieces::new(shut.body.into_inner()).boxed_unsync())),
        };
    }

    fn declare(&mut self, length: u64) -> Result<(), u64> {
        self.make();
        if let Some(again) = &mut self.again {
            again.length = Some(length);
        }
        if let Content::Bytes(bytes) = &self.content {
            let known = bytes.len() as u64;
            return if known == length { Ok(()) } else { Err(known) };
        }
        if let Some(known) = self.size_hint().exact().filter(|known| *known != length) {
            return Err(known);
        }
        let content = std::mem::replace(&mut self.content, Content::Bytes(Bytes::new()));
        self.content = match content {
            Content::Stream(body) => Content::Any(Shut::new(Counting::new(body, length).boxed_unsync())),
            Content::Any(shut) => Content::Any(Shut::new(Counting::new(shut.body.into_inner(), length).boxed_unsync())),
            other @ (Content::Unmade | Content::Bytes(_)) => other,
        };
        Ok(())
    }
}

/// A body whose first frame was taken out and belongs before the rest.
struct Begun {
    first: Option<Result<Frame<Bytes>, BoxError>>,
    rest: AnyBody,
}

impl Body for Begun {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.size_hint();
        let taken = match &self.first {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len) as u64,
            _ => 0,
        };
        longer_by(taken, &rest)
    }
}

/// The length of a body of which so many bytes were taken out and belong before the rest.
pub(super) fn longer_by(taken: u64, rest: &SizeHint) -> SizeHint {
    let mut hint = SizeHint::new();
    hint.set_lower(rest.lower().saturating_add(taken));
    if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(taken)) {
        hint.set_upper(upper);
    }
    hint
}

/// The bytes of a `reqwest::Body` that holds nothing else.
fn bytes_of(mut body: reqwest::Body) -> Bytes {
    let mut cx = Context::from_waker(Waker::noop());
    match Pin::new(&mut body).poll_frame(&mut cx) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        _ => Bytes::new(),
    }
}

fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    error.source().map_or(error, innermost)
}

type Polled = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

/// A panic of the caller's stream fails its own request: over HTTP/2 it would leave the stream open and the request
/// waiting, over HTTP/1 it would take the driver along.
fn caught(poll: impl FnOnce() -> Polled) -> Polled {
    std::panic::catch_unwind(AssertUnwindSafe(poll))
        .unwrap_or_else(|_| Poll::Ready(Some(Err("the stream panicked".into()))))
}

const DROP_PANICKED: &str = "the body panicked when it was dropped";

/// What became of a streaming body.
#[derive(Debug, Default)]
struct Fate {
    is_finished: AtomicBool,
    failure: OnceLock<String>,
    /// It was dropped before hyper had asked for its end, and panicked.
    has_gone_badly: AtomicBool,
}

/// Whether the request's body had left when the answer ended.
#[derive(Debug, Default)]
pub(super) struct Completion {
    fate: Option<Arc<Fate>>,
    length: u64,
    hold: Option<Arc<Hold>>,
}

impl Completion {
    /// `written` is what the socket has taken since the exchange began. The head and TLS only add to it, so that a
    /// smaller number than the body's length proves that some of the body is still here.
    pub(super) fn has_left(&self, written: u64) -> bool {
        let taken = self
            .fate
            .as_ref()
            .is_none_or(|fate| fate.is_finished.load(Ordering::Acquire));
        let is_held = self.hold.as_ref().is_some_and(|hold| !hold.is_open());
        taken && !is_held && written >= self.length
    }
}

impl Completion {
    /// Whether the caller's stream has more to give.
    pub(super) fn is_under_way(&self) -> bool {
        self.fate
            .as_ref()
            .is_some_and(|fate| !fate.is_finished.load(Ordering::Acquire))
    }

    /// Why the exchange fails although it was answered, if it does: the caller's stream panicked when it was dropped, all
    /// of it having been sent.
    pub(super) fn late_failure(&self) -> Option<&'static str> {
        let fate = self.fate.as_ref()?;
        fate.has_gone_badly.load(Ordering::Acquire).then_some(DROP_PANICKED)
    }

    /// Why the caller's stream failed, if it did. HTTP/2 resets the stream then, and keeps no reason.
    pub(super) fn failure(&self) -> Option<&str> {
        self.fate.as_ref()?.failure.get().map(String::as_str)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            None => Poll::Ready(None),
            Some(filled) => filled.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|filled| filled.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), |filled| filled.size_hint())
    }
}

impl Filled {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        if std::mem::take(&mut self.steps_aside) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(hold) = &self.hold
            && hold.poll_open(cx).is_pending()
        {
            if let Some(upload) = &self.upload {
                upload.waits();
            }
            return Poll::Pending;
        }
        self.touched = true;
        self.make();
        let most = if self.in_pieces { PIECE } else { usize::MAX };
        let mut polled = match &mut self.content {
            Content::Unmade => Poll::Ready(None),
            Content::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Bytes(bytes) if bytes.len() > most => Poll::Ready(Some(Ok(Frame::data(bytes.split_to(most))))),
            Content::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Stream(body) => caught(|| Pin::new(body).poll_frame(cx).map_err(BoxError::from)),
            Content::Any(body) => caught(|| body.poll_frame(cx)),
        };
        if self.fate.is_some() {
            let has_ended = match &polled {
                Poll::Ready(Some(Ok(frame))) => frame.is_trailers() || self.is_end_stream(),
                Poll::Ready(_) => true,
                Poll::Pending => false,
            };
            // hyper asks no further once it has as much as the length promised, either.
            let is_last =
                has_ended || self.is_end_stream() || (polled.is_ready() && self.size_hint().exact() == Some(0));
            // Now, while a panic can still keep the body from looking whole.
            if has_ended && !self.let_go() && !matches!(polled, Poll::Ready(Some(Err(_)))) {
                polled = Poll::Ready(Some(Err(DROP_PANICKED.into())));
            }
            if let Some(fate) = &self.fate {
                if let Poll::Ready(Some(Err(error))) = &polled {
                    let _ = fate.failure.set(innermost(&**error).to_string());
                } else if is_last {
                    fate.is_finished.store(true, Ordering::Release);
                }
            }
        }
        if let Some(upload) = &self.upload {
            match &polled {
                Poll::Pending => upload.waits(),
                Poll::Ready(Some(Ok(frame))) if !frame.is_trailers() => {
                    upload.gave(self.is_end_stream() || self.size_hint().exact() == Some(0));
                }
                Poll::Ready(_) => upload.gave(true),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Unmade => false,
            Content::Bytes(bytes) => bytes.is_empty(),
            Content::Stream(body) => body.is_end_stream(),
            Content::Any(body) => body.has_ended,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Unmade => SizeHint::default(),
            Content::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(body) => body.size_hint(),
            Content::Any(body) => body.hint,
        }
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        if self.fate.is_some()
            && !self.let_go()
            && let Some(fate) = &self.fate
        {
            fate.has_gone_badly.store(true, Ordering::Release);
        }
    }
}
