//! No answer ever reaches another request.

use std::time::Duration;

use httputil::Client;
use httputil_tests::server::{Server, handlers};

use crate::common::{TrustedCa, Way, assert_accounted, until};

/// Sends a tagged request. It may be dropped or timed out, but an answer bears the request's tag.
async fn tagged(client: &Client, url: &str, number: u32) {
    let tag = format!("tag-{number}");
    // A cheap, repeatable scatter of time-outs: about half of the requests end early, at different points.
    let patience = Duration::from_micros(u64::from(number.wrapping_mul(2_654_435_761) % 1500));
    let request = client.post(url).header("x-tag", &tag).body(tag.clone());
    let exchange = async {
        let response = request.send().await.map_err(|error| format!("{error:?}"))?;
        let header = response.headers()["x-tag"].to_str().unwrap().to_owned();
        Ok::<_, String>((header, response.text().await.map_err(|error| error.to_string())?))
    };
    if number.is_multiple_of(2) {
        let answer = exchange.await.expect("nobody ended this one early");
        assert_eq!(answer, (tag.clone(), tag));
    } else if let Ok(Ok(answer)) = tokio::time::timeout(patience, exchange).await {
        assert_eq!(answer, (tag.clone(), tag));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_bears_its_request_s_tag_however_many_are_dropped() {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder().handler(handlers::tagged), &ca).await;
        let client = ca.client();
        let url = way.url(&server, "/");
        let mut running = tokio::task::JoinSet::new();
        for number in 0..3000 {
            if running.len() == 32 {
                running.join_next().await.unwrap().unwrap();
            }
            let (client, url) = (client.clone(), url.clone());
            running.spawn(async move { tagged(&client, &url, number).await });
        }
        running.join_all().await;
        client.stop();
        server.until_open(0).await;
        until(&client, "all to be closed", |stats| stats.open == 0 && stats.dials_in_progress == 0).await;
        assert_accounted(&client.stats());
    }
}
