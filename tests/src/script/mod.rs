//! A server that does to each connection what a list of steps says, down to half-closes, resets and silence.
//!
//! The first connection answers one request and hangs up when the gate opens; every later one answers everything:
//! ```
//! use httputil_tests::gate::Gate;
//! use httputil_tests::script::{Script, Step, answers, steps};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let gate = Gate::new();
//! let first = vec![Step::ReadHead, Step::write(answers::ok("one")), Step::Hold(gate.clone()), Step::Fin];
//! let server = Script::start([first, steps::answer_all(answers::ok("more"))]).await;
//!
//! let client = reqwest::Client::new();
//! assert_eq!(client.get(server.url("/")).send().await.unwrap().text().await.unwrap(), "one");
//! gate.open();
//! server.until_closed(1).await; // by the client, which saw the FIN
//! assert_eq!(client.get(server.url("/")).send().await.unwrap().text().await.unwrap(), "more");
//! # }
//! ```
//!
//! While a step waits or writes, what the client sends is read and recorded, and its FIN or RST noted, unless
//! [`Step::StopReading`] was taken. After the last step the connection stays open until the client closes it.

pub mod answers;
mod peer;
mod run;
pub mod steps;

use std::future::Future;
use std::net::SocketAddr;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::PATIENCE;
use crate::ledger::Ledger;
use crate::tasks::Tasks;
use crate::tcp::ClosedPort;
pub(crate) use peer::AnyStream;
use peer::Peer;

pub use steps::Step;

/// What each connection received so far, in order of acceptance; decrypted, once TLS has started.
pub(crate) type Recordings = Arc<watch::Sender<Vec<Vec<u8>>>>;

/// A running scripted server. Dropping it ends its tasks and connections. It dereferences to its [`Ledger`], whose
/// requests are the heads read.
#[derive(Debug)]
pub struct Script {
    ledger: Ledger,
    port: Arc<ClosedPort>,
    tasks: Tasks,
    recordings: Recordings,
}

impl Script {
    /// Plays one list of steps per accepted connection, in order; the last repeats.
    pub async fn start(scripts: impl IntoIterator<Item = Vec<Step>>) -> Self {
        Self::start_on(Arc::new(ClosedPort::new()), scripts).await
    }

    /// The same on a port that the test holds.
    #[expect(clippy::unused_async, reason = "needs a runtime, which an async function says best")]
    pub async fn start_on(port: Arc<ClosedPort>, scripts: impl IntoIterator<Item = Vec<Step>>) -> Self {
        let scripts: Vec<Arc<[Step]>> = scripts.into_iter().map(Into::into).collect();
        assert!(
            !scripts.is_empty(),
            "a scripted server needs a script for its first connection"
        );
        let listener = listen(&port);
        let server = Self {
            ledger: Ledger::new(),
            port,
            tasks: Tasks::default(),
            recordings: Recordings::default(),
        };
        let (ledger, tasks, recordings) = (server.ledger.clone(), server.tasks.clone(), server.recordings.clone());
        server.tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let peer = Peer::new(stream, ledger.enter(), recordings.clone());
                let script = scripts[peer.number().min(scripts.len() - 1)].clone();
                tasks.spawn(run::play(peer, script));
            }
        });
        server
    }

    /// An `http` URL of this server.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port())
    }

    /// An `https` URL of this server, for scripts that start TLS.
    #[must_use]
    pub fn https_url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port())
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

    /// What a connection (from 0) has sent so far; nothing before it was accepted.
    #[must_use]
    pub fn received(&self, connection: usize) -> Vec<u8> {
        self.recordings.borrow().get(connection).cloned().unwrap_or_default()
    }

    /// [`received`](Self::received), taken for text.
    #[must_use]
    pub fn received_text(&self, connection: usize) -> String {
        String::from_utf8_lossy(&self.received(connection)).into_owned()
    }

    /// Waits until a connection (from 0) has sent at least `n` bytes.
    #[track_caller]
    pub fn until_received(&self, connection: usize, n: usize) -> impl Future<Output = ()> {
        let caller = Location::caller();
        let recordings = self.recordings.clone();
        async move {
            let enough = |all: &Vec<Vec<u8>>| all.get(connection).is_some_and(|bytes| bytes.len() >= n);
            let mut news = recordings.subscribe();
            let seen = tokio::time::timeout(PATIENCE, news.wait_for(enough)).await;
            assert!(
                seen.is_ok(),
                "{caller}: waited {PATIENCE:?} for {n} bytes on connection {connection}"
            );
        }
    }

    /// Closes everything at once and waits until it is closed.
    pub async fn stop(&self) {
        self.tasks.end().await;
    }
}

impl Deref for Script {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.ledger
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.tasks.abort();
    }
}

pub(crate) fn listen(port: &ClosedPort) -> TcpListener {
    let listener = port.listen().expect("nobody else listens on the port");
    listener
        .set_nonblocking(true)
        .expect("a listener can be made non-blocking");
    TcpListener::from_std(listener).expect("a tokio runtime with I/O is running")
}
