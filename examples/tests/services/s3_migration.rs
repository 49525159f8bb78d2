//! S3 migration.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use httputil::{PooledClient as _, Registry};
use httputil_tests::distance::Distance;
use httputil_tests::gate::Gate;
use httputil_tests::{PATIENCE, within};
use reqwest::header::{IF_MATCH, RANGE};
use reqwest::{Method, StatusCode};
use services::peers::{Content, S3Peer};
use services::s3::S3Error;
use services::s3_migration::{BucketMigration, MigrationError, Report};

use crate::support::registry;

/// A registry for copying `old` of one store into `new` of another.
fn copying<'a>(from: &S3Peer, to: &S3Peer, more: impl IntoIterator<Item = (&'a str, &'a str)>) -> Registry {
    let mut values = from.settings("s3_migration.settings.from", "old");
    values.extend(to.settings("s3_migration.settings.to", "new"));
    values.push(("s3_migration.retry.backoff.base".to_owned(), "1ms".to_owned()));
    values.extend(more.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
    registry(values.iter().map(|(key, value)| (key.as_str(), value.clone())))
}

async fn run(registry: &Registry) -> Report {
    let migration = BucketMigration::with_registry(registry).unwrap();
    let report = within(PATIENCE, migration.run("")).await.unwrap();
    migration.shutdown(PATIENCE).await;
    report
}

fn bytes(text: &str) -> Content {
    Content::Bytes(Bytes::copy_from_slice(text.as_bytes()))
}

/// So many bytes that are there.
fn made(length: u64) -> Content {
    Content::Bytes((0..length).map(|at| (at / 7).to_le_bytes()[0]).collect())
}

fn assert_same(from: &S3Peer, to: &S3Peer) {
    assert_eq!(from.keys("old"), to.keys("new"));
    for key in from.keys("old") {
        let (one, other) = (from.object("old", &key).unwrap().0, to.object("new", &key).unwrap().0);
        assert!(one == other, "{key:?} is another");
    }
}

#[tokio::test]
async fn every_key_comes_over_under_its_own_name() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    let keys = [
        "x",
        "x/y",
        "a//b",
        "/a",
        "dir/",
        ".",
        "..",
        "./a",
        "a/../b",
        "a/./b",
        "a b+c%20d",
        "ü/é",
        "a&b?c#d=e;f",
        "\u{1}\n\t",
        "'\"<>\\^`{|}",
        "100%",
        "a/b/c/",
        "~-_.!*'()",
    ];
    for key in keys {
        from.put(
            "old",
            key,
            bytes(key),
            [("content-type", "text/plain"), ("x-amz-meta-from", "there")],
        );
    }
    from.put("old", "nothing", bytes(""), []);
    from.list_by(3);
    let report = run(&copying(&from, &to, [])).await;
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_eq!((report.copied, report.skipped), (19, 0));
    assert_same(&from, &to);
    let (_, headers) = to.object("new", "a/../b").unwrap();
    assert_eq!(headers["content-type"], "text/plain");
    assert_eq!(headers["x-amz-meta-from"], "there");
    let asked = from.asked();
    assert_eq!(
        asked.iter().filter(|asked| asked.key.is_empty()).count(),
        7,
        "pages of three"
    );
}

#[tokio::test]
async fn a_transfer_that_breaks_goes_on_where_it_broke() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    from.put("old", "a", made(300_000), []);
    from.break_next([100_000, 50_000]);
    let report = run(&copying(&from, &to, [])).await;
    assert_eq!((report.copied, report.failed.len()), (1, 0), "{:?}", report.failed);
    assert_same(&from, &to);
    let gets: Vec<_> = from.asked().into_iter().filter(|asked| asked.key == "a").collect();
    let ranges: Vec<_> = gets.iter().filter_map(|asked| asked.headers.get(RANGE)).collect();
    assert_eq!(ranges, ["bytes=100000-299999", "bytes=150000-299999"]);
    assert!(gets.iter().all(|asked| asked.headers.contains_key(IF_MATCH)));
    assert_eq!(to.server.requests(), 1, "the other store noticed nothing");
}

#[tokio::test]
async fn a_busy_store_is_asked_again_and_a_stream_read_again_for_it() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    // More than a connection's buffer holds: what comes as one piece is no stream.
    from.put("old", "a", made(1_000_000), []);
    from.answer_next([StatusCode::SERVICE_UNAVAILABLE, StatusCode::INTERNAL_SERVER_ERROR]);
    to.answer_next([StatusCode::SERVICE_UNAVAILABLE, StatusCode::INTERNAL_SERVER_ERROR]);
    let report = run(&copying(&from, &to, [])).await;
    assert_eq!((report.copied, report.failed.len()), (1, 0), "{:?}", report.failed);
    assert_same(&from, &to);
    let puts = to.asked();
    assert_eq!(
        puts.iter().map(|asked| asked.answer).collect::<Vec<_>>(),
        [503, 500, 200]
    );
    let signed: Vec<_> = puts
        .iter()
        .map(|asked| asked.headers["x-amz-content-sha256"].clone())
        .collect();
    assert_eq!(signed, ["UNSIGNED-PAYLOAD"; 3]);
    assert_eq!(from.asked().iter().filter(|asked| asked.key == "a").count(), 3);
}

#[tokio::test]
async fn what_is_damaged_on_the_way_never_becomes_an_object() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    from.put("old", "by its tag", made(200_000), []);
    let wrong = [("x-amz-checksum-crc32c", "AAAAAA==")];
    from.put("old", "by its checksum", made(10), wrong);
    from.put("old", "in parts", made(70_000), wrong);
    from.damage(true);
    let settings = [
        ("s3_migration.settings.part_bytes", "65536"),
        ("s3_migration.settings.tries", "2"),
    ];
    let report = run(&copying(&from, &to, settings)).await;
    assert_eq!((report.copied, report.failed.len()), (0, 3));
    assert!(
        report
            .failed
            .iter()
            .all(|(_, error)| matches!(error, S3Error::Damaged(_))),
        "{:?}",
        report.failed
    );
    assert!(to.keys("new").is_empty());

    from.damage(false);
    let report = run(&copying(&from, &to, settings)).await;
    assert_eq!((report.copied, report.failed.len()), (1, 2));
    assert_eq!(to.keys("new"), ["by its tag"]);
}

#[tokio::test]
async fn a_large_object_goes_in_parts_of_which_each_is_tried_again_alone() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    let content = made(1_000_000);
    let digest = content.checksum();
    from.put(
        "old",
        "large",
        content,
        [
            ("x-amz-checksum-sha256", digest.as_str()),
            ("content-type", "film/long"),
        ],
    );
    from.break_next([10_000]);
    // Of the store that is written: the begin, the first part, and the completion once more inside of a 200.
    to.answer_next([StatusCode::SERVICE_UNAVAILABLE; 2]);
    to.fail_late();
    let report = run(&copying(&from, &to, [("s3_migration.settings.part_bytes", "262144")])).await;
    assert_eq!((report.copied, report.failed.len()), (1, 0), "{:?}", report.failed);
    assert_same(&from, &to);
    assert_eq!(to.object("new", "large").unwrap().1["content-type"], "film/long");
    assert_eq!(to.uploads(), 0);
    let told: Vec<_> = to
        .asked()
        .iter()
        .map(|asked| (asked.method.clone(), asked.answer))
        .collect();
    let (put, post) = (Method::PUT, Method::POST);
    let wanted = [
        (&post, 503),
        (&post, 503),
        (&post, 200),
        (&put, 200),
        (&put, 200),
        (&put, 200),
        (&put, 200),
        (&post, 200),
        (&post, 200),
    ];
    assert_eq!(told, wanted.map(|(method, answer)| (method.clone(), answer)));
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_no_part_behind() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    from.put("old", "large", made(100_000), []);
    from.put("old", "small", made(10), []);
    let registry = copying(
        &from,
        &to,
        [
            ("s3_migration.settings.part_bytes", "65536"),
            ("s3_migration.settings.tries", "1"),
        ],
    );
    let migration = BucketMigration::with_registry(&registry).unwrap();
    from.break_next([1000; 8]);
    let report = within(PATIENCE, migration.run("large")).await.unwrap();
    assert_eq!((report.copied, report.failed.len()), (0, 1));
    within(PATIENCE, async {
        while to.asked().iter().all(|asked| asked.method != Method::DELETE) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(to.uploads(), 0);
    assert!(to.keys("new").is_empty());
}

#[tokio::test]
async fn a_migration_that_was_killed_goes_on_where_it_was() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    for number in 0..20 {
        from.put("old", &format!("{number:02}"), made(number * 100), []);
    }
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("manifest.jsonl");
    let settings = [
        ("s3_migration.settings.manifest", manifest.to_str().unwrap()),
        ("s3_migration.settings.at_once", "1"),
    ];
    {
        let registry = copying(&from, &to, settings);
        let migration = BucketMigration::with_registry(&registry).unwrap();
        let mut running = std::pin::pin!(migration.run(""));
        while migration.progress().done < 7 {
            let step = tokio::time::timeout(Duration::from_millis(1), &mut running).await;
            assert!(step.is_err(), "it is not over");
        }
        // Here it is dropped.
    }
    let done = lines(&manifest) - 1;
    assert!((7..20).contains(&done), "{done}");
    from.put("old", "00", bytes("another one by now"), []);
    let report = run(&copying(&from, &to, settings)).await;
    assert_eq!((report.copied, report.skipped), (20 - done as u64 + 1, done as u64 - 1));
    assert_same(&from, &to);
    let report = run(&copying(&from, &to, settings)).await;
    assert_eq!((report.copied, report.skipped), (0, 20));
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap().lines().count()
}

#[tokio::test]
async fn one_that_winds_down_ends_what_is_under_way_and_leaves_the_rest_to_another_run() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    for number in 0..10 {
        from.put("old", &format!("{number}"), made(300_000), []);
    }
    let (gate, folder) = (Gate::new(), tempfile::tempdir().unwrap());
    to.hold(&gate);
    let manifest = folder.path().join("manifest").display().to_string();
    let registry = copying(
        &from,
        &to,
        [
            ("s3_migration.settings.at_once", "2"),
            ("s3_migration.settings.part_bytes", "100000"),
            ("s3_migration.settings.manifest", manifest.as_str()),
        ],
    );
    let migration = BucketMigration::with_registry(&registry).unwrap();
    let stopping = async {
        gate.arrived(2).await;
        migration.wind_down();
        gate.open();
    };
    let (report, ()) = within(PATIENCE, async { tokio::join!(migration.run(""), stopping) }).await;
    let report = report.unwrap();
    assert_eq!((report.copied, report.failed.len(), to.keys("new").len()), (2, 0, 2));
    assert_eq!(to.uploads(), 0, "no part is left");
    drop(migration);
    let report = run(&registry).await;
    assert_eq!((report.copied, report.skipped), (8, 2));
    assert_same(&from, &to);
}

#[tokio::test]
async fn an_object_that_changes_or_goes_meanwhile_is_told_of_and_costs_no_other() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    for key in ["changes", "goes", "stays"] {
        from.put("old", key, made(1000), []);
    }
    let gate = Gate::new();
    let registry = copying(&from, &to, []);
    let migration = BucketMigration::with_registry(&registry).unwrap();
    from.hold(&gate);
    let running = tokio::spawn(async move {
        let report = migration.run("").await.unwrap();
        migration.shutdown(PATIENCE).await;
        report
    });
    gate.arrived(1).await;
    gate.let_through(1);
    gate.arrived(4).await;
    from.put("old", "changes", made(1001), []);
    from.remove("old", "goes");
    gate.open();
    let report = within(PATIENCE, running).await.unwrap();
    assert_eq!(report.copied, 1);
    let mut failed: Vec<_> = report
        .failed
        .iter()
        .map(|(key, error)| (key.as_str(), error.to_string()))
        .collect();
    failed.sort();
    assert_eq!(
        failed,
        [
            (
                "changes",
                "the store answered 412 Precondition Failed: PreconditionFailed: it says PreconditionFailed".to_owned()
            ),
            (
                "goes",
                "the store answered 404 Not Found: NoSuchKey: it says NoSuchKey".to_owned()
            ),
        ]
    );
    assert!(report.failed.iter().all(|(_, error)| error.is_gone()));
}

#[tokio::test]
async fn a_signature_for_another_region_or_by_another_key_is_refused_by_name() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    from.put("old", "a", made(10), []);
    for (key, value, code) in [
        (
            "s3_migration.settings.from.region",
            "us-east-1",
            "AuthorizationHeaderMalformed",
        ),
        (
            "s3_migration.settings.from.secret_key",
            "canary",
            "SignatureDoesNotMatch",
        ),
    ] {
        let registry = copying(&from, &to, [(key, value)]);
        let migration = BucketMigration::with_registry(&registry).unwrap();
        let error = migration.run("").await.unwrap_err();
        assert!(matches!(error, MigrationError::List(S3Error::Status { .. })));
        assert_eq!(
            error.to_string(),
            format!("the bucket cannot be listed: the store answered 403 Forbidden: {code}: it says {code}")
        );
        assert!(!format!("{error:?}").contains("canary"));
    }
    assert_eq!(from.asked().len(), 2, "a refusal is not tried again");
}

#[tokio::test]
async fn both_buckets_in_one_store_and_many_objects_at_once_stay_within_the_cap() {
    let store = S3Peer::start().await;
    for number in 0..200 {
        store.put("old", &format!("{number}"), made(20_000), []);
    }
    let registry = copying(
        &store,
        &store,
        [
            ("s3_migration.settings.at_once", "8"),
            ("s3_migration.pool.max_connections_per_host", "16"),
        ],
    );
    let migration = BucketMigration::with_registry(&registry).unwrap();
    let report = within(PATIENCE, migration.run("")).await.unwrap();
    assert_eq!((report.copied, report.failed.len()), (200, 0), "{:?}", report.failed);
    assert!(store.server.accepted() <= 16, "{}", store.server.accepted());
    assert_same(&store, &store);
    migration.shutdown(PATIENCE).await;
    store.server.until_open(0).await;
}

#[tokio::test]
async fn many_objects_over_a_distance_need_no_more_connections_than_the_cap() {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    for number in 0..300 {
        from.put("old", &format!("photos/{number}"), Content::Made(64 << 10), []);
    }
    let way = Duration::from_millis(20);
    let (there, here) = (
        Distance::to(from.server.addr(), way).await,
        Distance::to(to.server.addr(), way).await,
    );
    let endpoints = [&there, &here].map(|distance| format!("http://{}", distance.addr()));
    let registry = copying(
        &from,
        &to,
        [
            ("s3_migration.settings.from.endpoint", endpoints[0].as_str()),
            ("s3_migration.settings.to.endpoint", endpoints[1].as_str()),
        ],
    );
    let migration = BucketMigration::with_registry(&registry).unwrap();
    let report = within(3 * PATIENCE, migration.run("")).await.unwrap();
    assert_eq!(
        (report.copied, report.bytes, report.failed.len()),
        (300, (300 * 64) << 10, 0),
        "{:?}",
        report.failed
    );
    assert!(
        there.accepted() <= 64 && here.accepted() <= 64,
        "{} and {}",
        there.accepted(),
        here.accepted()
    );
    // One page, and each object read once and written once.
    assert_eq!((from.server.requests(), to.server.requests()), (301, 300));
}
