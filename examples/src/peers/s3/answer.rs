//! What it answers to which request.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::request::Parts;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use httputil_tests::gate::Gate;
use httputil_tests::server::{Reply, ReplyBody, handlers};
use hyper::Request;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use reqwest::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH,
    LAST_MODIFIED, RANGE,
};
use reqwest::{Method, StatusCode};

use super::account::Asked;
use super::content::Content;
use super::document;
use super::objects::{Bucket, Stored, Taking, Upload};
use super::signature::{Verifier, parameters};
use crate::peers::answers::{Answers, lock};

/// What is kept of an object that is put: larger ones pass by, and leave their digest.
const KEPT: usize = 16 << 20;

pub(super) struct State {
    verifier: Verifier,
    pub(super) buckets: Mutex<BTreeMap<String, Bucket>>,
    pub(super) asked: Mutex<Vec<Asked>>,
    pub(super) answers: Answers,
    pub(super) faults: Mutex<Faults>,
    pub(super) gate: Mutex<Option<Gate>>,
}

pub(super) struct Faults {
    pub(super) page: usize,
    pub(super) breaks: VecDeque<u64>,
    pub(super) damages: bool,
    pub(super) fails_late: bool,
}

pub(super) async fn answer(state: Arc<State>, request: Request<Incoming>) -> Reply {
    let gate = lock(&state.gate).clone();
    if let Some(gate) = gate {
        gate.pass().await;
    }
    let (parts, body) = request.into_parts();
    let path = percent_decode_str(parts.uri.path().trim_start_matches('/'))
        .decode_utf8_lossy()
        .into_owned();
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    let reply = match state.verifier.verify(&parts) {
        Ok(payload) => match state.answers.next() {
            Some(status) => document::complaint(status, "NotNow"),
            None => state.act(&parts, bucket, key, payload, body).await,
        },
        Err(refusal) => document::complaint(StatusCode::FORBIDDEN, refusal),
    };
    lock(&state.asked).push(Asked {
        method: parts.method,
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        answer: reply.status().as_u16(),
    });
    reply
}

impl State {
    pub(super) fn new(access_key: &'static str, secret_key: &'static str, region: &str) -> State {
        State {
            verifier: Verifier {
                access_key,
                secret_key,
                region: region.to_owned(),
            },
            buckets: Mutex::default(),
            asked: Mutex::default(),
            answers: Answers::default(),
            faults: Mutex::new(Faults {
                page: 1000,
                breaks: VecDeque::new(),
                damages: false,
                fails_late: false,
            }),
            gate: Mutex::default(),
        }
    }

    async fn act(&self, parts: &Parts, bucket: &str, key: &str, payload: Option<String>, mut body: Incoming) -> Reply {
        let is_large = body.size_hint().lower() > KEPT as u64;
        let mut taking = Taking::new(if is_large { 0 } else { KEPT });
        while let Some(frame) = body.frame().await {
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(piece)) => taking.take(&piece),
                Ok(Err(_)) => {}
                Err(_) => return document::complaint(StatusCode::BAD_REQUEST, "IncompleteBody"),
            }
        }
        let (content, digest) = taking.end();
        if payload.is_some_and(|payload| payload != digest) {
            return document::complaint(StatusCode::BAD_REQUEST, "XAmzContentSHA256Mismatch");
        }
        let parameters = parameters(parts.uri.query().unwrap_or_default());
        let value = |name: &str| {
            parameters
                .iter()
                .find(|(found, _)| found == name)
                .map(|(_, value)| value.as_str())
        };
        let mut buckets = lock(&self.buckets);
        let Some(bucket) = buckets.get_mut(bucket) else {
            return document::complaint(StatusCode::NOT_FOUND, "NoSuchBucket");
        };
        let upload = value("uploadId");
        match &parts.method {
            &Method::GET if key.is_empty() && value("list-type") == Some("2") => {
                let encodes = value("encoding-type") == Some("url");
                self.list(bucket, value("prefix"), value("continuation-token"), encodes)
            }
            &Method::GET | &Method::HEAD => match bucket.objects.get(key) {
                Some(stored) => self.give(parts, stored),
                None => document::complaint(StatusCode::NOT_FOUND, "NoSuchKey"),
            },
            &Method::PUT if upload.is_some() => {
                let upload = upload
                    .and_then(|upload| bucket.uploads.get_mut(upload))
                    .filter(|upload| upload.key == key);
                let number = value("partNumber").and_then(|number| number.parse().ok());
                let (Some(upload), Some(number)) = (upload, number) else {
                    return document::complaint(StatusCode::NOT_FOUND, "NoSuchUpload");
                };
                let stored = Stored::new(content, HeaderMap::new());
                let reply = tagged(&stored);
                upload.parts.insert(number, stored);
                reply
            }
            &Method::PUT if parts.headers.contains_key(IF_NONE_MATCH) && bucket.objects.contains_key(key) => {
                document::complaint(StatusCode::PRECONDITION_FAILED, "PreconditionFailed")
            }
            &Method::PUT => {
                let stored = Stored::new(content, kept(&parts.headers));
                let reply = tagged(&stored);
                bucket.objects.insert(key.to_owned(), stored);
                reply
            }
            &Method::POST if value("uploads").is_some() => {
                bucket.begun += 1;
                let name = format!("upload-{}", bucket.begun);
                let upload = Upload {
                    key: key.to_owned(),
                    headers: kept(&parts.headers),
                    parts: BTreeMap::new(),
                };
                bucket.uploads.insert(name.clone(), upload);
                document::begun(&name)
            }
            &Method::POST if upload.is_some() => self.complete(bucket, upload.unwrap_or_default(), &content),
            &Method::DELETE => {
                match upload {
                    Some(upload) => drop(bucket.uploads.remove(upload)),
                    None => drop(bucket.objects.remove(key)),
                }
                handlers::status(StatusCode::NO_CONTENT)
            }
            _ => document::complaint(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
        }
    }

    fn list(&self, bucket: &Bucket, prefix: Option<&str>, token: Option<&str>, encodes: bool) -> Reply {
        let from = token.map(document::of_token);
        if from == Some(None) {
            return document::complaint(StatusCode::BAD_REQUEST, "InvalidArgument");
        }
        let page = lock(&self.faults).page;
        document::listing(
            bucket,
            prefix.unwrap_or_default(),
            from.flatten().as_deref(),
            page,
            encodes,
        )
    }

    fn complete(&self, bucket: &mut Bucket, upload: &str, content: &Content) -> Reply {
        if std::mem::take(&mut lock(&self.faults).fails_late) {
            return document::complaint(StatusCode::OK, "InternalError");
        }
        let named = match content {
            Content::Bytes(body) => document::named_parts(&String::from_utf8_lossy(body)),
            _ => None,
        };
        match named
            .ok_or("MalformedXML")
            .and_then(|named| bucket.complete(upload, &named))
        {
            Ok(stored) => document::completed(&stored),
            Err("NoSuchUpload") => document::complaint(StatusCode::NOT_FOUND, "NoSuchUpload"),
            Err(code) => document::complaint(StatusCode::BAD_REQUEST, code),
        }
    }

    /// The object, or the range of it that was asked for.
    fn give(&self, parts: &Parts, stored: &Stored) -> Reply {
        let asked = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        if asked(IF_MATCH.as_str()).is_some_and(|tag| tag != stored.e_tag) {
            return document::complaint(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
        }
        let length = stored.content.len();
        let range = asked(RANGE.as_str()).and_then(|range| range.strip_prefix("bytes="));
        let range = range.and_then(|range| range.split_once('-'));
        let range = range.and_then(|(first, last)| {
            let last: u64 = if last.is_empty() { length } else { last.parse().ok()? };
            Some((first.parse().ok()?, (last + 1).min(length)))
        });
        let (first, end) = range.unwrap_or((0, length));
        if first > end {
            return document::complaint(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange");
        }
        let mut reply = if parts.method == Method::HEAD {
            handlers::status(StatusCode::OK)
        } else {
            let mut faults = lock(&self.faults);
            let content = match (&stored.content, faults.damages) {
                (Content::Bytes(bytes), true) => Content::Bytes(bytes.iter().map(|byte| byte ^ 1).collect::<Bytes>()),
                (content, _) => content.clone(),
            };
            let breaks = if end > first { faults.breaks.pop_front() } else { None };
            http::Response::new(ReplyBody::new(content.body(first, end, breaks)))
        };
        let headers = reply.headers_mut();
        headers.extend(stored.headers.clone());
        if asked("x-amz-checksum-mode") != Some("ENABLED") || range.is_some() {
            let all: Vec<HeaderName> = headers.keys().cloned().collect();
            for name in all.iter().filter(|name| name.as_str().starts_with("x-amz-checksum-")) {
                headers.remove(name);
            }
        }
        let mut say = |name: HeaderName, value: &str| {
            headers.insert(name, value.parse().expect("it has no control characters"));
        };
        say(ETAG, &stored.e_tag);
        say(ACCEPT_RANGES, "bytes");
        say(LAST_MODIFIED, "Thu, 01 Jan 2026 00:00:00 GMT");
        say(CONTENT_LENGTH, &(end - first).to_string());
        if range.is_some() {
            say(CONTENT_RANGE, &format!("bytes {first}-{}/{length}", end - 1));
            *reply.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        reply
    }
}

fn tagged(stored: &Stored) -> Reply {
    let mut reply = handlers::status(StatusCode::OK);
    let tag = stored.e_tag.parse().expect("it is of hexadecimal digits");
    reply.headers_mut().insert(ETAG, tag);
    reply
}

/// What of a request belongs to its object.
fn kept(headers: &HeaderMap) -> HeaderMap {
    let is_kept = |name: &HeaderName| {
        name == CONTENT_TYPE || name.as_str().starts_with("x-amz-meta-") || name.as_str().starts_with("cache-control")
    };
    let kept = headers.iter().filter(|(name, _)| is_kept(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}
