//! The relay that stands for distance.

use std::time::Duration;

use httputil_tests::distance::Distance;
use httputil_tests::script::{Script, Step};
use httputil_tests::server::{Server, handlers};
use httputil_tests::{PATIENCE, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

const ROUND_TRIP: Duration = Duration::from_millis(60);

#[tokio::test]
async fn a_first_exchange_takes_two_round_trips_and_the_next_takes_one() {
    let server = Server::builder().handler(handlers::echo).start().await;
    let distance = Distance::to(server.addr(), ROUND_TRIP).await;
    let mut stream = TcpStream::connect(distance.addr()).await.unwrap();
    for least in [ROUND_TRIP * 2, ROUND_TRIP] {
        let began = Instant::now();
        let request = b"POST / HTTP/1.1\r\nhost: far\r\ncontent-length: 5\r\n\r\nhello";
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let read = within(PATIENCE, stream.read_buf(&mut answer)).await.unwrap();
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer));
        }
        assert!(began.elapsed() >= least, "{:?}", began.elapsed());
    }
    assert_eq!((distance.accepted(), server.accepted()), (1, 1));
}

#[tokio::test]
async fn the_end_travels_both_ways_behind_the_bytes() {
    let server = Script::start([vec![Step::write("good"), Step::write("bye"), Step::Fin]]).await;
    let distance = Distance::to(server.addr(), ROUND_TRIP).await;
    let mut stream = TcpStream::connect(distance.addr()).await.unwrap();
    let mut all = String::new();
    within(PATIENCE, stream.read_to_string(&mut all)).await.unwrap();
    assert_eq!(all, "goodbye");
    drop(stream);
    server.until_open(0).await;
}
