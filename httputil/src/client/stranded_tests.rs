//! Requests that have their places when an HTTP/2 server says that it takes none, and are not written yet: over streams in
//! memory and with the clock paused, so that the server's word is read at that very moment.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::{Client, memory};
use crate::Kind;
use crate::connect::Dialer;
use crate::settings::ClientConfig;

const URL: &str = "http://server/";
const SECOND: Duration = Duration::from_secs(1);

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;

/// `MAX_CONCURRENT_STREAMS` is 0.
const NO_STREAM: &[u8] = &[0, 0, 6, SETTINGS, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0];
/// It is 9.
const SOME_STREAMS: &[u8] = &[0, 0, 6, SETTINGS, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 9];

/// The server's end of a connection.
struct Peer(DuplexStream);

impl Peer {
    /// The preface has come, and SETTINGS that name no limit are said.
    async fn of(stream: DuplexStream) -> Peer {
        let mut peer = Peer(stream);
        let mut preface = [0; 24];
        peer.0.read_exact(&mut preface).await.unwrap();
        peer.say(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]).await;
        peer
    }

    async fn say(&mut self, frame: &[u8]) {
        self.0.write_all(frame).await.unwrap();
    }

    /// The next stream that a request opens; `None` at the end of the connection.
    async fn request(&mut self) -> Option<u32> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            self.0.read_exact(&mut vec![0; length as usize]).await.ok()?;
            if head[3] == HEADERS {
                return Some(u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
            }
        }
    }

    /// `204 No Content`
    async fn answer(&mut self, stream: u32) {
        let head = [&[0, 0, 1, HEADERS, 5][..], &stream.to_be_bytes(), &[0x89]].concat();
        self.say(&head).await;
    }
}

/// The other ends of a client's connections, as they are dialled.
struct Peers(UnboundedReceiver<DuplexStream>);

impl Peers {
    /// The next connection's, which must not be long in coming.
    async fn next(&mut self) -> Peer {
        let dialled = timeout(5 * SECOND, self.0.recv()).await;
        Peer::of(dialled.expect("a connection is dialled").unwrap()).await
    }

    fn is_none_dialled(&mut self) -> bool {
        self.0.try_recv().is_err()
    }
}

/// A client of one connection to each host.
fn client() -> (Client, Peers) {
    let (dialled, peers) = unbounded_channel();
    let dialled = Arc::new(Mutex::new(dialled));
    let mut profile = ClientConfig::default().max_attempts(1).no_breaker().profile;
    profile.transport.http2.prior_knowledge = true;
    profile.transport.http2.max_connections_per_host = 1;
    let dialer = Dialer::Memory(Arc::new(move |_| {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        dialled.lock().unwrap().send(theirs).unwrap();
        ours
    }));
    (memory::over(profile, dialer), Peers(peers))
}

/// A client whose only connection takes a hundred streams, and has borne one.
async fn connected() -> (Client, Peers, Peer) {
    let (client, mut peers) = client();
    let serving = async {
        let mut peer = peers.next().await;
        let stream = peer.request().await.unwrap();
        peer.answer(stream).await;
        peer
    };
    let (answer, peer) = tokio::join!(client.get(URL).send(), serving);
    assert_eq!(answer.unwrap().status(), 204);
    memory::settled().await;
    (client, peers, peer)
}

type Answered = Result<reqwest::Response, crate::Error>;

/// Sends a request before any other task runs.
async fn sent(answer: impl Future<Output = Answered> + Send + 'static) -> JoinHandle<Answered> {
    let mut answer = Box::pin(answer);
    let polled = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await;
    assert!(polled.is_pending());
    tokio::spawn(answer)
}

#[tokio::test(start_paused = true)]
async fn a_request_that_the_server_lets_wait_for_ever_is_sent_over_another_connection() {
    let (client, mut peers, mut peer) = connected().await;
    // Whose task runs first is the one that was woken first.
    peer.say(NO_STREAM).await;
    let began = Instant::now();
    let posted = client.post(URL).body("sent once").send();
    let elsewhere = async {
        let mut other = peers.next().await;
        let stream = other.request().await.unwrap();
        other.answer(stream).await;
        other
    };
    let (answer, _other) = tokio::join!(posted, elsewhere);
    assert_eq!(answer.unwrap().status(), 204);
    assert_eq!(began.elapsed().as_secs(), 1);
    assert_eq!(peer.request().await, None, "it was never written there");
    memory::settled().await;
    assert_eq!(client.stats().open, 1);
}

#[tokio::test(start_paused = true)]
async fn as_long_as_another_request_is_under_way_the_connection_stays() {
    let (client, mut peers, mut peer) = connected().await;
    let running = tokio::spawn(client.get(URL).send());
    let first = peer.request().await.unwrap();
    peer.say(NO_STREAM).await;
    let waiting = sent(client.get(URL).send()).await;
    tokio::time::sleep(10 * SECOND).await;
    assert!(peers.is_none_dialled() && !running.is_finished() && !waiting.is_finished());
    peer.answer(first).await;
    assert_eq!(running.await.unwrap().unwrap().status(), 204);
    let mut other = peers.next().await;
    let stream = other.request().await.unwrap();
    other.answer(stream).await;
    assert_eq!(waiting.await.unwrap().unwrap().status(), 204);
    assert_eq!(peer.request().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_taken_back_unwritten_takes_none_that_is_under_way_along() {
    let (client, mut peers, mut peer) = connected().await;
    let running = tokio::spawn(client.get(URL).send());
    let first = peer.request().await.unwrap();
    peer.say(NO_STREAM).await;
    let waiting = sent(client.get(URL).send()).await;
    memory::settled().await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    tokio::time::sleep(10 * SECOND).await;
    peer.answer(first).await;
    assert_eq!(running.await.unwrap().unwrap().status(), 204);
    assert!(peers.is_none_dialled());
}

/// A connection whose server took no stream for a moment, in which requests were taken back: one that h2 held, and one behind
/// it that hyper held.
async fn recovered() -> (Client, Peers, Peer) {
    let (client, peers, mut peer) = connected().await;
    peer.say(NO_STREAM).await;
    let held = sent(client.get(URL).send()).await;
    let behind = sent(client.get(URL).send()).await;
    memory::settled().await;
    for taken_back in [held, behind] {
        taken_back.abort();
        assert!(taken_back.await.unwrap_err().is_cancelled());
    }
    peer.say(SOME_STREAMS).await;
    memory::settled().await;
    (client, peers, peer)
}

/// A body of which nothing comes, and no end.
struct Endless;

impl http_body::Body for Endless {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        Poll::Pending
    }
}

/// The next stream that the server is to answer: what was taken back is not.
async fn wanted(peer: &mut Peer, least: u32) -> u32 {
    loop {
        let stream = peer.request().await.unwrap();
        if stream >= least {
            return stream;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_were_taken_back_before_keep_nobody_waiting_on_a_connection_of_no_use() {
    let (client, mut peers, mut peer) = recovered().await;
    let running = tokio::spawn(client.get(URL).send());
    // The one that h2 held had the second.
    let stream = wanted(&mut peer, 5).await;
    peer.answer(stream).await;
    assert_eq!(running.await.unwrap().unwrap().status(), 204);
    peer.say(NO_STREAM).await;
    let began = Instant::now();
    let posted = client.post(URL).body("sent once").send();
    let elsewhere = async {
        let mut other = peers.next().await;
        let stream = other.request().await.unwrap();
        other.answer(stream).await;
        other
    };
    let (answer, _other) = tokio::join!(posted, elsewhere);
    assert_eq!(answer.unwrap().status(), 204);
    assert_eq!(began.elapsed().as_secs(), 1);
    assert_eq!(peer.request().await, None, "it was never written there");
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_beside_an_upload_hear_of_the_connection_s_end_as_it_does() {
    let (client, mut peers, mut peer) = connected().await;
    let began = Instant::now();
    // h2 is given both before it reads that it may open none.
    let upload = sent(client.post(URL).body(reqwest::Body::wrap(Endless)).send()).await;
    let waiting = sent(client.get(URL).send()).await;
    peer.say(NO_STREAM).await;
    let mut other = peers.next().await;
    let stream = other.request().await.unwrap();
    other.answer(stream).await;
    assert_eq!(waiting.await.unwrap().unwrap().status(), 204);
    // There is no other such body.
    let error = upload.await.unwrap().unwrap_err();
    assert!(error.kind() == Kind::Protocol && error.is_retryable(), "{error}");
    assert_eq!(began.elapsed().as_secs(), 1);
    assert_eq!(peer.request().await, None, "neither was written there");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_not_written_when_its_connection_ended_is_sent_over_another_one() {
    let (client, mut peers, peer) = connected().await;
    let posted = sent(client.post(URL).body("sent once").send()).await;
    drop(peer);
    let mut other = peers.next().await;
    let stream = other.request().await.unwrap();
    other.answer(stream).await;
    assert_eq!(posted.await.unwrap().unwrap().status(), 204);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_written_when_its_connection_ended_is_not_sent_again() {
    let (client, mut peers, mut peer) = connected().await;
    let posted = tokio::spawn(client.post(URL).body("sent once").send());
    peer.request().await.unwrap();
    drop(peer);
    let error = posted.await.unwrap().unwrap_err();
    assert!(!error.is_retryable() && peers.is_none_dialled(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn requests_that_were_taken_back_before_take_none_that_is_under_way_along() {
    let (client, mut peers, mut peer) = recovered().await;
    let running = tokio::spawn(client.get(URL).send());
    let stream = wanted(&mut peer, 5).await;
    peer.say(NO_STREAM).await;
    let waiting = sent(client.get(URL).send()).await;
    tokio::time::sleep(10 * SECOND).await;
    assert!(peers.is_none_dialled() && !running.is_finished() && !waiting.is_finished());
    peer.answer(stream).await;
    assert_eq!(running.await.unwrap().unwrap().status(), 204);
    let mut other = peers.next().await;
    let stream = other.request().await.unwrap();
    other.answer(stream).await;
    assert_eq!(waiting.await.unwrap().unwrap().status(), 204);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_streams_again_in_a_moment_keeps_its_connection() {
    let (client, mut peers, mut peer) = connected().await;
    peer.say(NO_STREAM).await;
    let waiting = sent(client.get(URL).send()).await;
    tokio::time::sleep(SECOND / 2).await;
    peer.say(SOME_STREAMS).await;
    let stream = peer.request().await.unwrap();
    tokio::time::sleep(10 * SECOND).await;
    peer.answer(stream).await;
    assert_eq!(waiting.await.unwrap().unwrap().status(), 204);
    assert!(peers.is_none_dialled());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_bears_only_what_was_taken_back_ends_when_it_is_to() {
    let (client, _peers, mut peer) = connected().await;
    peer.say(NO_STREAM).await;
    let waiting = client.get(URL).timeout(SECOND / 2).send();
    assert!(waiting.await.unwrap_err().is_timeout());
    client.stop();
    assert_eq!(timeout(2 * SECOND, peer.request()).await, Ok(None));
    memory::settled().await;
    assert_eq!(client.stats().open, 0);
}
