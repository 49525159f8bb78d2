//! Servers in memory, for tests that stop the clock.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::{Client, Policies};
use crate::connect::{Connector, Dialer, Identities, Proxies, Resolver};
use crate::pool::{Budget, Pool};
use crate::settings::Profile;

/// When requests came, of all hosts together.
pub(super) type Came = Arc<Mutex<Vec<Instant>>>;

pub(super) type Answer = Response<Full<Bytes>>;

/// A client whose servers answer as `answer` says; `None` is a hang-up.
pub(super) fn client<F>(
    profile: Profile,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) -> (Client, Came)
where
    F: Future<Output = Option<Answer>> + Send + 'static,
{
    let came = Came::default();
    let noted = Arc::clone(&came);
    let dialer = Dialer::Memory(Arc::new(move |_| {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let (noted, answer) = (Arc::clone(&noted), answer.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                noted.lock().unwrap().push(Instant::now());
                let answer = answer(request);
                async move { answer.await.map(|answer| answer.map(InChunks)).ok_or("hang up") }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(theirs), service)
                .await;
        });
        ours
    }));
    (over(profile, dialer), came)
}

/// An answer that is under way until somebody reads it: one with a length, and as short, is whole with its head.
struct InChunks(Full<Bytes>);

impl Body for InChunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}

/// A client over the streams that a dialler makes.
pub(super) fn over(profile: Profile, dialer: Dialer) -> Client {
    let identity = Identities::default().intern(&profile.transport.tls).unwrap();
    let connector = Connector::new(
        profile.transport.clone(),
        identity,
        &Resolver::system(),
        Proxies::default(),
    );
    let pool = Pool::new("memory", connector.dialling_by(dialer), Budget::new(None));
    let policies = Policies::of(&profile).unwrap();
    Client::on(pool, profile, policies).unwrap()
}

pub(super) fn answer(status: u16, headers: &[(http::HeaderName, &str)]) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(b"no")));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        answer.headers_mut().insert(name, value.parse().unwrap());
    }
    answer
}

/// Lets every task that can run do so, without moving the clock.
pub(super) async fn settled() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
