//! What a runtime holds that stands still: it runs only while somebody blocks on it, and its slots under a cap are wanted
//! meanwhile.

use std::future::poll_fn;
use std::task::Poll;

use httputil::{Client, CloseReason};
use httputil_tests::gate::Gate;
use httputil_tests::one_attempt;
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::BlackHole;
use tokio::runtime::{Builder, Runtime};

use crate::common::{TrustedCa, Way, assert_accounted, assert_all_gone, get, until, url};

/// A runtime that runs only while somebody blocks on it.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// One that drives itself.
fn driven() -> Runtime {
    let mut runtime = Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().unwrap()
}

/// A client that may have one connection, with which a request over the other runtime has just been served: that of `one` has
/// gone, for this reason. Its driver learns of that when it runs again, and counts nothing twice.
fn assert_gave_way(client: &Client, one: Runtime, reason: CloseReason, what: Way) {
    let stats = client.stats();
    assert_eq!((stats.open, stats.in_use, stats.waiting), (1, 0, 0), "{what:?}");
    assert_eq!(stats.closed_for(reason), 1, "{what:?}: {stats:?}");
    assert_accounted(&stats);
    one.block_on(tokio::task::yield_now());
    drop(one);
    assert_eq!(client.stats(), stats, "{what:?}");
}

#[test]
fn an_idle_connection_of_a_runtime_that_stands_still_makes_room_and_closes_when_it_is_told_to() {
    let ca = TrustedCa::new();
    let servers = driven();
    for way in Way::ALL {
        let start = || servers.block_on(way.start(Server::builder(), &ca));
        let (first, second) = (start(), start());
        let client = Client::new(ca.config().max_connections(1)).unwrap();
        // Both live on, and nobody drives them between the requests.
        let (one, two) = (runtime(), runtime());
        for (runtime, server) in [(&one, &first), (&two, &second), (&one, &first)] {
            assert_eq!(runtime.block_on(get(&client, &url(server, "/"))), "hello", "{way:?}");
            runtime.block_on(until(&client, "it to be idle", |stats| stats.idle == 1));
        }
        servers.block_on(second.until_open(0));
        assert_eq!(client.stats().closed_for(CloseReason::MadeRoom), 2, "{way:?}");

        client.close_idle_connections();
        servers.block_on(first.until_open(0));
        let stats = client.stats();
        assert_eq!(
            (stats.open, stats.closed_for(CloseReason::CloseIdle)),
            (0, 1),
            "{way:?}"
        );
        assert_accounted(&stats);
        // The drivers learn of it when they run again, and count nothing twice.
        for runtime in [one, two] {
            runtime.block_on(tokio::task::yield_now());
            drop(runtime);
        }
        assert_eq!(client.stats(), stats, "{way:?}");
        servers.block_on(assert_all_gone(&client));
    }
}

#[test]
fn a_request_taken_back_on_a_runtime_that_stands_still_keeps_no_slot() {
    let ca = TrustedCa::new();
    let servers = driven();
    for way in [Way::H1, Way::H1Tls] {
        for is_dropped_within in [true, false] {
            let gate = Gate::new();
            let handler = handlers::hold(&gate, handlers::by_path);
            let first = servers.block_on(way.start(Server::builder().handler(handler), &ca));
            let second = servers.block_on(way.start(Server::builder(), &ca));
            let client = Client::new(ca.config().max_connections(1)).unwrap();
            // Both live on, and nobody drives the first one when its request has been taken back.
            let (one, two) = (runtime(), runtime());
            let mut request = Box::pin(client.get(url(&first, "/")).send());
            let taken_back = one.block_on(async {
                tokio::select! {
                    biased;
                    _ = &mut request => panic!("nobody has answered"),
                    () = gate.arrived(1) => {}
                }
                (!is_dropped_within).then_some(request)
            });
            drop(taken_back);
            // Waiting longer than `timeouts.pool_wait` would be an error.
            assert_eq!(two.block_on(get(&client, &url(&second, "/"))), "hello", "{way:?}");
            servers.block_on(first.until_open(0));
            assert_gave_way(&client, one, CloseReason::Cancelled, way);
            servers.block_on(assert_all_gone(&client));
        }
    }
}

#[test]
fn many_requests_taken_back_over_http2_from_a_runtime_that_stands_still_keep_no_slot() {
    // More than are reset at once.
    const MANY: usize = 40;
    let ca = TrustedCa::new();
    let servers = driven();
    let gate = Gate::new();
    let handler = handlers::hold(&gate, handlers::by_path);
    let first = servers.block_on(Way::H2Tls.start(Server::builder().handler(handler), &ca));
    let second = servers.block_on(Way::H2Tls.start(Server::builder(), &ca));
    let client = Client::new(ca.config().max_connections(1)).unwrap();
    let (one, two) = (runtime(), runtime());
    let request = || Box::pin(client.get(url(&first, "/")).send());
    let mut requests: Vec<_> = (0..MANY).map(|_| request()).collect();
    one.block_on(async {
        let any = poll_fn(|cx| {
            let polled = requests.iter_mut().map(|request| request.as_mut().poll(cx));
            polled.fold(Poll::Pending, |any, one| if one.is_ready() { one } else { any })
        });
        tokio::select! {
            biased;
            _ = any => panic!("nobody has answered"),
            () = gate.arrived(MANY) => {}
        }
    });
    assert_eq!(first.accepted(), 1);
    drop(requests);
    // Waiting longer than `timeouts.pool_wait` would be an error.
    assert_eq!(two.block_on(get(&client, &url(&second, "/"))), "hello");
    servers.block_on(first.until_open(0));
    assert_gave_way(&client, one, CloseReason::Cancelled, Way::H2Tls);
    servers.block_on(assert_all_gone(&client));
}

#[test]
fn the_rest_of_an_answer_is_not_waited_for_on_a_runtime_that_stands_still() {
    let ca = TrustedCa::new();
    let servers = driven();
    for way in [Way::H1, Way::H1Tls] {
        // What has come with the head, and what nobody knows when it will come.
        for is_there in [true, false] {
            let gate = Gate::new();
            let first = if is_there {
                Server::builder()
            } else {
                Server::builder().handler(handlers::hold_body(&gate))
            };
            let first = servers.block_on(way.start(first, &ca));
            let second = servers.block_on(way.start(Server::builder(), &ca));
            let client = Client::new(ca.config().max_connections(1)).unwrap();
            let (one, two) = (runtime(), runtime());
            let unread = one.block_on(async {
                let answer = client.get(url(&first, "/")).send().await.unwrap();
                (!is_there).then_some(answer)
            });
            drop(unread);
            let expected = if is_there {
                CloseReason::MadeRoom
            } else {
                CloseReason::HalfRead
            };
            let stats = client.stats();
            let rests = (stats.open, stats.idle) == (1, 1);
            assert_eq!(rests, is_there, "{way:?}: {stats:?}");
            // Waiting longer than `timeouts.pool_wait` would be an error.
            assert_eq!(two.block_on(get(&client, &url(&second, "/"))), "hello", "{way:?}");
            servers.block_on(first.until_open(0));
            assert_gave_way(&client, one, expected, way);
            servers.block_on(assert_all_gone(&client));
        }
    }
}

#[test]
fn a_dial_of_a_runtime_that_stands_still_makes_room_and_ends_with_the_client() {
    let servers = driven();
    let (hole, server) = servers.block_on(async { (BlackHole::new(), Server::builder().start().await) });
    let client = Client::new(one_attempt().max_connections(1)).unwrap();
    // Both live on, and nobody drives the first one while its dial is under way.
    let (one, two) = (runtime(), runtime());
    let begin_dial = || {
        one.block_on(async {
            let mut request = std::pin::pin!(client.get(format!("http://{}/", hole.addr())).send());
            let is_under_way = until(&client, "the dial", |stats| stats.dials_in_progress == 1);
            tokio::select! {
                biased;
                _ = &mut request => panic!("there is nobody to answer"),
                () = is_under_way => {}
            }
        });
    };
    begin_dial();
    // Waiting longer than `timeouts.pool_wait` would be an error.
    assert_eq!(two.block_on(get(&client, &server.url("/"))), "hello");
    let stats = client.stats();
    assert_eq!((stats.dials_started, stats.dial_failures_total()), (2, 1));
    client.close_idle_connections();
    servers.block_on(server.until_open(0));

    begin_dial();
    client.stop();
    let stats = client.stats();
    assert_eq!((stats.dials_in_progress, stats.open), (0, 0));
    assert_accounted(&stats);
    drop((one, two));
    assert_eq!(client.stats(), stats);
}
