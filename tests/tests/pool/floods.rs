//! HTTP/2 peers that send frames without end and without content: the connection is dropped by name, memory stays
//! bounded, and nobody else notices.

use bytes::{BufMut, Bytes, BytesMut};
use httputil::{Client, Error, Kind};
use httputil_tests::h2_script::frame::PREFACE;
use httputil_tests::server::Server;
use httputil_tests::{PATIENCE, one_attempt, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::common::{assert_accounted, get, until};

/// `:status: 200` from HPACK's static table.
const OK: &[u8] = &[0x88];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_uint(payload.len() as u64, 3);
    frame.put_u8(kind);
    frame.put_u8(flags);
    frame.put_u32(stream);
    frame.put_slice(payload);
    frame.freeze()
}

/// What a server says once after its SETTINGS and the request, and what it says without end then.
struct Flood {
    name: &'static str,
    first: Bytes,
    again: Bytes,
}

fn floods() -> Vec<Flood> {
    let nothing = Bytes::new;
    let of = |name, first, again| Flood { name, first, again };
    vec![
        of("PING", nothing(), frame(6, 0, 0, &[0; 8])),
        of("PING answers", nothing(), frame(6, 1, 0, &[0; 8])),
        of("SETTINGS", nothing(), frame(4, 0, 0, &[])),
        of("PRIORITY", nothing(), frame(2, 0, 1, &[0, 0, 0, 0, 1])),
        of("an unknown frame", nothing(), frame(0xbe, 0, 0, &[7; 3])),
        of("WINDOW_UPDATE of a byte", nothing(), frame(8, 0, 1, &[0, 0, 0, 1])),
        of("RST_STREAM", frame(1, 4, 1, OK), frame(3, 0, 1, &[0, 0, 0, 8])),
        of("empty DATA", frame(1, 4, 1, OK), frame(0, 0, 1, &[])),
        of("CONTINUATION", frame(1, 0, 1, OK), frame(9, 0, 1, &[])),
        of(
            "CONTINUATION with fields",
            frame(1, 0, 1, OK),
            frame(9, 0, 1, b"\x00\x03abc\x03def"),
        ),
        of("PUSH_PROMISE", nothing(), frame(5, 4, 1, &[0, 0, 0, 2, 0x82])),
        of("informational answers", nothing(), frame(1, 4, 1, b"\x08\x03103")),
        of("headers of streams that nobody opened", nothing(), frame(1, 4, 99, OK)),
    ]
}

/// Serves one connection; the number of bytes that the client let it send.
async fn serve(listener: TcpListener, flood: Flood) -> usize {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut preface = vec![0; PREFACE.len()];
    stream.read_exact(&mut preface).await.unwrap();
    let mut start = frame(4, 0, 0, &[]).to_vec();
    start.extend(frame(4, 1, 0, &[]));
    stream.write_all(&start).await.unwrap();
    // The request comes as one HEADERS frame; whatever else comes is no matter.
    let mut head = [0; 9];
    loop {
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        if head[3] == 1 {
            break;
        }
    }
    let (mut reader, mut writer) = stream.into_split();
    // What the client answers is read, so that only its own limits hold the flood up.
    let reading = tokio::spawn(async move {
        let mut answers = vec![0; 65_536];
        while matches!(reader.read(&mut answers).await, Ok(1..)) {}
    });
    let many = flood.again.repeat(1000);
    let mut sent = 0;
    if writer.write_all(&flood.first).await.is_ok() {
        while sent < 1 << 30 {
            match writer.write(&many[sent % flood.again.len()..]).await {
                Ok(written) => sent += written,
                Err(_) => break,
            }
        }
    }
    drop(writer);
    reading.await.unwrap();
    sent
}

fn client() -> Client {
    Client::new(one_attempt().http2_prior_knowledge(true)).unwrap()
}

/// The kind and the words of the error that the request or its body ends with.
async fn end_of(client: &Client, url: &str) -> (Kind, String) {
    match client.get(url).send().await {
        Err(error) => (error.kind(), error.to_string()),
        Ok(response) => {
            let error = response.bytes().await.expect_err("there is no end to it");
            let ours = Error::of(&error).expect("our error lies in reqwest's");
            (ours.kind(), ours.to_string())
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_http2_frames_costs_its_own_connection_and_nobody_elses() {
    let good = Server::builder().h2().start().await;
    for flood in floods() {
        let name = flood.name;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serving = tokio::spawn(serve(listener, flood));
        let client = client();
        let ((kind, words), ()) = tokio::join!(within(PATIENCE, end_of(&client, &url)), async {
            for _ in 0..20 {
                assert_eq!(get(&client, &good.url("/")).await, "hello");
            }
        });
        // Not by the deadline of 30 s: the flood itself is told.
        assert!(
            matches!(kind, Kind::Connection | Kind::Body | Kind::Protocol),
            "{name}: {words}"
        );
        let sent = serving.await.unwrap();
        assert!(sent < 8 << 20, "{name}: {sent} bytes were taken");
        client.close_idle_connections();
        until(&client, "all to be closed", |stats| stats.open == 0).await;
        assert_accounted(&client.stats());
        assert!(
            !words.contains("prior_knowledge"),
            "it speaks HTTP/2, if badly: {words}"
        );
    }
}
