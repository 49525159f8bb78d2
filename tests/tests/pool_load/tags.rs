//! No answer ever reaches another request.

use std::time::Duration;

use httputil::{Client, Error};
use httputil_tests::server::{Server, handlers};

use crate::ALONE;
use crate::common::{TrustedCa, Way, assert_all_gone, url};

/// Sends a tagged request. It may be dropped or timed out, but an answer bears the request's tag.
async fn tagged(client: &Client, url: &str, number: u32, way: Way) {
    let tag = format!("tag-{number}");
    // A cheap, repeatable scatter of time-outs: about half of the requests end early, at different points.
    let patience = Duration::from_micros(u64::from(number.wrapping_mul(2_654_435_761) % 1500));
    let request = client.post(url).header("x-tag", &tag).body(tag.clone());
    let exchange = async {
        let response = request.send().await?;
        let header = response.headers()["x-tag"].to_str().unwrap().to_owned();
        Ok((header, response.text().await.unwrap()))
    };
    let answer: Result<(String, String), Error> = if number.is_multiple_of(2) {
        exchange.await
    } else {
        let Ok(answer) = tokio::time::timeout(patience, exchange).await else {
            return;
        };
        answer
    };
    // Not even over HTTP/2, where a server ends a connection on which it sees too many streams reset.
    assert_eq!(answer.unwrap(), (tag.clone(), tag), "{way:?}");
}

/// Sends a tagged request with a time-out of its own, which is over in its midst as often as not. Says whether it was
/// answered, in time and rightly.
async fn tagged_in_time(client: &Client, url: &str, number: u32, way: Way) -> bool {
    let tag = format!("tag-{number}");
    let time = Duration::from_micros(300 + u64::from(number.wrapping_mul(2_654_435_761) % 20_000));
    let request = client.post(url).header("x-tag", &tag).body(tag.clone()).timeout(time);
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => {
            assert!(error.is_timeout(), "{way:?}: {error}");
            return false;
        }
    };
    assert_eq!(response.headers()["x-tag"], *tag, "{way:?}");
    match response.text().await {
        Ok(text) => assert_eq!(text, tag, "{way:?}"),
        Err(error) => {
            assert!(error.is_timeout(), "{way:?}: {error:?}");
            return false;
        }
    }
    true
}

/// How many requests are sent in each way: `TAGGED_REQUESTS`, else a number that a debug build is through with soon.
fn requests() -> u32 {
    std::env::var("TAGGED_REQUESTS").map_or(3000, |number| number.parse().expect("TAGGED_REQUESTS is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_bears_its_request_s_tag_however_many_are_dropped() {
    let _alone = ALONE.lock().await;
    let ca = TrustedCa::new();
    // Idle for a moment is enough to sleep: nearly every request wakes a connection, or one that is about to sleep.
    let drowsy = Duration::from_micros(1);
    let ways = Way::ALL.map(|way| (way, None)).into_iter();
    for (way, hibernate_after) in ways.chain([(Way::H1, Some(drowsy)), (Way::H1Tls, Some(drowsy))]) {
        let server = way.start(Server::builder().handler(handlers::tagged), &ca).await;
        let config = match hibernate_after {
            Some(after) => ca.config().hibernate_after(after),
            None => ca.config(),
        };
        let client = Client::new(config).unwrap();
        let url = url(&server, "/");
        let mut running = tokio::task::JoinSet::new();
        for number in 0..requests() {
            if running.len() == 32 {
                running.join_next().await.unwrap().unwrap();
            }
            let (client, url) = (client.clone(), url.clone());
            running.spawn(async move { tagged(&client, &url, number, way).await });
        }
        running.join_all().await;
        assert_all_gone(&client).await;
        server.until_open(0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_bears_its_request_s_tag_however_many_run_out_of_their_own_time() {
    let _alone = ALONE.lock().await;
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder().handler(handlers::tagged), &ca).await;
        let client = ca.client();
        let url = url(&server, "/");
        let (mut answered, mut timed_out) = (0, 0);
        let mut count = |in_time: bool| *(if in_time { &mut answered } else { &mut timed_out }) += 1;
        let mut running = tokio::task::JoinSet::new();
        for number in 0..requests() {
            if running.len() == 32 {
                count(running.join_next().await.unwrap().unwrap());
            }
            let (client, url) = (client.clone(), url.clone());
            running.spawn(async move { tagged_in_time(&client, &url, number, way).await });
        }
        running.join_all().await.into_iter().for_each(&mut count);
        assert!(answered > 0 && timed_out > 0, "{way:?}: {answered}, {timed_out}");
        assert_all_gone(&client).await;
        server.until_open(0).await;
    }
}
