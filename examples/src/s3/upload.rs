//! An object on its way from one store to another: in one piece, or in parts where it is large.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use reqwest::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, EXPIRES,
    HeaderMap,
};
use tokio::runtime::Handle;

use super::checksum::{Digest, Expected};
use super::error::S3Error;
use super::store::{Part, Store};
use super::stream::ObjectStream;
use super::xml::Listed;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A store takes no more parts of one object.
const MOST_PARTS: u64 = 10_000;

/// How one object is to be brought from one store to another.
#[derive(Clone)]
pub struct Plan {
    /// Where it is,
    pub from: Store,
    /// and where it is to be, under the same key.
    pub to: Store,
    /// Which one, as it was listed: if it has changed since, that is an error.
    pub object: Listed,
    /// Headers that it gets beside those that it has.
    pub headers: HeaderMap,
    /// Larger objects go in parts of this size, in bytes.
    pub part_bytes: u64,
    /// How often a piece is tried, from either store, before the object is given up.
    pub tries: u32,
    /// Counts the bytes as they come.
    pub moved: Arc<AtomicU64>,
}

impl Plan {
    /// Carries it out. No more of the object is held at any time than what is on the wire.
    ///
    /// What cannot be sent again from memory is read again from its source: that is the retry of a stream.
    ///
    /// Dropped in mid-way, an upload in parts is given up by a task of the runtime.
    ///
    /// # Errors
    ///
    /// What the last try failed by; nothing is left at the target then, or what was there before.
    pub async fn carry_out(&self) -> Result<(), S3Error> {
        if self.object.size > self.part_bytes {
            self.in_parts().await
        } else {
            let mut tries = self.tries();
            loop {
                match self.in_one().await {
                    Err(error) if tries.go_on(&error).await => {}
                    done => return done,
                }
            }
        }
    }

    async fn in_one(&self) -> Result<(), S3Error> {
        let Listed { key, size, e_tag } = &self.object;
        let object = self.from.get(key, None, Some(e_tag)).await?;
        if object.length != *size {
            return Err(S3Error::Answer(format!(
                "{} bytes of an object of {size}",
                object.length
            )));
        }
        let headers = self.carried(&object.headers);
        let stream = ObjectStream::begun(&self.from, key, e_tag, object, self.tries, &self.moved);
        let (body, tally) = stream.into_body();
        let answer = self.to.put(key, headers, body).await;
        tally.settle(answer).map(drop)
    }

    async fn in_parts(&self) -> Result<(), S3Error> {
        let key = &self.object.key;
        let said = self.from.head(key).await?;
        let headers = self.carried(&said);
        let mut tries = self.tries();
        let upload = loop {
            match self.to.begin_parts(key, headers.clone()).await {
                Err(error) if tries.go_on(&error).await => {}
                begun => break begun?,
            }
        };
        let mut begun = Begun {
            store: self.to.clone(),
            key: key.clone(),
            upload: Some(upload.clone()),
        };
        let done = self.parts(&upload, &Expected::of(&said)).await;
        if done.is_ok() {
            begun.upload = None;
        }
        done
    }

    async fn parts(&self, upload: &str, expected: &Expected) -> Result<(), S3Error> {
        let Listed { key, size, .. } = &self.object;
        let length = self.part_bytes.max(size.div_ceil(MOST_PARTS));
        let mut digest = expected.begin();
        let mut tags = Vec::new();
        for (number, first) in (1..).zip((0..*size).step_by(usize::try_from(length).unwrap_or(usize::MAX))) {
            let bytes = (first, (*size).min(first + length));
            let mut tries = self.tries();
            let (tag, so_far) = loop {
                match self.part(Part { upload, number }, bytes, digest.clone()).await {
                    Err(error) if tries.go_on(&error).await => {}
                    put => break put?,
                }
            };
            tags.push(tag);
            digest = so_far;
        }
        expected.agrees(digest).map_err(S3Error::Damaged)?;
        let mut tries = self.tries();
        loop {
            match self.to.complete_parts(key, upload, &tags).await {
                // An earlier try did it, and its answer was lost.
                Err(S3Error::Status { code, .. }) if tries.made > 0 && code == "NoSuchUpload" => {
                    return self.is_there().await;
                }
                Err(error) if tries.go_on(&error).await => {}
                done => return done,
            }
        }
    }

    async fn part(&self, part: Part<'_>, bytes: (u64, u64), digest: Digest) -> Result<(String, Digest), S3Error> {
        let Listed { key, e_tag, .. } = &self.object;
        let stream = ObjectStream::part(&self.from, key, e_tag, bytes, digest, self.tries, &self.moved);
        let (body, tally) = stream.into_body();
        let answer = self.to.put_part(key, part, body).await;
        let tag = tally.settle(answer)?;
        Ok((tag, tally.digest().unwrap_or_else(Digest::none)))
    }

    async fn is_there(&self) -> Result<(), S3Error> {
        let said = self.to.head(&self.object.key).await?;
        let length = said.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        match length {
            Some(length) if length.parse() == Ok(self.object.size) => Ok(()),
            _ => Err(S3Error::Answer(
                "the upload is gone, and the object is another".to_owned(),
            )),
        }
    }

    fn tries(&self) -> Tries<'_> {
        Tries {
            key: &self.object.key,
            most: self.tries,
            made: 0,
            pause: FIRST_PAUSE,
        }
    }

    /// What belongs to the object and not to the store that it was in.
    fn carried(&self, said: &HeaderMap) -> HeaderMap {
        let kept = [
            CACHE_CONTROL,
            CONTENT_DISPOSITION,
            CONTENT_ENCODING,
            CONTENT_LANGUAGE,
            CONTENT_TYPE,
            EXPIRES,
        ];
        let carried = said
            .iter()
            .filter(|(name, _)| kept.contains(name) || name.as_str().starts_with("x-amz-meta-"));
        let carried = carried.map(|(name, value)| (name.clone(), value.clone()));
        let more = self.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
        carried.chain(more).collect()
    }
}

/// How often something was tried.
struct Tries<'a> {
    key: &'a str,
    most: u32,
    made: u32,
    pause: Duration,
}

impl Tries<'_> {
    /// Whether to try again after this failure; the pause is over when it says so.
    async fn go_on(&mut self, error: &S3Error) -> bool {
        self.made += 1;
        if self.made >= self.most || !error.is_passing() {
            return false;
        }
        tracing::debug!(key = self.key, %error, "a piece is tried again");
        tokio::time::sleep(error.after().unwrap_or(self.pause).min(LONGEST_PAUSE)).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}

/// An upload in parts that was begun. Its parts are paid for until it is completed or given up, so whoever leaves gives it up.
struct Begun {
    store: Store,
    key: String,
    upload: Option<String>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        let (Some(upload), Ok(runtime)) = (self.upload.take(), Handle::try_current()) else {
            return;
        };
        let (store, key) = (self.store.clone(), std::mem::take(&mut self.key));
        runtime.spawn(async move {
            if let Err(error) = store.abort_parts(&key, &upload).await {
                tracing::warn!(key, upload, %error, "an upload could not be given up; its parts stay");
            }
        });
    }
}
