//! Cross-region replication.

use bytes::Bytes;
use httputil::{PooledClient as _, Registry};
use httputil_tests::gate::Gate;
use httputil_tests::tcp::ClosedPort;
use httputil_tests::{PATIENCE, within};
use reqwest::{Method, StatusCode};
use services::peers::{Content, S3Peer};
use services::replication::{Change, LaneStats, Replication};

use crate::support::registry;

/// A region's table: a store's bucket `there`.
fn region(name: &str, at: &S3Peer, more: &str) -> String {
    region_at(name, at, at.location("there").endpoint.as_str(), more)
}

fn region_at(name: &str, at: &S3Peer, endpoint: &str, more: &str) -> String {
    let at = at.location("there");
    format!(
        "{{ name = \"{name}\", at = {{ endpoint = \"{endpoint}\", region = \"{}\", bucket = \"there\", access_key = \"{}\", \
         secret_key = \"{}\" }}{more} }}",
        at.region,
        at.access_key,
        at.secret_key.expose()
    )
}

fn replicating<'a>(from: &S3Peer, regions: &[String], more: impl IntoIterator<Item = (&'a str, &'a str)>) -> Registry {
    let mut values = from.settings("replication.settings.from", "here");
    values.push((
        "replication.settings.regions".to_owned(),
        format!("[{}]", regions.join(", ")),
    ));
    values.push(("replication.retry.backoff.base".to_owned(), "1ms".to_owned()));
    values.push(("replication.settings.longest_pause".to_owned(), "20ms".to_owned()));
    values.extend(more.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
    registry(values.iter().map(|(key, value)| (key.as_str(), value.clone())))
}

fn put(key: &str) -> Change {
    Change::Put(key.to_owned())
}

fn bytes(length: usize) -> Content {
    Content::Bytes(Bytes::from(
        (0..length).map(|at| (at % 251).to_le_bytes()[0]).collect::<Vec<u8>>(),
    ))
}

fn told(stats: &LaneStats) -> (u64, u64, u64, u64) {
    (stats.replicated, stats.failed, stats.refused, stats.waiting)
}

#[tokio::test]
async fn an_object_reaches_every_region_signed_for_it_and_as_a_replica() {
    let from = S3Peer::start().await;
    let (ireland, oregon) = (S3Peer::start_in("eu-west-1").await, S3Peer::start_in("us-west-2").await);
    from.put(
        "here",
        "a b/../c",
        bytes(100_000),
        [("content-type", "image/jpeg"), ("x-amz-meta-camera", "old")],
    );
    from.put("here", "nothing", bytes(0), []);
    let regions = [
        region("ireland", &ireland, ", storage_class = \"STANDARD_IA\""),
        region("oregon", &oregon, ""),
    ];
    let registry = replicating(&from, &regions, []);
    let replication = Replication::with_registry(&registry).unwrap();
    for key in ["a b/../c", "nothing"] {
        assert!(replication.publish(&put(key)).is_empty());
    }
    let stats = replication.drain(PATIENCE).await;
    assert!(stats.iter().all(|(_, stats)| told(stats) == (2, 0, 0, 0)), "{stats:?}");
    for (peer, scope) in [
        (&ireland, "/eu-west-1/s3/aws4_request"),
        (&oregon, "/us-west-2/s3/aws4_request"),
    ] {
        let (content, headers) = peer.object("there", "a b/../c").unwrap();
        assert!(content == bytes(100_000));
        assert_eq!(headers["x-amz-meta-camera"], "old");
        assert_eq!(headers["content-type"], "image/jpeg");
        assert_eq!(peer.object("there", "nothing").unwrap().0.len(), 0);
        for asked in peer.asked() {
            assert_eq!((asked.method, asked.answer), (Method::PUT, 200));
            let header = |name: &str| asked.headers.get(name).and_then(|value| value.to_str().ok());
            let authorization = header("authorization").unwrap();
            assert!(authorization.contains(scope), "{authorization}");
            for name in ["x-amz-replication-status", "x-minio-source-replication-request"] {
                assert!(authorization.contains(name), "{name} is signed: {authorization}");
            }
            assert_eq!(header("x-amz-replication-status"), Some("REPLICA"));
            assert_eq!(header("x-minio-source-replication-request"), Some("true"));
            let class = scope.contains("eu-west").then_some("STANDARD_IA");
            assert_eq!(header("x-amz-storage-class"), class);
            let is_stream = asked.key != "nothing";
            assert_eq!(header("x-amz-content-sha256") == Some("UNSIGNED-PAYLOAD"), is_stream);
        }
    }
}

#[tokio::test]
async fn a_dead_region_and_one_that_hangs_hold_nobody_up() {
    let from = S3Peer::start().await;
    let (hanging, well) = (S3Peer::start().await, S3Peer::start().await);
    let dead = ClosedPort::new();
    let gate = Gate::new();
    hanging.hold(&gate);
    for number in 0..50 {
        from.put("here", &format!("{number}"), bytes(10_000), []);
    }
    let regions = [
        region_at("dead", &well, &format!("http://{}", dead.addr()), ""),
        region("hanging", &hanging, ", at_once = 2"),
        region("well", &well, ""),
    ];
    let registry = replicating(&from, &regions, []);
    let replication = Replication::with_registry(&registry).unwrap();
    for number in 0..50 {
        assert!(replication.publish(&put(&number.to_string())).is_empty());
    }
    gate.arrived(2).await;
    within(PATIENCE, async {
        while replication.stats()[2].1.waiting > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let stats = replication.stats();
    assert_eq!(told(&stats[0].1), (0, 0, 0, 50));
    assert_eq!(told(&stats[1].1), (0, 0, 0, 50));
    assert_eq!((told(&stats[2].1), stats[2].1.lag), ((50, 0, 0, 0), None));
    assert!(stats[0].1.lag > stats[2].1.lag, "how long the oldest waits is known");
    assert_eq!(well.keys("there").len(), 50);
    gate.open();
    let stats = replication.drain(std::time::Duration::from_secs(1)).await;
    assert_eq!(
        told(&stats[0].1),
        (0, 50, 0, 0),
        "what a dead region did not take is given up at the end"
    );
}

#[tokio::test]
async fn a_region_that_comes_back_gets_what_waited() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    for number in 0..10 {
        from.put("here", &format!("{number}"), bytes(1000 * number), []);
    }
    // More than all tries of one piece.
    to.answer_next([StatusCode::SERVICE_UNAVAILABLE; 30]);
    from.break_next([500, 500]);
    let registry = replicating(
        &from,
        &[region("there", &to, "")],
        [("replication.breaker.open_for", "50ms")],
    );
    let replication = Replication::with_registry(&registry).unwrap();
    for number in 0..10 {
        replication.publish(&put(&number.to_string()));
    }
    let stats = replication.drain(PATIENCE).await;
    assert_eq!(told(&stats[0].1), (10, 0, 0, 0));
    for number in 0..10 {
        assert!(to.object("there", &number.to_string()).unwrap().0 == bytes(1000 * number));
    }
}

#[tokio::test]
async fn a_large_object_goes_in_parts_and_a_refusal_for_good_costs_its_object_alone() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    from.put("here", "large", bytes(300_000), []);
    from.put("here", "small", bytes(3), []);
    to.answer_next([StatusCode::FORBIDDEN]);
    let registry = replicating(
        &from,
        &[region("there", &to, ", at_once = 1")],
        [("replication.settings.part_bytes", "100000")],
    );
    let replication = Replication::with_registry(&registry).unwrap();
    for key in ["small", "large"] {
        replication.publish(&put(key));
    }
    let stats = replication.drain(PATIENCE).await;
    assert_eq!(told(&stats[0].1), (1, 1, 0, 0));
    assert_eq!(to.keys("there"), ["large"]);
    assert!(to.object("there", "large").unwrap().0 == bytes(300_000));
    let begun = to.asked().into_iter().find(|asked| asked.query == "uploads=").unwrap();
    assert_eq!(begun.headers["x-amz-replication-status"], "REPLICA");
    assert_eq!(to.uploads(), 0);
}

#[tokio::test]
async fn what_changes_while_it_is_under_way_goes_once_more_and_never_backward() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    from.put("here", "a", bytes(1), []);
    let gate = Gate::new();
    to.hold(&gate);
    let registry = replicating(&from, &[region("there", &to, "")], []);
    let replication = Replication::with_registry(&registry).unwrap();
    replication.publish(&put("a"));
    gate.arrived(1).await;
    for length in 2..10 {
        from.put("here", "a", bytes(length), []);
        replication.publish(&put("a"));
    }
    // Something else of the same lane tells that the lane has read them.
    from.put("here", "b", bytes(1), []);
    replication.publish(&put("b"));
    gate.arrived(2).await;
    gate.open();
    let stats = replication.drain(PATIENCE).await;
    assert_eq!(told(&stats[0].1), (10, 0, 0, 0));
    assert!(to.object("there", "a").unwrap().0 == bytes(9));
    assert_eq!(to.server.requests(), 3, "eight changes went as one");
}

#[tokio::test]
async fn of_several_changes_behind_one_that_is_under_way_the_last_one_counts() {
    for is_removed_last in [true, false] {
        let (from, to) = (S3Peer::start().await, S3Peer::start().await);
        from.put("here", "a", bytes(1), []);
        from.put("here", "b", bytes(1), []);
        let gate = Gate::new();
        to.hold(&gate);
        let registry = replicating(&from, &[region("there", &to, "")], []);
        let replication = Replication::with_registry(&registry).unwrap();
        replication.publish(&put("a"));
        gate.arrived(1).await;
        let removed = Change::Removed("a".to_owned());
        let behind = if is_removed_last {
            [put("a"), removed]
        } else {
            [removed, put("a")]
        };
        for change in &behind {
            replication.publish(change);
        }
        if is_removed_last {
            from.remove("here", "a");
        }
        // Something else of the same lane tells that the lane has read them.
        replication.publish(&put("b"));
        gate.arrived(2).await;
        gate.open();
        let stats = replication.drain(PATIENCE).await;
        assert_eq!(told(&stats[0].1), (4, 0, 0, 0));
        assert_eq!(to.object("there", "a").is_none(), is_removed_last);
    }
}

#[tokio::test]
async fn one_change_of_a_key_is_under_way_at_a_time_however_many_have_been() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    for key in ["a", "b", "c"] {
        from.put("here", key, bytes(1), []);
    }
    let (first, second) = (Gate::new(), Gate::new());
    to.hold(&first);
    let registry = replicating(&from, &[region("there", &to, "")], []);
    let replication = Replication::with_registry(&registry).unwrap();
    for key in ["a", "a", "b"] {
        replication.publish(&put(key));
    }
    first.arrived(2).await;
    to.hold(&second);
    first.open();
    // The second change is under way, and the third one comes.
    second.arrived(1).await;
    for key in ["a", "c"] {
        replication.publish(&put(key));
    }
    second.arrived(2).await;
    second.open();
    let stats = replication.drain(PATIENCE).await;
    assert_eq!(told(&stats[0].1), (5, 0, 0, 0));
    let asked: Vec<String> = to.asked().into_iter().map(|asked| asked.key).collect();
    assert_eq!(asked.iter().filter(|key| *key == "a").count(), 3);
    assert_eq!(to.server.seen().max_in_flight, 2, "never two of one key");
}

#[tokio::test]
async fn an_object_that_changes_while_it_is_read_goes_once_more_as_it_is_then() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    // More than what is on its way between the two can hold, so that it is not read before the gate opens.
    from.put("here", "a", Content::Made(32 << 20), []);
    from.break_next([30 << 20]);
    let gate = Gate::new();
    to.hold(&gate);
    let registry = replicating(&from, &[region("there", &to, "")], []);
    let replication = Replication::with_registry(&registry).unwrap();
    replication.publish(&put("a"));
    gate.arrived(1).await;
    from.put("here", "a", bytes(7), []);
    gate.open();
    let stats = replication.drain(PATIENCE).await;
    assert_eq!(told(&stats[0].1), (1, 0, 0, 0));
    assert!(to.object("there", "a").unwrap().0 == bytes(7));
    let answers: Vec<u16> = from.asked().iter().map(|asked| asked.answer).collect();
    assert!(answers.contains(&412), "{answers:?}");
}

#[tokio::test]
async fn what_is_removed_here_is_removed_there_and_what_went_meanwhile_is_no_failure() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    to.put("there", "a", bytes(1), []);
    let registry = replicating(&from, &[region("there", &to, "")], []);
    let replication = Replication::with_registry(&registry).unwrap();
    replication.publish(&put("gone before it was read"));
    replication.publish(&Change::Removed("a".to_owned()));
    let stats = replication.drain(PATIENCE).await;
    assert_eq!(told(&stats[0].1), (2, 0, 0, 0));
    assert!(to.keys("there").is_empty());
    let asked = to.asked();
    assert_eq!((asked.len(), &asked[0].method), (1, &Method::DELETE));
    assert_eq!(asked[0].headers["x-amz-replication-status"], "REPLICA");
}

#[tokio::test]
async fn a_full_queue_refuses_by_name_and_after_the_drain_nothing_is_taken_and_no_connection_is_open() {
    let from = S3Peer::start().await;
    let (slow, well) = (S3Peer::start().await, S3Peer::start().await);
    let gate = Gate::new();
    slow.hold(&gate);
    let regions = [region("slow", &slow, ", at_once = 1"), region("well", &well, "")];
    let registry = replicating(&from, &regions, [("replication.settings.queue", "2")]);
    let replication = Replication::with_registry(&registry).unwrap();
    let mut published = 0;
    let refused = loop {
        published += 1;
        from.put("here", &published.to_string(), bytes(10), []);
        let refused = replication.publish(&put(&published.to_string()));
        well.server.until_requests(published).await;
        if !refused.is_empty() {
            break refused;
        }
    };
    assert_eq!(refused, ["slow"]);
    // One on its way, one that waits for it in the lane's hands, two in the queue.
    assert!(published <= 5, "{published}");
    gate.open();
    let stats = replication.drain(PATIENCE).await;
    assert_eq!(told(&stats[0].1), (published as u64 - 1, 0, 1, 0));
    assert_eq!(told(&stats[1].1), (published as u64, 0, 0, 0));
    for peer in [&from, &slow, &well] {
        peer.server.until_open(0).await;
    }
    assert_eq!(replication.publish(&put("late")), ["slow", "well"]);
    assert!(replication.client().is_stopped());
}

#[tokio::test]
async fn an_object_that_has_gone_is_no_failure_and_a_bucket_that_is_not_there_is_one() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    for (bucket, wanted) in [("here", (1, 0, 0, 0)), ("nowhere", (0, 1, 0, 0))] {
        let regions = [region("there", &to, "")];
        let registry = replicating(&from, &regions, [("replication.settings.from.bucket", bucket)]);
        let replication = Replication::with_registry(&registry).unwrap();
        replication.publish(&put("gone"));
        let stats = replication.drain(PATIENCE).await;
        assert_eq!(told(&stats[0].1), wanted, "{bucket}");
    }
    assert!(to.keys("there").is_empty());
}
