//! A proxy that works, and says what it was asked: `CONNECT`, requests in absolute-form, SOCKS5, all on one port.
//!
//! Whatever host it is asked for, it goes to `127.0.0.1` and the port that was named: it is the one that resolves names.
//! For one that refuses, hangs, drips or lies take [`Script`](crate::script::Script).
//!
//! ```
//! use httputil_tests::proxy::Proxy;
//! use httputil_tests::server::Server;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let (server, proxy) = (Server::builder().start().await, Proxy::builder().start().await);
//! let client = reqwest::Client::builder().proxy(reqwest::Proxy::all(proxy.url()).unwrap()).build().unwrap();
//! let url = server.url_for("service.test", "/");
//! assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
//! assert_eq!(proxy.asked()[0].what, format!("GET {url}"));
//! # }
//! ```

mod http;
mod socks;

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::ledger::Ledger;
use crate::script::listen;
use crate::server::Observed;
use crate::tasks::Tasks;
use crate::tcp::ClosedPort;

/// How a proxy shall be.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Builder {
    tls: Option<Arc<ServerConfig>>,
    login: Option<(String, String)>,
    hangs_over: Option<String>,
}

impl Builder {
    /// Speaks TLS with its clients; HTTP only.
    pub fn tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Serves nobody without this user and password.
    pub fn login(mut self, user: &str, password: &str) -> Self {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Answers nothing to who speaks HTTP and wants to go to this host.
    pub fn hangs_over(mut self, host: &str) -> Self {
        self.hangs_over = Some(host.to_owned());
        self
    }

    /// Listens on a free port of `127.0.0.1`.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or when no port is free.
    pub async fn start(self) -> Proxy {
        self.start_on(Arc::new(ClosedPort::new())).await
    }

    /// Listens on this port.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or when somebody listens there already.
    #[expect(clippy::unused_async, reason = "needs a runtime, which an async function says best")]
    pub async fn start_on(self, port: Arc<ClosedPort>) -> Proxy {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let proxy = Proxy {
            scheme,
            port,
            office: Office {
                builder: Arc::new(self),
                ledger: Ledger::new(),
                tasks: Tasks::default(),
                asked: Arc::default(),
            },
        };
        let office = proxy.office.clone();
        proxy.office.tasks.spawn(accept(listen(&proxy.port), office));
        proxy
    }
}

/// A running proxy. Dropping it ends its tasks and connections, tunnels included.
#[derive(Debug)]
pub struct Proxy {
    scheme: &'static str,
    port: Arc<ClosedPort>,
    office: Office,
}

/// What a client wanted of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// On which of the proxy's connections, from 0.
    pub connection: usize,
    /// `CONNECT host:port`, `GET http://host/path`, or `SOCKS5 host:port`.
    pub what: String,
    /// The headers as they came, names in lower case; of SOCKS5 the user and the password, if there were any.
    pub headers: Vec<(String, String)>,
}

impl Asked {
    /// The names of the headers, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The first value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What all connections of a proxy share.
#[derive(Clone, Debug)]
struct Office {
    builder: Arc<Builder>,
    ledger: Ledger,
    tasks: Tasks,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Office {
    fn note(&self, asked: Asked) {
        drop(self.ledger.request(asked.connection));
        self.asked.lock().expect("nothing panics under this lock").push(asked);
    }

    /// Every name leads here.
    async fn reach(&self, port: u16) -> std::io::Result<TcpStream> {
        TcpStream::connect(("127.0.0.1", port)).await
    }
}

impl Proxy {
    /// Plain HTTP and SOCKS5 on one port, open to everybody, unless told otherwise.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Its URL, without credentials: `http://127.0.0.1:port`, or `https` if it speaks TLS.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_as(self.scheme, "")
    }

    /// Its URL with another scheme and with `user:password@` before the host, or nothing.
    #[must_use]
    pub fn url_as(&self, scheme: &str, user: &str) -> String {
        format!("{scheme}://{user}127.0.0.1:{}", self.port())
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

    /// Everything that it was asked so far.
    ///
    /// # Panics
    ///
    /// When a thread panicked inside this proxy.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.office
            .asked
            .lock()
            .expect("nothing panics under this lock")
            .clone()
    }

    /// [`Asked::what`] of everything that it was asked so far.
    #[must_use]
    pub fn wanted(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.what).collect()
    }

    /// Closes everything at once and waits until it is closed.
    pub async fn stop(&self) {
        self.office.tasks.end().await;
    }
}

impl Deref for Proxy {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.office.ledger
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.office.tasks.abort();
    }
}

async fn accept(listener: TcpListener, office: Office) {
    loop {
        // The client is gone before we came, or descriptors are short for now: neither ends a proxy.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let entry = office.ledger.enter();
        office.tasks.spawn(serve(Observed::new(stream, entry), office.clone()));
    }
}

async fn serve(stream: Observed, office: Office) {
    let number = stream.entry().number();
    if let Some(tls) = office.builder.tls.clone() {
        match TlsAcceptor::from(tls).accept(stream).await {
            Ok(stream) => {
                office.ledger.shook_hands(number, stream.get_ref().1);
                http::serve(stream, number, office).await;
            }
            Err(error) => office.ledger.handshake_failed(&error),
        }
        return;
    }
    // SOCKS begins with its version, HTTP with a letter.
    match stream.first_byte().await {
        Some(5) => drop(socks::serve(stream, number, &office).await),
        Some(_) => http::serve(stream, number, office).await,
        None => {}
    }
}
