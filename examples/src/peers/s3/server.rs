//! The server, and what it answers to which request.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::request::Parts;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use httputil::settings::Secret;
use httputil_tests::gate::Gate;
use httputil_tests::server::{Reply, ReplyBody, Server, handlers};
use hyper::Request;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use reqwest::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH,
    LAST_MODIFIED, RANGE,
};
use reqwest::{Method, StatusCode};

use super::account::Asked;
use super::content::Content;
use super::document;
use super::objects::{Bucket, Stored, Taking, Upload};
use super::signature::{Verifier, parameters};
use crate::peers::answers::{Answers, lock};
use crate::s3::Location;

/// Who may ask,
pub const ACCESS_KEY: &str = "AKIDPEER";
/// by this key,
pub const SECRET_KEY: &str = "a+secret/key";
/// where nothing else is said.
pub const REGION: &str = "eu-central-1";

/// What is kept of an object that is put: larger ones pass by, and leave their digest.
const KEPT: usize = 16 << 20;

/// The server; dropped, it is gone with its connections.
pub struct S3Peer {
    /// Its account of connections and requests.
    pub server: Server,
    region: String,
    state: Arc<State>,
}

struct State {
    verifier: Verifier,
    buckets: Mutex<BTreeMap<String, Bucket>>,
    asked: Mutex<Vec<Asked>>,
    answers: Answers,
    faults: Mutex<Faults>,
    gate: Mutex<Option<Gate>>,
}

struct Faults {
    page: usize,
    breaks: VecDeque<u64>,
    damages: bool,
    fails_late: bool,
}

impl S3Peer {
    /// Starts one in [`REGION`].
    pub async fn start() -> S3Peer {
        S3Peer::start_in(REGION).await
    }

    /// Starts one in this region: what is signed for another one is refused.
    pub async fn start_in(region: &str) -> S3Peer {
        let state = Arc::new(State {
            verifier: Verifier {
                access_key: ACCESS_KEY,
                secret_key: SECRET_KEY,
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
        });
        let answering = Arc::clone(&state);
        let handler = move |request| answer(Arc::clone(&answering), request);
        let server = Server::builder().handler(handler).start().await;
        S3Peer {
            server,
            region: region.to_owned(),
            state,
        }
    }

    /// A bucket of it, as a service's settings name it; it is there from now on.
    ///
    /// # Panics
    ///
    /// Never: a server's address is a URL.
    pub fn location(&self, bucket: &str) -> Location {
        lock(&self.state.buckets).entry(bucket.to_owned()).or_default();
        Location {
            endpoint: self.server.url("").parse().expect("a server's address is a URL"),
            region: self.region.clone(),
            bucket: bucket.to_owned(),
            access_key: ACCESS_KEY.to_owned(),
            secret_key: Secret::from(SECRET_KEY),
            session_token: None,
        }
    }

    /// The same as values of a configuration, below `key`.
    pub fn settings(&self, key: &str, bucket: &str) -> Vec<(String, String)> {
        let at = self.location(bucket);
        [
            ("endpoint", at.endpoint.to_string()),
            ("region", at.region),
            ("bucket", at.bucket),
            ("access_key", at.access_key),
            ("secret_key", at.secret_key.expose().to_owned()),
        ]
        .map(|(name, value)| (format!("{key}.{name}"), value))
        .into()
    }

    /// Has an object, with these headers.
    pub fn put<'a>(
        &self,
        bucket: &str,
        key: &str,
        content: Content,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) {
        let headers = headers
            .into_iter()
            .filter_map(|(name, value)| Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?)));
        let stored = Stored::new(content, headers.collect());
        let mut buckets = lock(&self.state.buckets);
        buckets
            .entry(bucket.to_owned())
            .or_default()
            .objects
            .insert(key.to_owned(), stored);
    }

    /// Has an object no more.
    pub fn remove(&self, bucket: &str, key: &str) {
        if let Some(bucket) = lock(&self.state.buckets).get_mut(bucket) {
            bucket.objects.remove(key);
        }
    }

    /// An object's content and headers.
    pub fn object(&self, bucket: &str, key: &str) -> Option<(Content, HeaderMap)> {
        let buckets = lock(&self.state.buckets);
        let stored = buckets.get(bucket)?.objects.get(key)?;
        Some((stored.content.clone(), stored.headers.clone()))
    }

    /// The keys of a bucket.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let buckets = lock(&self.state.buckets);
        buckets
            .get(bucket)
            .map(|bucket| bucket.objects.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// How many uploads in parts were begun and neither completed nor given up.
    pub fn uploads(&self) -> usize {
        lock(&self.state.buckets)
            .values()
            .map(|bucket| bucket.uploads.len())
            .sum()
    }

    /// What it was asked, in order of the answers.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state.asked).clone()
    }

    /// Answers the next requests by these, before it answers well again.
    pub fn answer_next(&self, statuses: impl IntoIterator<Item = StatusCode>) {
        self.state.answers.extend(statuses);
    }

    /// Breaks the next downloads off, each after so many bytes.
    pub fn break_next(&self, after: impl IntoIterator<Item = u64>) {
        lock(&self.state.faults).breaks.extend(after);
    }

    /// Lists so many objects a page.
    pub fn list_by(&self, page: usize) {
        lock(&self.state.faults).page = page;
    }

    /// Damages what it sends from now on, or no more.
    pub fn damage(&self, damages: bool) {
        lock(&self.state.faults).damages = damages;
    }

    /// Fails the next completion of an upload inside of a 200.
    pub fn fail_late(&self) {
        lock(&self.state.faults).fails_late = true;
    }

    /// Lets each request wait at the gate before it is looked at.
    pub fn hold(&self, gate: &Gate) {
        *lock(&self.state.gate) = Some(gate.clone());
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Reply {
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
