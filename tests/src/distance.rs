//! A server farther away: a TCP relay that lets every byte travel for half a round trip.
//!
//! ```text
//! client ◄── half a round trip ──► Distance ◄── at once ──► server
//! ```
//!
//! The kernel's own delay (netem) needs rights that a test does not have. Bandwidth is without bound: what is sent at one
//! time arrives at one time. A connection costs its round trip, too, though the relay's kernel accepts at once: the first
//! bytes of a client leave only when the answer to its SYN would have come. Delays are never shorter than told, and up to
//! two milliseconds longer.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::tasks::Tasks;

/// Pieces under way in one direction, at most; then the sender is not read from.
const IN_FLIGHT: usize = 4096;

/// The way to one server. Dropping it cuts all connections.
#[derive(Debug)]
pub struct Distance {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    tasks: Tasks,
}

impl Distance {
    /// Listens on a free port of `127.0.0.1` for those who want to go to `server`.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or when no port is free.
    pub async fn to(server: SocketAddr, round_trip: Duration) -> Distance {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let (accepted, tasks) = (Arc::<AtomicUsize>::default(), Tasks::default());
        let (counter, ways) = (Arc::clone(&accepted), tasks.clone());
        tasks.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let there = round_trip / 2;
                let connected = Instant::now() + round_trip;
                let back = ways.clone();
                ways.spawn(async move {
                    // The client learns of a server that is not there by a connection that ends.
                    let Ok(server) = TcpStream::connect(server).await else {
                        return;
                    };
                    let _ = (client.set_nodelay(true), server.set_nodelay(true));
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    back.spawn(travel(from_server, to_client, there, connected));
                    travel(from_client, to_server, there, connected).await;
                });
            }
        });
        Distance {
            address,
            accepted,
            tasks,
        }
    }

    /// Where clients connect to.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The connections so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Distance {
    fn drop(&mut self) {
        self.tasks.abort();
    }
}

/// Carries bytes, and the end of them, each for as long. None leaves before `connected`.
async fn travel(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, time: Duration, connected: Instant) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Bytes)>(IN_FLIGHT);
    let reading = async move {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(64 << 10);
            let read: io::Result<usize> = from.read_buf(&mut buffer).await;
            let leaves = Instant::now().max(connected);
            // Nothing is the end, which travels like the rest.
            let is_over = !matches!(read, Ok(1..));
            if sender.send((leaves + time, buffer.split().freeze())).await.is_err() || is_over {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((arrives, piece)) = receiver.recv().await {
            tokio::time::sleep_until(arrives).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}
