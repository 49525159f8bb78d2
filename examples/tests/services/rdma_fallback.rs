//! Object access by RDMA, and over HTTP where that fails.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use httputil::PooledClient as _;
use httputil_tests::{PATIENCE, within};
use reqwest::{Method, StatusCode};
use services::peers::{Content, Fabric, Fault, S3Peer};
use services::rdma_fallback::{AccessError, ObjectAccess, Rdma, Side};
use services::s3::S3Error;

use crate::support::registry;

struct Scene {
    peer: Arc<S3Peer>,
    fabric: Fabric,
    objects: ObjectAccess,
}

impl Scene {
    async fn new<'a>(more: impl IntoIterator<Item = (&'a str, &'a str)>) -> Scene {
        let peer = Arc::new(S3Peer::start().await);
        let fabric = Fabric::to(&peer, "photos");
        let objects = access(&peer, Rdma::Present(Arc::new(fabric.clone())), more);
        Scene { peer, fabric, objects }
    }

    /// How the store was asked over HTTP.
    fn over_http(&self) -> Vec<(Method, u16)> {
        let asked = self.peer.asked();
        asked.into_iter().map(|asked| (asked.method, asked.answer)).collect()
    }

    fn content(&self, key: &str) -> Option<Content> {
        self.peer.object("photos", key).map(|(content, _)| content)
    }
}

fn access<'a>(peer: &S3Peer, rdma: Rdma, more: impl IntoIterator<Item = (&'a str, &'a str)>) -> ObjectAccess {
    let mut values = peer.settings("rdma_fallback.settings.store", "photos");
    values.push(("rdma_fallback.retry.backoff.base".to_owned(), "1ms".to_owned()));
    values.extend(
        more.into_iter()
            .map(|(key, value)| (format!("rdma_fallback.{key}"), value.to_owned())),
    );
    let registry = registry(values.iter().map(|(key, value)| (key.as_str(), value.clone())));
    ObjectAccess::with_registry(&registry, rdma).unwrap()
}

fn bytes(length: usize) -> Bytes {
    (0..length).map(|at| (at % 251).to_le_bytes()[0]).collect()
}

#[tokio::test]
async fn without_rdma_all_goes_over_http_and_the_reason_is_told() {
    let peer = S3Peer::start().await;
    let objects = access(&peer, Rdma::Absent("the kernel has no RDMA".to_owned()), []);
    let body = bytes(300_000);
    objects.put("a b/../c", body.clone()).await.unwrap();
    assert_eq!(objects.head("a b/../c").await.unwrap().size, 300_000);
    assert_eq!(objects.get("a b/../c").await.unwrap().bytes().await.unwrap(), body);
    objects.put_new("nothing", Bytes::new()).await.unwrap();
    assert_eq!(
        objects.get("nothing").await.unwrap().bytes().await.unwrap(),
        Bytes::new()
    );
    let listed = objects.list("", None).await.unwrap();
    let keys: Vec<&str> = listed.objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["a b/../c", "nothing"]);
    objects.delete("a b/../c").await.unwrap();
    objects.delete("a b/../c").await.unwrap();
    assert_eq!(peer.keys("photos"), ["nothing"]);

    let stats = objects.stats();
    assert_eq!(
        (stats.side, stats.why_http.as_deref()),
        (Side::Http, Some("the kernel has no RDMA"))
    );
    assert_eq!((stats.rdma.asked, stats.http.asked, stats.failed_over), (0, 8, 0));
    assert_eq!((stats.http.read_bytes, stats.http.written_bytes), (300_000, 300_000));
    assert_eq!(peer.server.accepted(), 1);
    objects.shutdown(PATIENCE).await;
    peer.server.until_open(0).await;
}

#[tokio::test]
async fn while_rdma_works_http_is_not_asked_at_all() {
    let scene = Scene::new([]).await;
    let body = bytes(300_000);
    scene.objects.put("a", body.clone()).await.unwrap();
    let mut object = scene.objects.get("a").await.unwrap();
    assert_eq!((object.meta().size, object.side()), (300_000, Side::Rdma));
    let first = object.next().await.unwrap().unwrap();
    assert!(first.len() < 300_000, "it comes in pieces");
    drop(object);
    assert_eq!(scene.objects.list("", None).await.unwrap().objects[0].key, "a");
    scene.objects.delete("a").await.unwrap();
    let stats = scene.objects.stats();
    assert_eq!((stats.side, stats.why_http), (Side::Rdma, None));
    assert_eq!((stats.rdma.asked, stats.rdma.failed, stats.http.asked), (4, 0, 0));
    assert_eq!(scene.peer.server.accepted(), 0);
}

#[tokio::test]
async fn what_rdma_refuses_or_leaves_unanswered_is_done_over_http() {
    let scene = Scene::new([("settings.fail_after", "100"), ("settings.patience", "50ms")]).await;
    let body = bytes(1000);
    for fault in [Fault::Refused, Fault::Hangs, Fault::AnswerLost] {
        scene.fabric.fail_next([fault; 5]);
        scene.objects.put("a", body.clone()).await.unwrap();
        assert_eq!(scene.objects.head("a").await.unwrap().size, 1000, "{fault:?}");
        let read = scene.objects.get("a").await.unwrap();
        assert_eq!((read.side(), read.bytes().await.unwrap()), (Side::Http, body.clone()));
        assert_eq!(scene.objects.list("", None).await.unwrap().objects.len(), 1);
        scene.objects.delete("a").await.unwrap();
        assert!(scene.peer.keys("photos").is_empty(), "{fault:?}");
    }
    let methods = [Method::PUT, Method::HEAD, Method::GET, Method::GET, Method::DELETE];
    let asked: Vec<Method> = scene.over_http().into_iter().map(|(method, _)| method).collect();
    assert_eq!(asked, [methods.clone(), methods.clone(), methods].concat());
    let stats = scene.objects.stats();
    assert_eq!((stats.rdma.failed, stats.http.asked, stats.failed_over), (15, 15, 15));
}

#[tokio::test]
async fn an_object_that_breaks_off_or_stands_still_is_gone_on_with_from_that_byte() {
    let scene = Scene::new([("settings.patience", "50ms"), ("settings.fail_after", "100")]).await;
    let body = bytes(1_000_000);
    scene.peer.put("photos", "a", Content::Bytes(body.clone()), []);
    for (fault, by_rdma) in [
        (Fault::BreaksAfter(300_001), 300_001),
        (Fault::HangsAfter(700_000), 700_000),
        (Fault::BreaksAfter(0), 0),
    ] {
        let before = scene.objects.stats();
        scene.fabric.fail_next([fault]);
        let mut object = scene.objects.get("a").await.unwrap();
        assert_eq!(object.side(), Side::Rdma);
        let mut read = Vec::new();
        while let Some(piece) = object.next().await.unwrap() {
            read.extend_from_slice(&piece);
        }
        assert_eq!(object.side(), Side::Http);
        assert!(read == body, "{fault:?}");
        let after = scene.objects.stats();
        assert_eq!(after.rdma.read_bytes - before.rdma.read_bytes, by_rdma, "{fault:?}");
        assert_eq!(after.http.read_bytes - before.http.read_bytes, 1_000_000 - by_rdma);
        assert_eq!(after.resumed - before.resumed, 1);
        let asked = scene.peer.asked().pop().unwrap();
        assert_eq!(asked.headers["range"], format!("bytes={by_rdma}-999999"));
        assert!(asked.headers.contains_key("if-match"));
    }
}

#[tokio::test]
async fn a_side_that_begins_each_object_and_ends_none_is_left() {
    let scene = Scene::new([("settings.fail_after", "3"), ("settings.stay", "1h")]).await;
    let body = bytes(100_000);
    scene.peer.put("photos", "a", Content::Bytes(body.clone()), []);
    let read = async || scene.objects.get("a").await.unwrap().bytes().await.unwrap();
    for _ in 0..4 {
        // One that came to its end between them makes it well again.
        scene
            .fabric
            .fail_next([Fault::BreaksAfter(50_000), Fault::BreaksAfter(50_000)]);
        for _ in 0..3 {
            assert!(read().await == body);
        }
    }
    assert_eq!(scene.objects.stats().side, Side::Rdma);
    scene.fabric.fail_next([Fault::BreaksAfter(50_000); 3]);
    for _ in 0..4 {
        assert!(read().await == body);
    }
    let stats = scene.objects.stats();
    assert_eq!((stats.side, stats.left), (Side::Http, 1));
}

#[tokio::test]
async fn http_breaks_in_its_turn_and_is_gone_on_with_as_often_as_it_may() {
    let scene = Scene::new([]).await;
    let body = bytes(1_000_000);
    scene.peer.put("photos", "a", Content::Bytes(body.clone()), []);
    scene.fabric.fail_next([Fault::BreaksAfter(100_000)]);
    scene.peer.break_next([200_000, 300_000]);
    let read = scene.objects.get("a").await.unwrap().bytes().await.unwrap();
    assert!(read == body);
    assert_eq!(scene.objects.stats().resumed, 3);

    scene.fabric.fail_next([Fault::BreaksAfter(100_000)]);
    scene.peer.break_next([10, 10, 10]);
    let error = scene.objects.get("a").await.unwrap().bytes().await.unwrap_err();
    assert!(matches!(error, AccessError::Failed(_)), "{error}");
}

#[tokio::test]
async fn an_object_that_changes_while_a_side_breaks_is_never_put_together_of_two() {
    let scene = Scene::new([]).await;
    scene.peer.put("photos", "a", Content::Bytes(bytes(500_000)), []);
    for change in [Some(bytes(400_000)), None] {
        scene.fabric.fail_next([Fault::BreaksAfter(200_000)]);
        let mut object = scene.objects.get("a").await.unwrap();
        object.next().await.unwrap().unwrap();
        match change {
            Some(new) => scene.peer.put("photos", "a", Content::Bytes(new), []),
            None => scene.peer.remove("photos", "a"),
        }
        let error = object.bytes().await.unwrap_err();
        assert!(matches!(error, AccessError::Changed), "{error:?}");
    }
}

#[tokio::test]
async fn what_the_store_answers_is_an_answer_by_either_side_and_no_failure() {
    let scene = Scene::new([("settings.fail_after", "1")]).await;
    for fault in [None, Some(Fault::Refused)] {
        scene.fabric.fail_next(fault);
        let error = scene.objects.head("no such").await.unwrap_err();
        let AccessError::Store(S3Error::Status { status, .. }) = error else {
            panic!("{error:?}");
        };
        assert_eq!(status, StatusCode::NOT_FOUND);
        let is_http = fault.is_some();
        assert_eq!(scene.objects.stats().side == Side::Http, is_http);
        assert_eq!(scene.over_http().len(), usize::from(is_http));
    }
}

#[tokio::test]
async fn a_write_that_must_not_overwrite_knows_its_own_work_and_nobody_else_s() {
    let scene = Scene::new([("settings.fail_after", "100")]).await;
    // Done by RDMA, whose answer is lost; HTTP finds an object, and it is ours.
    scene.fabric.fail_next([Fault::AnswerLost]);
    scene.objects.put_new("a", bytes(1000)).await.unwrap();
    assert_eq!(scene.over_http(), [(Method::PUT, 412)]);
    // Another one has the same bytes: that is not ours.
    let error = scene.objects.put_new("a", bytes(1000)).await.unwrap_err();
    assert!(matches!(error, AccessError::Exists), "{error}");
    scene.fabric.fail_next([Fault::Refused]);
    let error = scene.objects.put_new("a", bytes(2000)).await.unwrap_err();
    assert!(matches!(error, AccessError::Exists), "{error}");
    assert_eq!(scene.content("a"), Some(Content::Bytes(bytes(1000))));
    // Not begun by RDMA.
    scene.fabric.fail_next([Fault::Refused]);
    scene.objects.put_new("b", bytes(2000)).await.unwrap();
    assert_eq!(scene.content("b"), Some(Content::Bytes(bytes(2000))));
}

#[tokio::test]
async fn where_both_sides_fail_that_is_told_and_rdma_s_reason_is_kept() {
    let scene = Scene::new([("settings.fail_after", "1")]).await;
    scene.fabric.set_down(true);
    scene.peer.answer_next([StatusCode::SERVICE_UNAVAILABLE; 3]);
    let error = scene.objects.put("a", bytes(10)).await.unwrap_err();
    assert!(matches!(error, AccessError::Failed(_)), "{error:?}");
    assert!(error.to_string().contains("503"), "{error}");
    assert_eq!(scene.peer.asked().len(), 3, "the profile's attempts");
    let stats = scene.objects.stats();
    assert_eq!(stats.why_http.as_deref(), Some("the port is down"));
    assert_eq!((stats.rdma.failed, stats.http.failed, stats.failed_over), (1, 1, 0));
}

#[tokio::test]
async fn a_side_that_is_away_is_left_after_some_failures_probed_and_taken_back_when_it_is_well() {
    let scene = Scene::new([
        ("settings.fail_after", "3"),
        ("settings.stay", "50ms"),
        ("settings.probe_every", "5ms"),
        ("settings.good_probes", "3"),
    ])
    .await;
    scene.peer.put("photos", "a", Content::Bytes(bytes(10)), []);
    scene.fabric.set_down(true);
    for _ in 0..10 {
        assert_eq!(scene.objects.head("a").await.unwrap().size, 10);
    }
    assert_eq!(scene.fabric.asked(), 3, "then it is left alone");
    let stats = scene.objects.stats();
    assert_eq!((stats.side, stats.left, stats.failed_over), (Side::Http, 1, 3));

    let call_until = async |what: &str, is_so: &dyn Fn() -> bool| {
        let calling = async {
            while !is_so() {
                assert_eq!(scene.objects.head("a").await.unwrap().size, 10);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, calling).await.expect(what);
    };
    call_until("it is probed, and not well", &|| scene.fabric.probes() >= 3).await;
    assert_eq!((scene.fabric.asked(), scene.objects.stats().returned), (3, 0));

    scene.fabric.set_down(false);
    call_until("it is taken back", &|| scene.objects.stats().side == Side::Rdma).await;
    assert!(scene.fabric.probes() >= 6, "three good ones");
    let before = scene.peer.asked().len();
    assert_eq!(scene.objects.head("a").await.unwrap().size, 10);
    assert_eq!(scene.peer.asked().len(), before, "by RDMA");
    let stats = scene.objects.stats();
    assert_eq!((stats.left, stats.returned, stats.why_http), (1, 1, None));
}

#[tokio::test]
async fn many_at_once_lose_nothing_when_rdma_goes_in_the_midst_of_them() {
    let scene = Scene::new([("settings.fail_after", "1"), ("settings.patience", "100ms")]).await;
    let body = bytes(500_000);
    scene.peer.put("photos", "a", Content::Bytes(body.clone()), []);
    scene.fabric.fail_next([
        Fault::BreaksAfter(1),
        Fault::HangsAfter(70_000),
        Fault::BreaksAfter(400_000),
        Fault::BreaksAfter(0),
    ]);
    let mut begun = Vec::new();
    for _ in 0..20 {
        begun.push(scene.objects.get("a").await.unwrap());
    }
    let reading = begun.into_iter().map(services::rdma_fallback::Object::bytes);
    for read in within(PATIENCE, futures_util::future::join_all(reading)).await {
        assert!(read.unwrap() == body);
    }
    let stats = scene.objects.stats();
    assert_eq!((stats.side, stats.left, stats.failed_over), (Side::Http, 1, 4));
    let moved = stats.rdma.read_bytes + stats.http.read_bytes;
    assert_eq!(moved, 20 * 500_000, "no byte twice");
}

#[test]
fn this_machine_s_rdma_is_told_in_words() {
    let Rdma::Absent(why) = Rdma::detect() else {
        panic!("this program has no driver");
    };
    assert!(
        ["RDMA", "driver", "uverbs"].iter().any(|word| why.contains(word)),
        "{why}"
    );
}
