//! Bodies that are made anew for each sending: of a caller who has a stream, and wants it sent again where bytes would be.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;

use super::RequestBody;
use crate::error::BoxError;

/// What makes a request's body, each time the same one.
#[derive(Clone)]
pub(crate) struct BodyFactory(Arc<dyn Fn() -> RequestBody + Send + Sync>);

impl BodyFactory {
    pub(crate) fn new<B>(make: impl Fn() -> B + Send + Sync + 'static) -> BodyFactory
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        BodyFactory(Arc::new(move || RequestBody::of_body(make())))
    }

    /// Makes one. A panic of the caller's fails the request that it is for, as one of its stream does.
    pub(super) fn make(&self) -> Result<RequestBody, &'static str> {
        std::panic::catch_unwind(AssertUnwindSafe(|| (self.0)())).map_err(|_| "what makes it panicked")
    }
}

/// Two are equal if they are one.
impl PartialEq for BodyFactory {
    fn eq(&self, other: &BodyFactory) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for BodyFactory {}

impl fmt::Debug for BodyFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyFactory")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::{BodyExt, Full};

    use super::*;

    /// What makes `1`, `2`, …, and how often it was asked.
    fn counting() -> (RequestBody, Arc<AtomicUsize>) {
        let made = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&made);
        let factory = BodyFactory::new(move || {
            let number = counted.fetch_add(1, Ordering::Relaxed) + 1;
            Full::new(Bytes::from("x".repeat(number)))
        });
        (RequestBody::of_factory(factory), made)
    }

    async fn text(body: RequestBody) -> Result<Bytes, String> {
        let collected = body.collect().await.map_err(|error| error.to_string())?;
        Ok(collected.to_bytes())
    }

    #[tokio::test]
    async fn each_is_made_when_it_is_needed_and_a_spare_one_is_not() {
        let (mut body, made) = counting();
        let spare = body.replay().unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 0);
        body.make();
        assert_eq!((body.length(), made.load(Ordering::Relaxed)), (Some(1), 1));
        assert_eq!(text(body).await.unwrap(), "x");
        let another = spare.replay().unwrap();
        assert_eq!(text(spare).await.unwrap(), "xx");
        drop(another);
        assert_eq!(made.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn one_that_was_touched_can_be_had_again() {
        let (mut body, _) = counting();
        body.frame().await.unwrap().unwrap();
        assert!(body.is_touched() && !body.is_one_shot());
        assert_eq!(text(body.replay().unwrap()).await.unwrap(), "xx");
    }

    #[tokio::test]
    async fn a_length_that_was_stated_holds_for_each() {
        let (mut body, _) = counting();
        body.make();
        assert_eq!(body.declare(2), Err(1));
        body.declare(1).unwrap();
        let spare = body.replay().unwrap();
        assert_eq!(text(body).await.unwrap(), "x");
        let error = text(spare).await.unwrap_err();
        assert!(
            error.contains("2 bytes") && error.contains("content-length, 1"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_panic_fails_the_body_and_nothing_else() {
        let factory = BodyFactory::new(|| -> Full<Bytes> { panic!("on purpose") });
        let body = RequestBody::of_factory(factory);
        let spare = body.replay().unwrap();
        assert_eq!(text(body).await.unwrap_err(), "what makes it panicked");
        assert!(text(spare).await.is_err());
    }
}
