//! An HTTP/2 server that does to each stream what a list of steps says: holds it, refuses it, says GOAWAY around it.
//!
//! Frames are spoken by the `h2` crate; a pump between it and the socket sees every frame in both directions,
//! puts in frames of its own between two of them, and can freeze. So the server stays correct where a test does not
//! want it otherwise, and any frame can be sent at any time.
//!
//! The third stream is refused, everything else answered:
//! ```
//! use h2::Reason;
//! use httputil_tests::h2_script::{H2Script, Step};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let server = H2Script::builder()
//!     .on_stream(|stream| match stream.nth {
//!         2 => vec![Step::RstStream(Reason::REFUSED_STREAM)],
//!         _ => vec![Step::Echo],
//!     })
//!     .start()
//!     .await;
//! # server.stop().await;
//! # }
//! ```

mod connection;
pub mod frame;
mod log;
mod pump;
mod stream;

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;

use crate::ledger::Ledger;
use crate::script::listen;
use crate::server::Observed;
use crate::tasks::Tasks;
use crate::tcp::ClosedPort;
use connection::Shared;

pub use connection::Control;
pub use frame::{Frame, Kind};
pub use log::FrameLog;
pub use stream::{Arrival, Last, Step};

type OnStream = Arc<dyn Fn(&Arrival) -> Vec<Step> + Send + Sync>;

/// How a scripted HTTP/2 server shall be.
#[derive(Clone)]
#[must_use]
pub struct Builder {
    tls: Option<Arc<ServerConfig>>,
    h2: h2::server::Builder,
    on_stream: OnStream,
}

impl Builder {
    /// Speaks TLS; without it, HTTP/2 with prior knowledge.
    pub fn tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// The limit of concurrent streams in its SETTINGS. To lower it in flight, inject [`Frame::settings`].
    pub fn max_concurrent_streams(mut self, n: u32) -> Self {
        self.h2.max_concurrent_streams(n);
        self
    }

    /// The flow-control windows that it gives to the client's bodies: each stream's, and the connection's.
    pub fn windows(mut self, stream: u32, connection: u32) -> Self {
        self.h2
            .initial_window_size(stream)
            .initial_connection_window_size(connection);
        self
    }

    /// What happens to each stream. Without it, every one gets [`Step::Echo`].
    pub fn on_stream(mut self, script: impl Fn(&Arrival) -> Vec<Step> + Send + Sync + 'static) -> Self {
        self.on_stream = Arc::new(script);
        self
    }

    /// Listens on a free port of `127.0.0.1`.
    pub async fn start(self) -> H2Script {
        self.start_on(Arc::new(ClosedPort::new())).await
    }

    /// Listens on a port that the test holds.
    #[expect(clippy::unused_async, reason = "needs a runtime, which an async function says best")]
    pub async fn start_on(self, port: Arc<ClosedPort>) -> H2Script {
        let listener = listen(&port);
        let (ledger, tasks) = (Ledger::new(), Tasks::default());
        let shared = Arc::new(Shared {
            h2: self.h2,
            tls: self.tls,
            on_stream: self.on_stream,
            log: FrameLog::new(),
            controls: Mutex::default(),
            streams: AtomicUsize::new(0),
            ledger: ledger.clone(),
            tasks: tasks.clone(),
        });
        let server = H2Script {
            shared: shared.clone(),
            port,
        };
        tasks.clone().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let io = Observed::new(stream, ledger.enter());
                let (control, orders) = shared.admit(io.entry().number());
                tasks.spawn(connection::serve(io, shared.clone(), control, orders));
            }
        });
        server
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

/// A running scripted HTTP/2 server. Dropping it ends its tasks and connections. It dereferences to its [`Ledger`],
/// whose requests are the streams that came; those above a GOAWAY do not count.
pub struct H2Script {
    shared: Arc<Shared>,
    port: Arc<ClosedPort>,
}

impl H2Script {
    /// Plain HTTP/2 that echoes, unless told otherwise.
    pub fn builder() -> Builder {
        Builder {
            tls: None,
            h2: h2::server::Builder::new(),
            on_stream: Arc::new(|_| vec![Step::Echo]),
        }
    }

    /// A URL of this server.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}{path}", self.port())
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

    /// The reins of a connection, from 0 in order of acceptance; panics before it was accepted.
    #[must_use]
    pub fn connection(&self, number: usize) -> Control {
        self.shared.control(number)
    }

    /// Every frame that came in.
    #[must_use]
    pub fn frames(&self) -> &FrameLog {
        &self.shared.log
    }

    /// Closes everything at once and waits until it is closed.
    pub async fn stop(&self) {
        self.shared.tasks.end().await;
    }
}

impl fmt::Debug for H2Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("H2Script")
            .field("port", &self.port())
            .field("ledger", &self.shared.ledger)
            .finish_non_exhaustive()
    }
}

impl Deref for H2Script {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        &self.shared.ledger
    }
}

impl Drop for H2Script {
    fn drop(&mut self) {
        self.shared.tasks.abort();
    }
}
