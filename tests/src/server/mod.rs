//! A server that answers well, on hyper: HTTP/1, HTTP/2, TLS as asked, and an account of its connections.
//!
//! ```
//! use httputil_tests::server::{Server, handlers};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let server = Server::builder().handler(handlers::echo).start().await;
//! let answer = reqwest::get(server.url("/hello")).await.unwrap();
//! assert_eq!(answer.status(), 200);
//! assert_eq!(server.accepted(), 1);
//! server.stop().await;
//! # }
//! ```
//!
//! It dereferences to its [`Ledger`]. It misbehaves on order only ([`Server::close_idle`], [`Server::drain`]); for worse
//! manners take [`script`](crate::script).

mod body;
mod connection;
pub mod handlers;
mod observed;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::ledger::Ledger;
use crate::tasks::Tasks;
use crate::tcp::{ClosedPort, deafen};
use connection::{Order, Plan};

pub use body::{Frames, ReplyBody};
pub(crate) use observed::Observed;

/// What handlers answer.
pub type Reply = Response<ReplyBody>;

/// The number of the connection that a request came on, from 0 in order of acceptance; an extension of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionNumber(pub usize);

/// The certificate that the client of the request's connection showed; an extension of the request, if it showed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate(pub CertificateDer<'static>);

type Replying = Pin<Box<dyn Future<Output = Reply> + Send>>;
type Handler = Arc<dyn Fn(Request<Incoming>) -> Replying + Send + Sync>;

/// How a server shall be.
#[derive(Clone)]
#[must_use]
pub struct Builder {
    tls: Option<Arc<ServerConfig>>,
    h2: bool,
    max_concurrent_streams: Option<u32>,
    handler: Handler,
}

impl Builder {
    /// Speaks TLS; ALPN chooses the protocol, HTTP/1 without it.
    pub fn tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Without TLS: speaks HTTP/2 with prior knowledge, and nothing else.
    pub fn h2(mut self) -> Self {
        self.h2 = true;
        self
    }

    /// The limit of concurrent streams that it tells HTTP/2 clients.
    pub fn max_concurrent_streams(mut self, n: u32) -> Self {
        self.max_concurrent_streams = Some(n);
        self
    }

    /// Who answers. Without one, [`handlers::by_path`] does.
    pub fn handler<H, F, B>(mut self, handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
    {
        self.handler = Arc::new(move |request| {
            let answer = handler(request);
            Box::pin(async move { answer.await.map(ReplyBody::new) })
        });
        self
    }

    /// Listens on a free port of `127.0.0.1`.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or when no port is free.
    pub async fn start(self) -> Server {
        self.start_on(Arc::new(ClosedPort::new())).await
    }

    /// Listens on this port of another address of loopback, `127.0.0.n`.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or when somebody has the port.
    pub async fn start_beside(self, n: u8, port: u16) -> Server {
        self.start_on(Arc::new(ClosedPort::on(Ipv4Addr::new(127, 0, 0, n), port)))
            .await
    }

    /// Listens on this port.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or when somebody listens there already.
    #[expect(clippy::unused_async, reason = "needs a runtime, which an async function says best")]
    pub async fn start_on(self, port: Arc<ClosedPort>) -> Server {
        let listener = port.listen().expect("nobody else listens on the port");
        listener
            .set_nonblocking(true)
            .expect("a listener can be made non-blocking");
        let listener = TcpListener::from_std(listener).expect("a tokio runtime with I/O is running");
        Server::run(self, port, Arc::new(listener))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("tls", &self.tls.is_some())
            .field("h2", &self.h2)
            .finish_non_exhaustive()
    }
}

/// A running server. Dropping it ends its tasks and connections.
#[derive(Debug)]
pub struct Server {
    builder: Builder,
    ledger: Ledger,
    port: Arc<ClosedPort>,
    tasks: Tasks,
    orders: broadcast::Sender<Order>,
    listening: Mutex<Option<Listening>>,
}

#[derive(Debug)]
struct Listening {
    listener: Arc<TcpListener>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// HTTP/1 without TLS, [`handlers::by_path`], unless told otherwise.
    pub fn builder() -> Builder {
        let builder = Builder {
            tls: None,
            h2: false,
            max_concurrent_streams: None,
            handler: Arc::new(|request| Box::pin(handlers::by_path(request))),
        };
        builder.handler(handlers::by_path)
    }

    /// A URL of this server, by address: `server.url("/path?query")`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        self.url_for("127.0.0.1", path)
    }

    /// A URL of this server under another name for its address.
    #[must_use]
    pub fn url_for(&self, host: &str, path: &str) -> String {
        let scheme = if self.builder.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{host}:{}{path}", self.port())
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.port()
    }

    /// Its address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Closes (FIN) each connection that is open and carries no request; HTTP/2 says GOAWAY first.
    pub fn close_idle(&self) {
        self.order(Order::CloseIdle);
    }

    /// Says GOAWAY on the HTTP/2 connections: running streams finish, then the connection closes.
    pub fn goaway(&self) {
        self.order(Order::GoAway);
    }

    /// Lets every connection finish what runs on it, with `connection: close` or GOAWAY, then closes it. It goes on
    /// accepting.
    pub fn drain(&self) {
        self.order(Order::Drain);
    }

    /// Closes the listening socket: new connections are refused, open ones served on.
    ///
    /// # Panics
    ///
    /// When a thread panicked inside this server.
    pub async fn stop_listening(&self) {
        if let Some(listener) = self.stop_accepting().await {
            deafen(&*listener);
        }
    }

    /// Accepts nothing any more and serves open connections on: new ones are made by the system, and nobody hears them as
    /// long as what comes back is held.
    ///
    /// # Panics
    ///
    /// When this server does not listen any more.
    pub async fn fall_silent(&self) -> Arc<TcpListener> {
        self.stop_accepting().await.expect("the server listens")
    }

    /// Closes everything at once and waits until it is closed. What was seen stays readable; the port stays ours.
    pub async fn stop(&self) {
        self.stop_listening().await;
        self.tasks.end().await;
    }

    /// A server like this one on the same port, with new books, after this one has [`stop`](Self::stop)ped.
    ///
    /// # Panics
    ///
    /// When a listener is still open on the port.
    pub async fn restart(&self) -> Server {
        self.stop().await;
        self.builder.clone().start_on(self.port.clone()).await
    }

    /// Hands the listening socket to a new server like this one, without a gap: no connection is refused. This one
    /// serves its open connections on; [`drain`](Self::drain) it for a rolling restart.
    ///
    /// # Panics
    ///
    /// When this server does not listen any more.
    pub async fn hand_over(&self) -> Server {
        let listener = self.stop_accepting().await.expect("the server listens");
        Server::run(self.builder.clone(), self.port.clone(), listener)
    }

    fn run(builder: Builder, port: Arc<ClosedPort>, listener: Arc<TcpListener>) -> Self {
        let ledger = Ledger::new();
        let tasks = Tasks::default();
        let orders = broadcast::Sender::new(64);
        let plan = Arc::new(Plan {
            tls: builder.tls.clone(),
            h2: builder.h2,
            max_concurrent_streams: builder.max_concurrent_streams,
            handler: builder.handler.clone(),
            tasks: tasks.clone(),
        });
        let accepting = tokio::spawn(accept(listener.clone(), ledger.clone(), plan, orders.clone()));
        let listening = Mutex::new(Some(Listening { listener, accepting }));
        Self {
            builder,
            ledger,
            port,
            tasks,
            orders,
            listening,
        }
    }

    async fn stop_accepting(&self) -> Option<Arc<TcpListener>> {
        let listening = self
            .listening
            .lock()
            .expect("no code that can panic runs under this lock")
            .take();
        let Listening { listener, accepting } = listening?;
        accepting.abort();
        let _ = accepting.await; // aborted is what we asked for
        Some(listener)
    }

    fn order(&self, order: Order) {
        // No receiver means no connection to obey.
        let _ = self.orders.send(order);
    }
}

impl Deref for Server {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.ledger
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(Some(listening)) = self.listening.get_mut().map(Option::take) {
            listening.accepting.abort();
            deafen(&*listening.listener);
        }
        self.tasks.abort();
    }
}

async fn accept(listener: Arc<TcpListener>, ledger: Ledger, plan: Arc<Plan>, orders: broadcast::Sender<Order>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let io = Observed::new(stream, ledger.enter());
                plan.tasks
                    .spawn(connection::serve(io, plan.clone(), orders.subscribe()));
            }
            // The client is gone before we came, or descriptors are short for now: neither ends a server.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
