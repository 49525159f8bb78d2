//! On whose runtime: of any flavour, several in turn and at once, gone in the middle, and none at all.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use httputil::{CloseReason, Error, HostStats, Kind};
use httputil_tests::ca::Ca;
use httputil_tests::gate::Gate;
use httputil_tests::leaks;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::BlackHole;
use httputil_tests::tls::ServerTls;
use httputil_tests::{PATIENCE, within};
use tokio::runtime::{Builder, Runtime};

use crate::scene::{Trust, assert_balanced, client, client_of, client_with_names, eventually, get};

fn current_thread() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built")
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be built")
}

/// A server with a runtime of its own, which runs by itself.
struct Elsewhere {
    server: Server,
    runtime: Runtime,
}

impl Elsewhere {
    fn start(server: httputil_tests::server::Builder) -> Elsewhere {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be built");
        let server = runtime.block_on(server.start());
        Elsewhere { server, runtime }
    }

    /// Waits for something, on the server's runtime.
    fn see<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

#[test]
fn one_client_works_on_a_runtime_of_any_flavour() {
    // A connection comes home through its driver: on another thread that may take until after the next request has begun,
    // which then dials one to spare.
    for (runtime, spare) in [(current_thread(), 0), (multi_thread(), 9)] {
        let there = Elsewhere::start(Server::builder());
        let client = client(|_| {});
        for _ in 0..20 {
            assert_eq!(runtime.block_on(get(&client, there.server.url("/"))).unwrap(), "hello");
        }
        assert!(there.server.accepted() <= 1 + spare);
        drop(client);
        drop(runtime);
        there.see(there.server.until_open(0));
    }
}

#[test]
fn two_runtimes_in_turn_each_keep_their_own_connection() {
    let there = Elsewhere::start(Server::builder());
    let client = client(|_| {});
    let (one, two) = (current_thread(), current_thread());
    for _ in 0..3 {
        for runtime in [&one, &two] {
            assert_eq!(runtime.block_on(get(&client, there.server.url("/"))).unwrap(), "hello");
        }
    }
    assert_eq!(there.server.accepted(), 2);
    assert_eq!(client.stats().reuses, 4);
    drop(one);
    there.see(there.server.until_closed(1));
    // The one that is left is the other's, and it works on.
    assert_eq!(two.block_on(get(&client, there.server.url("/"))).unwrap(), "hello");
    assert_eq!(there.server.accepted(), 2);
    there.see(eventually("the books to close", || client.stats().open == 1));
    assert_balanced(&client.stats());
    assert_eq!(client.stats().closed_for(CloseReason::RuntimeGone), 1);
}

#[test]
fn a_runtime_for_each_request_leaks_nothing() {
    let there = Elsewhere::start(Server::builder());
    let client = client(|_| {});
    for _ in 0..20 {
        let runtime = current_thread();
        assert_eq!(runtime.block_on(get(&client, there.server.url("/"))).unwrap(), "hello");
    }
    there.see(there.server.until_closed(20));
    let stats = client.stats();
    assert_balanced(&stats);
    assert_eq!((stats.open, stats.idle, stats.dialled), (0, 0, 20));
    assert_eq!(leaks::sockets_on(there.server.port()), listening());
}

/// The kit's server holds its port with two sockets: the listener and the port's owner, which `/proc` does not list.
fn listening() -> usize {
    1
}

#[test]
fn two_runtimes_at_once_share_one_client() {
    let there = Elsewhere::start(Server::builder());
    let client = client(|_| {});
    let url = there.server.url("/");
    thread::scope(|scope| {
        for make in [current_thread, multi_thread] {
            let (client, url) = (&client, &url);
            scope.spawn(move || {
                make().block_on(async {
                    for _ in 0..20 {
                        let answers = tokio::join!(get(client, url), get(client, url), get(client, url));
                        for answer in [answers.0, answers.1, answers.2] {
                            assert_eq!(answer.unwrap(), "hello");
                        }
                    }
                });
            });
        }
    });
    assert_eq!(there.server.requests(), 120);
    there.see(there.server.until_open(0));
    there.see(eventually("the books to close", || client.stats().open == 0));
    assert_balanced(&client.stats());
    assert_eq!(client.stats().requests, 120);
}

#[test]
fn a_runtime_that_goes_with_requests_in_flight_takes_only_its_own_with_it() {
    for h2 in [false, true] {
        let gate = Gate::new();
        let held = Server::builder().handler(handlers::hold(&gate, handlers::fixed("held")));
        let there = Elsewhere::start(if h2 { held.h2() } else { held });
        gate.shut();
        let client = client(|profile| profile.transport.http2.prior_knowledge = h2);
        let url = there.server.url("/");
        let (going, staying) = (multi_thread(), multi_thread());
        for _ in 0..3 {
            let (client, url) = (client.clone(), url.clone());
            going.spawn(async move { get(&client, url).await });
        }
        let survivor = staying.spawn({
            let (client, url) = (client.clone(), url.clone());
            async move { get(&client, url).await }
        });
        there.see(there.server.until_requests(4));
        going.shutdown_background();
        // Those that carried its requests at least; one that was dialled beside them goes, too.
        let gone = if h2 { 1 } else { 3 };
        let began = std::time::Instant::now();
        there.see(async {
            loop {
                let hosts = client.host_stats();
                let has_gone = |host: &HostStats| (host.open, host.dials_in_progress) == (0, 0) && host.dialled >= gone;
                if hosts.iter().any(has_gone) {
                    break;
                }
                assert!(began.elapsed() < PATIENCE, "h2 {h2}: {hosts:?}");
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        });
        let closed = client.stats().closed_total();
        if h2 {
            // Over HTTP/1 a request that goes before its connection takes it along.
            assert_eq!(client.stats().closed_for(CloseReason::RuntimeGone), closed);
        }
        gate.open();
        let answer = staying.block_on(within(PATIENCE, survivor)).expect("no panic");
        assert_eq!(answer.unwrap(), "held");
        assert_eq!(staying.block_on(get(&client, &url)).unwrap(), "held");
        there.see(eventually("the books to close", || {
            client.stats().dials_in_progress == 0
        }));
        let stats = client.stats();
        assert_balanced(&stats);
        assert_eq!(stats.closed_total(), closed);
        assert!(stats.open >= 1);
    }
}

#[test]
fn a_runtime_that_goes_in_the_middle_of_a_dial_is_a_dial_that_failed() {
    let hole = BlackHole::new();
    let client = client(|_| {});
    let going = multi_thread();
    let url = format!("http://{}/", hole.addr());
    let (begun, has_begun) = mpsc::channel();
    going.spawn({
        let client = client.clone();
        async move {
            let sending = get(&client, url);
            let mut sending = pin!(sending);
            let first = poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx).is_pending())).await;
            begun.send(first).expect("the test waits");
            sending.await
        }
    });
    assert!(has_begun.recv_timeout(PATIENCE).expect("the request begins"));
    going.shutdown_timeout(PATIENCE);
    assert_balanced(&client.stats());
    assert_eq!(client.stats().dial_failures_total(), 1);

    // The client has not suffered.
    let there = Elsewhere::start(Server::builder());
    assert_eq!(
        current_thread().block_on(get(&client, there.server.url("/"))).unwrap(),
        "hello"
    );
}

#[test]
fn a_runtime_that_goes_while_many_hosts_wait_for_a_slot_ends_the_wait_of_them_all() {
    const HOSTS: usize = 2000;
    let names = || (0..HOSTS).map(|host| format!("host{host}.test"));
    for going in [current_thread(), multi_thread()] {
        let resolver = names().fold(ScriptedResolver::new(), |all, name| all.name(&name, Answer::Hang));
        let client = client_with_names(&resolver, "pool.max_connections = 4");
        // They outlive it: each hears of the dial that its host got when the one before was dropped.
        let mut waiting: Vec<_> = names()
            .map(|name| Box::pin(get(&client, format!("http://{name}/"))))
            .collect();
        going.block_on(poll_fn(|cx| {
            assert!(waiting.iter_mut().all(|request| request.as_mut().poll(cx).is_pending()));
            Poll::Ready(())
        }));
        let stats = client.stats();
        assert_eq!((stats.waiting, stats.dials_in_progress), (HOSTS, 4));
        going.shutdown_timeout(PATIENCE);
        let stats = client.stats();
        assert_eq!((stats.waiting, stats.dial_failures_total()), (0, HOSTS as u64));
        assert_balanced(&stats);
    }
}

#[test]
fn a_client_can_be_made_and_dropped_outside_a_runtime() {
    let there = Elsewhere::start(Server::builder());
    let client = client(|_| {});
    let runtime = multi_thread();
    runtime.block_on(get(&client, there.server.url("/"))).unwrap();
    there.see(eventually("the connection to come home", || client.stats().idle == 1));
    thread::spawn(move || drop(client)).join().expect("no panic");
    there.see(there.server.until_open(0));
}

#[test]
fn a_body_can_be_dropped_outside_a_runtime() {
    let there = Elsewhere::start(Server::builder());
    let client = client(|_| {});
    let runtime = multi_thread();
    let sent = client.get(there.server.url("/bytes/1000000")).send();
    let response = runtime.block_on(sent).unwrap();
    thread::spawn(move || drop(response)).join().expect("no panic");
    there.see(there.server.until_open(0));
    there.see(eventually("the books to close", || {
        (client.stats().open, client.stats().dials_in_progress) == (0, 0)
    }));
    assert_balanced(&client.stats());
}

#[test]
fn a_request_outside_a_runtime_is_an_error_and_no_panic() {
    let client = client(|_| {});
    for url in ["http://127.0.0.1:1/", "https://localhost/"] {
        let mut sending = pin!(client.get(url).send());
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(sent) = sending.as_mut().poll(&mut context) else {
            panic!("there is nothing to wait for");
        };
        let error = sent.map(|_| ()).expect_err("there is no runtime");
        assert_eq!(error.kind(), Kind::Request);
        assert!(error.to_string().contains("tokio runtime"), "{error}");
    }
    assert_eq!(client.stats().dials_started, 0);
}

#[test]
fn idle_connections_end_in_time_on_each_of_two_runtimes() {
    let there = Elsewhere::start(Server::builder());
    let client = client(|profile| profile.transport.pool.idle_timeout = Duration::from_millis(100));
    // The first runtime's connection is idle first; then that runtime stands still, and then it goes.
    let standing = current_thread();
    let running = multi_thread();
    standing.block_on(get(&client, there.server.url("/"))).unwrap();
    running.block_on(get(&client, there.server.url("/"))).unwrap();
    there.see(there.server.until_ended(1));
    drop(standing);
    running.block_on(get(&client, there.server.url("/"))).unwrap();
    there.see(there.server.until_ended(2));
    there.see(there.server.until_open(0));
    assert_balanced(&client.stats());
}

#[test]
fn a_body_whose_runtime_has_gone_ends_in_an_error_and_not_in_silence() {
    let gate = Gate::new();
    for h2 in [false, true] {
        let held = Server::builder().handler(handlers::hold_body(&gate));
        let there = Elsewhere::start(if h2 { held.h2() } else { held });
        let client = client(|profile| profile.transport.http2.prior_knowledge = h2);
        let going = multi_thread();
        let response = going.block_on(client.get(there.server.url("/")).send()).unwrap();
        going.shutdown_timeout(PATIENCE);
        let read = current_thread().block_on(async { within(PATIENCE, response.bytes()).await });
        let error = read.expect_err("nobody brings the rest");
        let ours = Error::of(&error).expect("our error is in the chain");
        assert_eq!(ours.kind(), Kind::Body, "{ours}");
        there.see(there.server.until_open(0));
        there.see(eventually("the books to close", || client.stats().open == 0));
        assert_balanced(&client.stats());
    }
}

#[test]
fn a_request_whose_connection_goes_with_another_runtime_says_so() {
    for h2 in [false, true] {
        let gate = Gate::new();
        let held = Server::builder().handler(handlers::hold(&gate, handlers::fixed("late")));
        let there = Elsewhere::start(if h2 { held.h2() } else { held });
        let client = client(|profile| profile.transport.http2.prior_knowledge = h2);
        let going = multi_thread();
        let mut sending = Box::pin(client.get(there.server.url("/")).send());
        going.block_on(async {
            tokio::select! {
                answer = &mut sending => panic!("the gate is closed: {answer:?}"),
                () = gate.arrived(1) => {}
            }
        });
        going.shutdown_timeout(PATIENCE);
        let answer = current_thread().block_on(async { within(PATIENCE, sending).await });
        let error = answer.expect_err("nobody brings the answer");
        assert_eq!(error.kind(), Kind::Connection, "{error}");
        assert!(error.to_string().contains("runtime"), "{error}");
        assert!(!error.to_string().contains("body"), "{error}");
        gate.open();
    }
}

#[test]
fn a_runtime_that_goes_in_the_middle_of_a_handshake_does_not_spoil_tls_for_the_others() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let client = client_of(&trust, |_| {});
    let tls = ServerTls::new(ca.issue(["127.0.0.1"])).build();
    let there = Elsewhere::start(Server::builder().tls(tls));
    let url = there.server.url("/");
    // From before the roots are read to after the handshake.
    for polls in 1..=12 {
        let going = multi_thread();
        going.block_on(async {
            let mut sending = pin!(get(&client, &url));
            for _ in 0..polls {
                let first = poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx).is_ready())).await;
                if first {
                    break;
                }
                tokio::task::yield_now().await;
            }
        });
        going.shutdown_background();
    }
    assert_eq!(current_thread().block_on(get(&client, &url)).unwrap(), "hello");
    there.see(there.server.until_open(0));
    // What the last one to go was dialling is dropped by its own threads.
    there.see(eventually("the books to close", || {
        let stats = client.stats();
        stats.open == 0 && stats.dials_in_progress == 0
    }));
    assert_balanced(&client.stats());
}
