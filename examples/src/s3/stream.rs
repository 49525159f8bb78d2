//! An object that is read from one store while it is sent to another: a body that goes on where a transfer broke.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Stream, try_unfold};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use httputil::{Body, BoxError};

use super::checksum::{Digest, Expected};
use super::error::S3Error;
use super::store::{Object, Store};

/// The pause before a broken transfer is gone on with; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The bytes of an object from one place to another, read as they are asked for.
///
/// A transfer that breaks is gone on with from the byte that it broke at, as long as the object is the one that it began with
/// (`If-Match`). The digest of the whole is compared before the last piece is given away, so that what is damaged is a
/// body that fails, and no object of the other store.
pub struct ObjectStream {
    store: Store,
    key: String,
    e_tag: String,
    position: u64,
    end: u64,
    body: Option<Body>,
    tries: u32,
    digest: Digest,
    whole: Option<Expected>,
    tally: Tally,
    moved: Arc<AtomicU64>,
}

/// What became of an [`ObjectStream`] that was given away. Clones tell of the same one.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    error: Option<S3Error>,
    digest: Option<Digest>,
}

impl ObjectStream {
    /// The rest of what was begun with the first byte of an object. Each piece is added to `moved`.
    pub fn begun(
        store: &Store,
        key: &str,
        e_tag: &str,
        object: Object,
        tries: u32,
        moved: &Arc<AtomicU64>,
    ) -> ObjectStream {
        let expected = Expected::of(&object.headers);
        ObjectStream {
            body: Some(object.body),
            digest: expected.begin(),
            whole: Some(expected),
            ..ObjectStream::part(store, key, e_tag, (0, object.length), Digest::none(), tries, moved)
        }
    }

    /// These bytes of an object, whose digest goes on.
    pub fn part(
        store: &Store,
        key: &str,
        e_tag: &str,
        (position, end): (u64, u64),
        digest: Digest,
        tries: u32,
        moved: &Arc<AtomicU64>,
    ) -> ObjectStream {
        ObjectStream {
            store: store.clone(),
            key: key.to_owned(),
            e_tag: e_tag.to_owned(),
            position,
            end,
            body: None,
            tries,
            digest,
            whole: None,
            tally: Tally::default(),
            moved: Arc::clone(moved),
        }
    }

    /// As a request's body, and what becomes of it.
    pub fn into_body(self) -> (Exact, Tally) {
        let (tally, length) = (self.tally.clone(), self.end - self.position);
        let pieces = try_unfold(self, |mut stream| async move {
            match stream.next().await {
                Ok(piece) => Ok(piece.map(|piece| (piece, stream))),
                Err(error) => {
                    let why = error.to_string();
                    stream.tally.lock().error = Some(error);
                    Err(BoxError::from(why))
                }
            }
        });
        (Exact::new(length, pieces), tally)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, S3Error> {
        let mut pause = FIRST_PAUSE;
        while self.position < self.end {
            match self.piece().await {
                Ok(piece) => return self.count(piece).map(Some),
                Err(error) if self.tries > 1 && error.is_passing() => {
                    self.body = None;
                    self.tries -= 1;
                    tracing::debug!(key = self.key, position = self.position, %error, "a transfer is gone on with");
                    tokio::time::sleep(error.after().unwrap_or(pause)).await;
                    pause *= 2;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn piece(&mut self) -> Result<Bytes, S3Error> {
        loop {
            let body = match &mut self.body {
                Some(body) => body,
                none => {
                    let bytes = Some((self.position, self.end));
                    let object = self.store.get(&self.key, bytes, Some(&self.e_tag)).await?;
                    none.insert(object.body)
                }
            };
            match body.frame().await {
                Some(frame) => match frame?.into_data() {
                    Ok(data) if !data.is_empty() => return Ok(data),
                    _ => {}
                },
                None => return Err(S3Error::Damaged("it ended before its length was reached".to_owned())),
            }
        }
    }

    fn count(&mut self, piece: Bytes) -> Result<Bytes, S3Error> {
        self.position += piece.len() as u64;
        if self.position > self.end {
            return Err(S3Error::Answer("more bytes than the store had said".to_owned()));
        }
        self.digest.update(&piece);
        self.moved.fetch_add(piece.len() as u64, Ordering::Relaxed);
        if self.position == self.end {
            if let Some(whole) = &self.whole {
                whole.agrees(self.digest.clone()).map_err(S3Error::Damaged)?;
            }
            self.tally.lock().digest = Some(self.digest.clone());
        }
        Ok(piece)
    }
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be made of the answer that the body got: where the body itself failed, that is why.
    ///
    /// # Errors
    ///
    /// Why the source failed, else why the target did.
    pub fn settle<T>(&self, answer: Result<T, S3Error>) -> Result<T, S3Error> {
        match (answer, self.lock().error.take()) {
            (_, Some(error)) => Err(error),
            (answer, None) => answer,
        }
    }

    /// The digest after the last piece, if it was reached.
    pub fn digest(&self) -> Option<Digest> {
        self.lock().digest.take()
    }
}

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>;

/// A stream as a body of known length, which S3 asks for.
pub struct Exact {
    left: u64,
    pieces: Pieces,
}

impl Exact {
    /// The stream must have so many bytes; one that ends earlier is a body that fails.
    pub fn new(length: u64, pieces: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static) -> Exact {
        Exact {
            left: length,
            pieces: Box::pin(pieces),
        }
    }
}

impl http_body::Body for Exact {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.pieces.as_mut().poll_next(cx)) {
            Some(Ok(piece)) => match self.left.checked_sub(piece.len() as u64) {
                Some(left) => {
                    self.left = left;
                    Some(Ok(Frame::data(piece)))
                }
                None => Some(Err("the body is longer than was told".into())),
            },
            Some(Err(error)) => Some(Err(error)),
            None => Some(Err("the body is shorter than was told".into())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
