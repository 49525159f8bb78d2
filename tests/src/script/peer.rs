//! One accepted connection whose reading never stops for its writing.

use std::future::{Future, pending};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use socket2::Socket;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::Recordings;
use crate::ledger::{Entry, Ledger};
use crate::server::Observed;

/// A stream of any make: plain, or TLS over it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub(crate) type AnyStream = Box<dyn Stream>;

/// The client's side is over: FIN or RST, which the ledger knows.
#[derive(Debug)]
pub(super) struct Gone;

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Self {
        Self
    }
}

pub(super) struct Peer {
    ear: Ear,
    mouth: WriteHalf<AnyStream>,
    // A second handle to the socket beneath TLS, for FIN and RST that TLS knows nothing of.
    socket: Option<Socket>,
    ledger: Ledger,
}

/// The reading half, with all that it has heard.
struct Ear {
    half: ReadHalf<AnyStream>,
    number: usize,
    recordings: Recordings,
    taken: usize,
    open: bool,
    listening: bool,
}

impl Peer {
    pub(super) fn new(stream: TcpStream, entry: Entry, recordings: Recordings) -> Self {
        let (ledger, number) = (entry.ledger().clone(), entry.number());
        recordings.send_modify(|all| all.resize(number + 1, Vec::new()));
        let stream = Observed::new(stream, entry);
        let socket = stream.second_handle();
        let (half, mouth) = tokio::io::split(Box::new(stream) as AnyStream);
        let ear = Ear {
            half,
            number,
            recordings,
            taken: 0,
            open: true,
            listening: true,
        };
        Self {
            ear,
            mouth,
            socket,
            ledger,
        }
    }

    pub(super) fn number(&self) -> usize {
        self.ear.number
    }

    /// Counts a request begun.
    pub(super) fn count_request(&self) {
        drop(self.ledger.request(self.ear.number));
    }

    /// Takes what `length` measures off what was heard and not yet taken, hearing on until it can tell.
    pub(super) async fn take(&mut self, length: impl Fn(&[u8]) -> Option<usize>) -> Result<(), Gone> {
        loop {
            let found = length(&self.ear.recordings.borrow()[self.ear.number][self.ear.taken..]);
            match found {
                Some(n) => {
                    self.ear.taken += n;
                    return Ok(());
                }
                None if !self.ear.open => return Err(Gone),
                None => self.ear.hear().await,
            }
        }
    }

    /// Waits for the future, hearing meanwhile.
    pub(super) async fn wait<T>(&mut self, future: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            output = future => output,
            () = self.ear.listen() => unreachable!("listening has no end"),
        }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        tokio::select! {
            biased;
            written = async { self.mouth.write_all(bytes).await?; self.mouth.flush().await } => Ok(written?),
            () = self.ear.listen() => unreachable!("listening has no end"),
        }
    }

    pub(super) async fn write_slowly(&mut self, bytes: &[u8], pause: Duration) -> Result<(), Gone> {
        for byte in bytes {
            self.wait(tokio::time::sleep(pause)).await;
            self.write(&[*byte]).await?;
        }
        Ok(())
    }

    pub(super) fn stop_reading(&mut self) {
        self.ear.listening = false;
    }

    pub(super) async fn start_tls(self, config: Arc<ServerConfig>) -> Result<Self, Gone> {
        let Self {
            ear,
            mouth,
            socket,
            ledger,
        } = self;
        let stream = TlsAcceptor::from(config)
            .accept(ear.half.unsplit(mouth))
            .await
            .inspect_err(|error| ledger.handshake_failed(error))?;
        ledger.shook_hands(ear.number, stream.get_ref().1);
        let (half, mouth) = tokio::io::split(Box::new(stream) as AnyStream);
        Ok(Self {
            ear: Ear { half, ..ear },
            mouth,
            socket,
            ledger,
        })
    }

    /// `close_notify` under TLS, then FIN.
    pub(super) async fn fin(&mut self) -> Result<(), Gone> {
        Ok(self.mouth.shutdown().await?)
    }

    /// FIN, whatever is above.
    pub(super) fn cut(&self) {
        if let Some(socket) = &self.socket {
            // It fails when the client has reset the connection: it is cut then.
            let _ = socket.shutdown(std::net::Shutdown::Write);
        }
    }

    pub(super) fn reset(self) {
        if let Some(socket) = &self.socket {
            let _ = socket.set_linger(Some(Duration::ZERO)); // as above
        }
    }

    /// Hears on until the client leaves.
    pub(super) async fn until_gone(&mut self) {
        while self.ear.open {
            if !self.ear.listening {
                pending::<()>().await;
            }
            self.ear.hear().await;
        }
    }
}

impl Ear {
    /// Hears once. Cancel-safe: what is read is recorded before anything else can happen.
    async fn hear(&mut self) {
        let mut heard = Vec::with_capacity(16 * 1024);
        match self.half.read_buf(&mut heard).await {
            Ok(0) | Err(_) => self.open = false,
            Ok(_) => self.recordings.send_modify(|all| all[self.number].append(&mut heard)),
        }
    }

    async fn listen(&mut self) {
        while self.open && self.listening {
            self.hear().await;
        }
        pending::<()>().await;
    }
}
