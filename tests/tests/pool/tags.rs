//! No answer ever reaches another request.

use std::time::Duration;

use httputil::{Client, Error};
use httputil_tests::server::{Server, handlers};

use crate::common::{TrustedCa, Way, assert_accounted, until, url};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_bears_its_request_s_tag_however_many_are_dropped() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder().handler(handlers::tagged), &ca).await;
        let client = ca.client();
        let url = url(&server, "/");
        let mut running = tokio::task::JoinSet::new();
        for number in 0..3000 {
            if running.len() == 32 {
                running.join_next().await.unwrap().unwrap();
            }
            let (client, url) = (client.clone(), url.clone());
            running.spawn(async move { tagged(&client, &url, number, way).await });
        }
        running.join_all().await;
        client.stop();
        server.until_open(0).await;
        until(&client, "all to be closed", |stats| {
            stats.open == 0 && stats.dials_in_progress == 0
        })
        .await;
        assert_accounted(&client.stats());
    }
}
