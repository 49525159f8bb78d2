//! The bounds of an exchange's phases, over streams in memory and with the clock paused: each falls at the very instant.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep};

use super::{Attempt, AttemptLayer, Client, LayerFuture, Refused, memory};
use crate::connect::Dialer;
use crate::error::{BoxError, Error, Kind, Phase};
use crate::settings::{ClientConfig, Jitter};
use crate::wire::CloseReason;

const SECOND: Duration = Duration::from_secs(1);
const URL: &str = "http://server/";

/// A client without a bound on whole requests, unless `change` sets one, whose connections `serve` serves.
fn client<F>(change: impl FnOnce(ClientConfig) -> ClientConfig, serve: fn(DuplexStream) -> F) -> Client
where
    F: Future<Output = ()> + Send + 'static,
{
    let config = change(ClientConfig::default().no_timeout().max_attempts(1));
    let mut profile = config.profile;
    profile.policy.retry.jitter = Jitter::None;
    let dialer = Dialer::Memory(Arc::new(move |_| {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        tokio::spawn(serve(theirs));
        ours
    }));
    memory::over(profile, dialer)
}

/// Reads on for as long as something comes at once.
async fn head(stream: &mut DuplexStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
}

/// Reads what the client sends, and says nothing.
async fn silent(mut stream: DuplexStream) {
    while stream.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
}

/// Takes nothing.
async fn deaf(stream: DuplexStream) {
    std::future::pending::<()>().await;
    drop(stream);
}

/// A body that gives a piece each `pause`, `count` times.
fn slow(count: usize, pause: Duration) -> reqwest::Body {
    let (pieces, body) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        for _ in 0..count {
            sleep(pause).await;
            pieces.send(Bytes::from_static(b"piece")).await.unwrap();
        }
    });
    reqwest::Body::wrap(Slow(body))
}

struct Slow(tokio::sync::mpsc::Receiver<Bytes>);

impl http_body::Body for Slow {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0
            .poll_recv(cx)
            .map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[track_caller]
fn assert_late(error: &Error, phase: Phase, after: Duration, words: &str) {
    assert_eq!(error.kind(), Kind::Timeout { phase, after }, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

/// Its connection has been closed, since it was silent for too long.
async fn assert_closed(client: &Client) {
    while client.stats().open > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.stats().closed_for(CloseReason::Timeout), 1);
}

#[tokio::test(start_paused = true)]
async fn the_header_s_time_is_over_after_response_header() {
    let client = client(|config| config.response_header_timeout(SECOND), silent);
    let began = Instant::now();
    let error = client.get(URL).send().await.unwrap_err();
    assert_eq!(began.elapsed(), SECOND);
    let words = "timed out after 1 s (timeouts.response_header), waiting for the response header (profile";
    assert_late(&error, Phase::ResponseHeader, SECOND, words);
    assert_closed(&client).await;
}

#[tokio::test(start_paused = true)]
async fn the_header_s_time_begins_when_the_request_has_been_sent() {
    let bounds = |config: ClientConfig| config.response_header_timeout(SECOND).write_timeout(SECOND);
    let client = client(bounds, silent);
    let began = Instant::now();
    // The caller's own slowness is not the peer's.
    let request = client.post(URL).body(slow(5, SECOND * 10));
    let error = request.send().await.unwrap_err();
    assert_late(&error, Phase::ResponseHeader, SECOND, "timeouts.response_header");
    assert_eq!(began.elapsed(), SECOND * 51);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up_after_write() {
    for response_header in [None, Some(SECOND / 2)] {
        let bounds = |mut config: ClientConfig| {
            config.profile.policy.response_header = response_header;
            config.write_timeout(SECOND)
        };
        let client = client(bounds, deaf);
        let began = Instant::now();
        let error = client.post(URL).body(vec![0; 1 << 20]).send().await.unwrap_err();
        assert_eq!(began.elapsed(), SECOND, "{response_header:?}");
        let words = "timed out after 1 s (timeouts.write), sending the request (profile";
        assert_late(&error, Phase::Write, SECOND, words);
        assert_closed(&client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_a_little_at_a_time_is_never_given_up() {
    // What lies in the stream's 64 KiB has been sent for us, and takes the server eight turns.
    let bounds = |config: ClientConfig| config.response_header_timeout(SECOND * 8).write_timeout(SECOND);
    let client = client(bounds, |mut stream| async move {
        head(&mut stream).await;
        let mut left = 1 << 20;
        while left > 0 {
            sleep(SECOND.mul_f64(0.9)).await;
            left -= stream.read(&mut [0; 8 << 10]).await.unwrap();
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
        silent(stream).await;
    });
    let began = Instant::now();
    let answer = client.post(URL).body(vec![0; 1 << 20]).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(began.elapsed() > SECOND * 100, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_events_lives_while_its_pauses_are_shorter_than_read() {
    let client = client(
        |config| config.read_timeout(SECOND),
        |mut stream| async move {
            head(&mut stream).await;
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head).await.unwrap();
            for _ in 0..100 {
                sleep(SECOND.mul_f64(0.9)).await;
                stream.write_all(b"6\r\nevent\n\r\n").await.unwrap();
            }
            silent(stream).await;
        },
    );
    let mut answer = client.get(URL).send().await.unwrap();
    let mut events = 0;
    let error = loop {
        match answer.chunk().await {
            Ok(Some(_)) => events += 1,
            Ok(None) => panic!("it has no end"),
            Err(error) => break error,
        }
        // A reader that has no time for the next one does not make the server silent.
        if events == 50 {
            sleep(SECOND.mul_f64(0.8)).await;
        }
    };
    assert_eq!(events, 100);
    assert!(error.is_timeout(), "{error}");
    let ours = Error::of(&error).unwrap();
    let words = "timed out after 1 s (timeouts.read), reading the response body (profile";
    assert_late(ours, Phase::Body, SECOND, words);
    assert_eq!(ours.elapsed(), Some(SECOND * 90 + SECOND));
    assert_closed(&client).await;
}

/// Answers half a body.
async fn half(mut stream: DuplexStream) {
    head(&mut stream).await;
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf";
    stream.write_all(half).await.unwrap();
    silent(stream).await;
}

#[tokio::test(start_paused = true)]
async fn where_a_deadline_ends_it_a_reader_that_does_not_wait_makes_no_silence() {
    let client = client(|config| config.timeout(SECOND * 30).read_timeout(SECOND), half);
    let mut answer = client.get(URL).send().await.unwrap();
    sleep(SECOND * 10).await;
    assert_eq!(answer.chunk().await.unwrap().as_deref(), Some(&b"half"[..]));
    sleep(SECOND * 10).await;
    let began = Instant::now();
    assert!(answer.chunk().await.unwrap_err().is_timeout());
    assert_eq!(began.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_an_answer_is_over_that_nobody_asks_for_more_of() {
    // Asked for nothing, for a piece in time, and for one more that does not come.
    for asked in 0..=2 {
        let client = client(|config| config.read_timeout(SECOND), half);
        let mut answer = client.get(URL).send().await.unwrap();
        for asks in 0..asked {
            sleep(SECOND * 9 / 10).await;
            let piece = tokio::time::timeout(SECOND / 100, answer.chunk()).await;
            assert_eq!(piece.is_ok(), asks == 0);
        }
        // Whoever waits is told of the peer's silence first.
        let bound = if asked == 2 { SECOND * 2 } else { SECOND };
        sleep(bound.saturating_sub(SECOND / 10)).await;
        assert_eq!(client.stats().in_use, 1, "{asked}");
        sleep(SECOND / 5).await;
        assert_eq!(client.stats().in_use, 0, "{asked}");
        let error = loop {
            match answer.chunk().await {
                Ok(piece) => assert_eq!(piece.as_deref(), Some(&b"half"[..])),
                Err(error) => break error,
            }
        };
        let words = "(timeouts.read), reading the response body: nobody asked for more of it";
        assert_late(Error::of(&error).unwrap(), Phase::Body, SECOND, words);
        assert_closed(&client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_time_out_gives_up_a_silent_peer_after_a_minute_unless_that_is_off_too() {
    let minute = Duration::from_mins(1);
    let by_default = client(|config| config, half);
    let answer = by_default.get(URL).send().await.unwrap();
    let began = Instant::now();
    let error = answer.bytes().await.unwrap_err();
    assert_late(Error::of(&error).unwrap(), Phase::Body, minute, "(timeouts.read)");
    assert_eq!(began.elapsed(), minute);

    let by_default = client(|config| config, deaf);
    let error = by_default.post(URL).body(vec![0; 1 << 20]).send().await.unwrap_err();
    assert_late(&error, Phase::Write, minute, "(timeouts.write)");

    let off = client(ClientConfig::no_read_timeout, half);
    let answer = off.get(URL).send().await.unwrap();
    let waited = tokio::time::timeout(minute * 60, answer.bytes()).await;
    assert!(waited.is_err(), "{waited:?}");

    let off = client(ClientConfig::no_write_timeout, deaf);
    let request = off.post(URL).body(vec![0; 1 << 20]).send();
    assert!(tokio::time::timeout(minute * 60, request).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_hung_attempt_is_followed_by_another_which_has_its_own_time() {
    let bounds = |config: ClientConfig| {
        let config = config.attempt_timeout(SECOND).timeout(SECOND * 10).max_attempts(3);
        config.retry_backoff(SECOND / 10, SECOND / 10)
    };
    let hung = client(bounds, silent);
    let began = Instant::now();
    let error = hung.get(URL).send().await.unwrap_err();
    let words = "timed out after 1 s (timeouts.attempt), waiting for the response header (profile default, 3 attempts)";
    assert_late(&error, Phase::ResponseHeader, SECOND, words);
    assert_eq!(began.elapsed(), SECOND * 3 + SECOND / 10 * 2);
    assert_eq!(hung.stats().retries, 2);

    // What may not be sent twice is not.
    let error = client(bounds, silent)
        .post(URL)
        .body("a body")
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.attempts(), 1, "{error}");
}

/// Refuses the first request, and answers the next on the same connection after half a second.
async fn strict(mut stream: DuplexStream) {
    head(&mut stream).await;
    let refused = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(refused).await.unwrap();
    head(&mut stream).await;
    sleep(SECOND / 2).await;
    let fine = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(fine).await.unwrap();
    silent(stream).await;
}

/// Takes its time to look for another key.
struct SlowlyRenewed;

impl AttemptLayer for SlowlyRenewed {
    fn sign<'a>(&'a self, _: &'a mut Attempt<'_>) -> LayerFuture<'a, Result<(), BoxError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn refresh<'a>(&'a self, _: &'a Refused) -> LayerFuture<'a, bool> {
        Box::pin(async {
            sleep(SECOND * 3).await;
            true
        })
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_refused_signature_s_renewal_takes_is_no_part_of_the_next_attempt_s_time() {
    let client = client(|config| config.attempt_timeout(SECOND), strict).with_attempt_layer(SlowlyRenewed);
    let began = Instant::now();
    assert_eq!(client.get(URL).send().await.unwrap().status(), 200);
    assert_eq!(began.elapsed(), SECOND * 3 + SECOND / 2);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_s_time_covers_the_body_and_the_whole_request_s_ends_the_last_attempt() {
    let attempt = client(|config| config.attempt_timeout(SECOND).timeout(SECOND * 10), half);
    let answer = attempt.get(URL).send().await.unwrap();
    let error = answer.bytes().await.unwrap_err();
    assert_late(
        Error::of(&error).unwrap(),
        Phase::Body,
        SECOND,
        "timed out after 1 s (timeouts.attempt)",
    );

    let bounds = |config: ClientConfig| config.attempt_timeout(SECOND * 2).timeout(SECOND * 3).max_attempts(9);
    let whole = client(bounds, silent);
    let began = Instant::now();
    let error = whole.get(URL).send().await.unwrap_err();
    assert_late(
        &error,
        Phase::ResponseHeader,
        SECOND * 3,
        "timed out after 3 s (timeout)",
    );
    assert_eq!((began.elapsed(), error.attempts()), (SECOND * 3, 2));
}

#[tokio::test(start_paused = true)]
async fn the_total_time_out_says_that_the_request_was_being_sent() {
    let client = client(|config| config.timeout(SECOND), deaf);
    let error = client.post(URL).body(vec![0; 1 << 20]).send().await.unwrap_err();
    let words = "timed out after 1 s (timeout), sending the request";
    assert_late(&error, Phase::Write, SECOND, words);
}

/// Writes the beginning of an answer, and then this again and again, in time for each bound.
async fn drip(mut stream: DuplexStream, beginning: &[u8], drop: &[u8]) {
    head(&mut stream).await;
    let _ = stream.write_all(beginning).await;
    while stream.write_all(drop).await.is_ok() {
        sleep(SECOND.mul_f64(0.3)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn informational_answers_and_header_bytes_do_not_renew_the_header_s_time() {
    let bound = |config: ClientConfig| config.response_header_timeout(SECOND);
    let informational = client(bound, |stream| drip(stream, b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"));
    let bytes = client(bound, |stream| drip(stream, b"HTTP/1.1 200 OK\r\nx-a: ", b"a"));
    for client in [informational, bytes] {
        let began = Instant::now();
        let error = client.get(URL).send().await.unwrap_err();
        assert_late(&error, Phase::ResponseHeader, SECOND, "(timeouts.response_header)");
        assert_eq!(began.elapsed(), SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_chunk_s_extension_does_not_renew_the_time_between_two_pieces() {
    let client = client(
        |config| config.read_timeout(SECOND),
        |stream| {
            let beginning = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n4;";
            drip(stream, beginning, b"a")
        },
    );
    let mut answer = client.get(URL).send().await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().as_deref(), Some(&b"half"[..]));
    let began = Instant::now();
    let error = answer.chunk().await.unwrap_err();
    assert_late(Error::of(&error).unwrap(), Phase::Body, SECOND, "(timeouts.read)");
    assert_eq!(began.elapsed(), SECOND);
}
