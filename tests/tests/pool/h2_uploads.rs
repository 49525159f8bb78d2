//! HTTP/2 requests whose bodies are the caller's own streams.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use httputil_tests::server::{Server, handlers};
use httputil_tests::{PATIENCE, within};
use tokio::sync::Notify;

use crate::common::{assert_all_gone, get, h2_client};

/// A stream that keeps the thread which asks it until it is told its only piece.
struct Slow {
    is_asked: Arc<Notify>,
    piece: Mutex<Option<Receiver<Bytes>>>,
}

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = self.piece.lock().unwrap().take() else {
            return Poll::Ready(None);
        };
        self.is_asked.notify_one();
        let piece = piece.recv_timeout(PATIENCE).unwrap();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_stream_that_takes_a_thread_for_itself_keeps_no_other_answer_from_being_read() {
    let server = Server::builder().h2().handler(handlers::echo).start().await;
    let client = h2_client(|_| {});
    get(&client, &server.url("/")).await;
    let is_asked = Arc::new(Notify::new());
    let (tell, piece) = channel();
    let body = Slow {
        is_asked: Arc::clone(&is_asked),
        piece: Mutex::new(Some(piece)),
    };
    let upload = client.post(server.url("/")).body(reqwest::Body::wrap(body)).send();
    let upload = tokio::spawn(upload);
    within(PATIENCE, is_asked.notified()).await;
    for _ in 0..3 {
        within(PATIENCE, get(&client, &server.url("/"))).await;
    }
    assert!(!upload.is_finished());
    tell.send(Bytes::from("piece")).unwrap();
    let answer = within(PATIENCE, upload).await.unwrap().unwrap();
    assert!(answer.text().await.unwrap().contains("piece"));
    assert_eq!(server.accepted(), 1);
    assert_all_gone(&client).await;
}
