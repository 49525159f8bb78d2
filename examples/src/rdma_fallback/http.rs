//! The HTTP side: S3 over the client.

use std::str::FromStr;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::try_unfold;
use http::HeaderName;
use http_body_util::{BodyExt as _, Full};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use uuid::Uuid;

use super::transport::{Meta, Opened, Transport, TransportError, Write};
use crate::s3::{Page, S3Error, Store};

/// Where the id of a write is kept.
const WRITE: HeaderName = HeaderName::from_static("x-amz-meta-write");

/// The bucket over HTTP.
pub(super) struct Http(pub(super) Store);

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Http")
    }
}

#[async_trait]
impl Transport for Http {
    async fn probe(&self) -> Result<(), TransportError> {
        self.0.list("", None).await.map(drop).map_err(judge)
    }

    async fn get(&self, key: &str, rest: Option<(u64, u64, &str)>) -> Result<Opened, TransportError> {
        let bytes = rest.map(|(first, end, _)| (first, end));
        let object = self.0.get(key, bytes, rest.map(|(_, _, e_tag)| e_tag)).await;
        let object = object.map_err(judge)?;
        let size = match rest {
            None => Some(object.length),
            Some(_) => size_of_range(&object.headers),
        };
        let meta = meta(&object.headers, size)?;
        let pieces = try_unfold(object.body, |mut body| async move {
            loop {
                match body.frame().await {
                    None => return Ok(None),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) if !data.is_empty() => return Ok(Some((data, body))),
                        _ => {}
                    },
                    Some(Err(error)) => return Err(TransportError::failed(error)),
                }
            }
        });
        Ok(Opened {
            meta,
            pieces: Box::pin(pieces),
        })
    }

    async fn head(&self, key: &str) -> Result<Meta, TransportError> {
        let headers = self.0.head(key).await.map_err(judge)?;
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        meta(&headers, length.and_then(|length| length.parse().ok()))
    }

    async fn put(&self, key: &str, write: &Write) -> Result<(), TransportError> {
        let mut headers = HeaderMap::new();
        let id = HeaderValue::from_str(&write.id.to_string()).expect("it is of hexadecimal digits");
        headers.insert(WRITE, id);
        if !write.overwrites {
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        let body = Full::<Bytes>::new(write.body.clone());
        self.0.put(key, headers, body).await.map(drop).map_err(judge)
    }

    async fn delete(&self, key: &str) -> Result<(), TransportError> {
        self.0.remove(key, HeaderMap::new()).await.map_err(judge)
    }

    async fn list(&self, prefix: &str, from: Option<&str>) -> Result<Page, TransportError> {
        self.0.list(prefix, from).await.map_err(judge)
    }
}

fn meta(headers: &HeaderMap, size: Option<u64>) -> Result<Meta, TransportError> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(size), Some(e_tag)) = (size, text(ETAG)) else {
        let why = "an object without a size or an ETag".to_owned();
        return Err(TransportError::Answered(S3Error::Answer(why)));
    };
    Ok(Meta {
        size,
        e_tag: e_tag.to_owned(),
        write: text(WRITE).and_then(|id| Uuid::from_str(id).ok()),
    })
}

/// The whole's, which stands behind the range.
fn size_of_range(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    range.rsplit_once('/')?.1.parse().ok()
}

/// What the client's retries have not mended, and another try of ours may, is a failure of the side.
fn judge(error: S3Error) -> TransportError {
    if error.is_passing() {
        TransportError::failed(error)
    } else {
        TransportError::Answered(error)
    }
}
