//! What the tests of origins share: servers that send requests on, and the two doors.

use std::collections::HashMap;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use httputil::{Client, Error, Redirects};
use httputil_tests::server::handlers::{self, Echoed};
use httputil_tests::server::{Builder, Reply, Server};
use httputil_tests::{PATIENCE, within};
use hyper::body::Incoming;
use tower::ServiceExt;

type Routes = Arc<Mutex<HashMap<String, (StatusCode, Vec<(HeaderName, String)>)>>>;

/// A server that remembers what it was asked, sends some of it on, and echoes the rest.
pub(crate) struct Place {
    server: Server,
    routes: Routes,
    seen: Arc<Mutex<Vec<Echoed>>>,
}

impl Place {
    pub(crate) async fn start() -> Place {
        Place::start_as(Server::builder()).await
    }

    pub(crate) async fn start_as(builder: Builder) -> Place {
        let (routes, seen) = (Routes::default(), Arc::default());
        let (known, log) = (Arc::clone(&routes), Arc::clone(&seen));
        let server = builder.handler(move |request| answer(request, Arc::clone(&known), Arc::clone(&log)));
        Place {
            server: server.start().await,
            routes,
            seen,
        }
    }

    /// From now on it answers a path with a redirect.
    pub(crate) fn sends(&self, path: &str, status: u16, location: impl Into<String>) {
        self.answers_with(path, status, [(LOCATION, location.into())]);
    }

    /// From now on it answers a path with this status and these headers.
    pub(crate) fn answers_with(
        &self,
        path: &str,
        status: u16,
        headers: impl IntoIterator<Item = (HeaderName, String)>,
    ) {
        let route = (StatusCode::from_u16(status).unwrap(), headers.into_iter().collect());
        self.routes.lock().unwrap().insert(path.to_owned(), route);
    }

    /// From now on it sets a cookie where it is asked for a path.
    #[cfg(feature = "cookies")]
    pub(crate) fn sets(&self, path: &str, cookie: &str) {
        self.answers_with(path, 200, [(http::header::SET_COOKIE, cookie.to_owned())]);
    }

    /// From now on it answers a path with this status.
    pub(crate) fn answers(&self, path: &str, status: u16) {
        self.answers_with(path, status, []);
    }

    /// From now on it echoes a path.
    pub(crate) fn echoes(&self, path: &str) {
        self.routes.lock().unwrap().remove(path);
    }

    /// What it was asked so far.
    pub(crate) fn seen(&self) -> Vec<Echoed> {
        self.seen.lock().unwrap().clone()
    }
}

impl Deref for Place {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

async fn answer(request: Request<Incoming>, routes: Routes, seen: Arc<Mutex<Vec<Echoed>>>) -> Reply {
    let route = routes.lock().unwrap().get(request.uri().path()).cloned();
    let echo = handlers::echo(request).await.into_body().collect().await;
    let echo = echo.expect("an echo cannot fail").to_bytes();
    if let Ok(echoed) = serde_json::from_slice(&echo) {
        seen.lock().unwrap().push(echoed);
    }
    let Some((status, headers)) = route else {
        return handlers::full(echo);
    };
    let mut reply = handlers::full(if status.is_success() { echo } else { "not here".into() });
    *reply.status_mut() = status;
    for (name, value) in headers {
        reply.headers_mut().append(name, HeaderValue::from_str(&value).unwrap());
    }
    reply
}

/// Whose language a request is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Builder,
    Tower,
}

/// Where a request ended.
#[derive(Debug)]
pub(crate) struct Landed {
    pub(crate) status: u16,
    pub(crate) url: String,
    /// Status and URL of each redirect.
    pub(crate) history: Vec<(u16, String)>,
    pub(crate) body: Bytes,
}

impl Landed {
    pub(crate) fn echoed(&self) -> Echoed {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no echo: {self:?}"))
    }
}

impl Door {
    pub(crate) const BOTH: [Door; 2] = [Door::Builder, Door::Tower];

    pub(crate) async fn get(self, client: &Client, url: &str) -> Result<Landed, Error> {
        self.send(client, Method::GET, url, HeaderMap::new(), "").await
    }

    pub(crate) async fn send(
        self,
        client: &Client,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: &'static str,
    ) -> Result<Landed, Error> {
        let history = |redirects: Option<&Redirects>| {
            let history = redirects.map_or(&[][..], Redirects::history);
            let pair = |from: &httputil::Redirected| (from.status().as_u16(), from.url().to_string());
            history.iter().map(pair).collect()
        };
        match self {
            Door::Builder => {
                let request = client.request(method, url).headers(headers).body(body);
                let response = within(PATIENCE, request.send()).await?;
                Ok(Landed {
                    status: response.status().as_u16(),
                    url: response.url().to_string(),
                    history: history(response.extensions().get()),
                    body: within(PATIENCE, response.bytes()).await.unwrap(),
                })
            }
            Door::Tower => {
                let mut request = Request::new(Full::from(body));
                (*request.method_mut(), *request.headers_mut()) = (method, headers);
                *request.uri_mut() = url.parse().unwrap();
                let response = within(PATIENCE, client.clone().oneshot(request)).await?;
                let redirects = response.extensions().get::<Redirects>();
                Ok(Landed {
                    status: response.status().as_u16(),
                    url: redirects.map_or_else(|| url.to_owned(), |redirects| redirects.url().to_string()),
                    history: history(redirects),
                    body: within(PATIENCE, response.into_body().collect())
                        .await
                        .unwrap()
                        .to_bytes(),
                })
            }
        }
    }
}

/// Headers by names and values.
pub(crate) fn headers<const N: usize>(pairs: [(&'static str, &'static str); N]) -> HeaderMap {
    pairs
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
        .collect()
}

/// Waits until nothing is in use, dialled or waited for; then the pool's books must hold.
pub(crate) async fn assert_at_rest(client: &Client) {
    let at_rest = async {
        loop {
            let stats = client.stats();
            if (stats.in_use, stats.waiting, stats.dials_in_progress) == (0, 0, 0) {
                return stats;
            }
            tokio::task::yield_now().await;
        }
    };
    let stats = within(PATIENCE, at_rest).await;
    assert_eq!(
        stats.dials_started,
        stats.dial_failures_total() + stats.dialled,
        "{stats:?}"
    );
    assert_eq!(stats.dialled, stats.open + stats.closed_total(), "{stats:?}");
}

/// A stream of pieces, the last one first.
pub(crate) struct Pieces(pub(crate) Vec<&'static str>);

impl futures_core::Stream for Pieces {
    type Item = Result<Frame<Bytes>, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop().map(|piece| Ok(Frame::data(piece.into()))))
    }
}
