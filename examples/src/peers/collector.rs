//! A collector of spans: OTLP in protobuf at `/v1/traces`, Zipkin's JSON at `/api/v2/spans`, either in gzip or plain.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::BodyExt as _;
use httputil_tests::server::{Builder, Reply, Server, handlers};
use httputil_tests::tcp::ClosedPort;
use hyper::body::Incoming;
use hyper::{Method, Request};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use url::Url;

use super::answers::{Answers, lock};

/// The server; dropped, it is gone with its connections.
pub struct Collector {
    /// Its account of connections and requests.
    pub server: Server,
    state: State,
}

/// A span that it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Collected {
    /// Whose it is: the resource's `service.name`.
    pub service: String,
    /// What was done.
    pub name: String,
    /// In hexadecimal, as the next two.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// Whose child it is, if anyone's.
    pub parent: Option<String>,
    /// Its attributes, or tags, as text.
    pub attributes: BTreeMap<String, String>,
    /// That it failed, and why.
    pub error: Option<String>,
}

#[derive(Clone, Default)]
struct State {
    answers: Answers,
    rejects: Arc<Mutex<Option<i64>>>,
    spans: Arc<Mutex<Vec<Collected>>>,
    json: Arc<Mutex<Vec<Value>>>,
    headers: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Collector {
    /// Starts one on a free port.
    pub async fn start() -> Collector {
        Collector::start_on(Arc::new(ClosedPort::new())).await
    }

    /// Starts one on this port.
    pub async fn start_on(port: Arc<ClosedPort>) -> Collector {
        let state = State::default();
        let server = state.server().start_on(port).await;
        Collector { server, state }
    }

    /// Where it takes OTLP.
    ///
    /// # Panics
    ///
    /// Never: a server's address is a URL.
    pub fn otlp(&self) -> Url {
        Url::parse(&self.server.url("/v1/traces")).expect("a server's address is a URL")
    }

    /// Where it takes Zipkin's JSON.
    ///
    /// # Panics
    ///
    /// Never: a server's address is a URL.
    pub fn zipkin(&self) -> Url {
        Url::parse(&self.server.url("/api/v2/spans")).expect("a server's address is a URL")
    }

    /// Answers the next requests by these, before it answers well again.
    pub fn answer_next(&self, statuses: impl IntoIterator<Item = StatusCode>) {
        self.state.answers.extend(statuses);
    }

    /// Takes the next batch of OTLP, but for so many of its spans.
    pub fn reject_next(&self, spans: i64) {
        *lock(&self.state.rejects) = Some(spans);
    }

    /// The spans that it took, in order.
    pub fn spans(&self) -> Vec<Collected> {
        lock(&self.state.spans).clone()
    }

    /// Those of Zipkin's, as they came.
    pub fn json(&self) -> Vec<Value> {
        lock(&self.state.json).clone()
    }

    /// What came with each request that it understood.
    pub fn headers(&self) -> Vec<HeaderMap> {
        lock(&self.state.headers).clone()
    }
}

impl State {
    fn server(&self) -> Builder {
        let state = self.clone();
        Server::builder().handler(move |request| state.clone().answer(request))
    }

    async fn answer(self, request: Request<Incoming>) -> Reply {
        let (parts, body) = request.into_parts();
        let Some(body) = body
            .collect()
            .await
            .ok()
            .and_then(|body| plain(&parts.headers, body.to_bytes()))
        else {
            return handlers::status(StatusCode::BAD_REQUEST);
        };
        let of = parts.headers.get(CONTENT_TYPE).and_then(|of| of.to_str().ok());
        let spans = match (parts.method, parts.uri.path(), of) {
            (Method::POST, "/v1/traces", Some("application/x-protobuf")) => of_otlp(body),
            (Method::POST, "/api/v2/spans", Some("application/json")) => self.of_zipkin(&body),
            (Method::POST, "/v1/traces" | "/api/v2/spans", _) => {
                return handlers::status(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
            _ => return handlers::status(StatusCode::NOT_FOUND),
        };
        let Some(spans) = spans else {
            return handlers::status(StatusCode::BAD_REQUEST);
        };
        let is_otlp = parts.uri.path() == "/v1/traces";
        lock(&self.headers).push(parts.headers);
        match self.answers.next() {
            Some(status) => handlers::status(status),
            None if is_otlp => self.take(spans),
            None => {
                lock(&self.spans).extend(spans);
                handlers::status(StatusCode::ACCEPTED)
            }
        }
    }

    fn take(&self, mut spans: Vec<Collected>) -> Reply {
        let partial_success = lock(&self.rejects).take().map(|rejected_spans| {
            spans.truncate(
                spans
                    .len()
                    .saturating_sub(usize::try_from(rejected_spans).unwrap_or_default()),
            );
            ExportTracePartialSuccess {
                rejected_spans,
                error_message: "too old".to_owned(),
            }
        });
        lock(&self.spans).extend(spans);
        let mut reply = handlers::full(ExportTraceServiceResponse { partial_success }.encode_to_vec());
        let of = HeaderValue::from_static("application/x-protobuf");
        reply.headers_mut().insert(CONTENT_TYPE, of);
        reply
    }

    fn of_zipkin(&self, body: &[u8]) -> Option<Vec<Collected>> {
        let spans: Vec<Value> = serde_json::from_slice(body).ok()?;
        let collected = spans.iter().map(|span| {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let tags = span["tags"].as_object().into_iter().flatten();
            let mut attributes: BTreeMap<_, _> = tags
                .filter_map(|(key, value)| Some((key.clone(), text(value)?)))
                .collect();
            Some(Collected {
                service: text(&span["localEndpoint"]["serviceName"])?,
                name: text(&span["name"])?,
                trace: text(&span["traceId"])?,
                id: text(&span["id"])?,
                parent: text(&span["parentId"]),
                error: attributes.remove("error"),
                attributes,
            })
        });
        let collected = collected.collect::<Option<_>>()?;
        lock(&self.json).extend(spans);
        Some(collected)
    }
}

fn plain(headers: &HeaderMap, body: Bytes) -> Option<Bytes> {
    match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None => Some(body),
        Some(b"gzip") => {
            let mut plain = Vec::new();
            GzDecoder::new(&body[..]).read_to_end(&mut plain).ok()?;
            Some(plain.into())
        }
        Some(_) => None,
    }
}

fn of_otlp(body: Bytes) -> Option<Vec<Collected>> {
    let export = ExportTraceServiceRequest::decode(body).ok()?;
    let mut collected = Vec::new();
    for of_resource in export.resource_spans {
        let resource = attributes(of_resource.resource.map(|one| one.attributes).unwrap_or_default());
        let service = resource.get("service.name").cloned().unwrap_or_default();
        let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        collected.extend(spans.map(|span| of_span(&service, span)));
    }
    Some(collected)
}

fn of_span(service: &str, span: Span) -> Collected {
    let error = span
        .status
        .filter(|status| status.code == 2)
        .map(|status| status.message);
    Collected {
        service: service.to_owned(),
        name: span.name,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
        attributes: attributes(span.attributes),
        error,
    }
}

fn attributes(of: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value?.value? {
        Any::StringValue(text) => Some(text),
        Any::BoolValue(value) => Some(value.to_string()),
        Any::IntValue(value) => Some(value.to_string()),
        Any::DoubleValue(value) => Some(value.to_string()),
        other => Some(format!("{other:?}")),
    };
    let texts = of.into_iter().map(|one| (one.key, text(one.value).unwrap_or_default()));
    texts.collect()
}

fn hex(bytes: &[u8]) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
    bytes.iter().flat_map(digits).flatten().collect()
}
