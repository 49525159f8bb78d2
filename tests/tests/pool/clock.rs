//! The wall clock jumps by years, as when a machine without a battery finds its time server: nothing is to notice.
//!
//! A process of its own, whose C library has another idea of the time of day ([`clock_shim.c`](clock_shim.c)).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::{Pin, pin};
use std::process::Command;
use std::task::{Context, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use httputil::{Client, CloseReason, Kind};
use httputil_tests::gate::Gate;
use httputil_tests::h2_script::{self, H2Script, Step};
use httputil_tests::server::{Reply, Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::{PATIENCE, one_attempt, within};

use crate::common::{TrustedCa, Way, assert_all_gone, assert_at_rest, get, h2_client, spawn_get, until, url};

/// The file with the shift; set for the process whose clock jumps.
const SHIFT: &str = "CLOCK_SHIM_SHIFT";
const JUMPS: [i64; 3] = [10, -10, 0];
const SHORT: Duration = Duration::from_millis(150);

// On one thread: on more, hyper sometimes overlooks the only request of a silent connection, and does not ping at all.
#[tokio::test]
async fn when_the_wall_clock_jumps_by_years_connections_time_outs_ages_and_backoff_do_not_notice() {
    if let Some(shift) = std::env::var_os(SHIFT) {
        return in_a_process_of_its_own(shift.as_ref()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let (shim, shift) = (folder.path().join("shim.so"), folder.path().join("shift"));
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .arg(&shim)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pool/clock_shim.c"))
        .output()
        .expect("the C compiler that the README asks for");
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    std::fs::write(&shift, 0_i64.to_ne_bytes()).unwrap();
    let this_test = "clock::when_the_wall_clock_jumps_by_years_connections_time_outs_ages_and_backoff_do_not_notice";
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", this_test])
        .env("LD_PRELOAD", &shim)
        .env(SHIFT, &shift);
    let output = tokio::task::spawn_blocking(move || child.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

async fn in_a_process_of_its_own(shift: &Path) {
    let clock = WallClock::new(shift);
    a_warm_connection_is_reused_and_a_request_under_way_is_answered(&clock).await;
    a_request_times_out_neither_early_nor_late(&clock).await;
    so_does_a_wait_for_a_connection(&clock).await;
    a_connection_is_idle_and_lives_as_long_as_ever(&clock).await;
    pings_go_on(&clock).await;
    a_host_that_fails_is_left_alone_for_as_long_as_ever(&clock).await;
}

/// The time of day of this process.
struct WallClock {
    shift: File,
    began: (u64, Instant),
}

impl WallClock {
    fn new(shift: &Path) -> WallClock {
        WallClock {
            shift: File::options().write(true).open(shift).unwrap(),
            began: (seconds(), Instant::now()),
        }
    }

    /// So many years away from the true time, as a look at the clock proves.
    fn jump(&self, years: i64) {
        let shift = years * 365 * 86_400;
        self.shift.write_all_at(&shift.to_ne_bytes(), 0).unwrap();
        let due = (self.began.0 + self.began.1.elapsed().as_secs()).saturating_add_signed(shift);
        assert!(seconds().abs_diff(due) < 3600, "the shim is not at work");
    }

    /// There, back again and home.
    fn jump_about(&self) {
        for years in JUMPS {
            self.jump(years);
        }
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A request has got as far as it can get at once.
fn is_under_way<F: Future>(request: &mut Pin<&mut F>) {
    let polled = request.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
}

async fn a_warm_connection_is_reused_and_a_request_under_way_is_answered(clock: &WallClock) {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let gate = Gate::new();
        let handler = handlers::hold(&gate, handlers::by_path);
        let server = way.start(Server::builder().handler(handler), &ca).await;
        // Before the clock jumps: a certificate is judged by the time of day, and should be.
        let client = ca.client();
        gate.let_through(1);
        assert_eq!(get(&client, &url(&server, "/")).await, "hello");
        for (round, years) in JUMPS.into_iter().enumerate() {
            until(&client, "it to be idle", |stats| stats.idle == 1).await;
            clock.jump(years);
            let sent = spawn_get(&client, &url(&server, "/"));
            gate.arrived(round + 2).await;
            clock.jump(-years);
            clock.jump(years);
            gate.let_through(1);
            assert_eq!(sent.await.unwrap().unwrap(), "hello", "{way:?}, {years} years");
        }
        assert_eq!(server.accepted(), 1, "{way:?}");
        assert_at_rest(&client).await;
        assert_eq!(client.stats().closed_total(), 0, "{way:?}");
        assert_all_gone(&client).await;
    }
}

/// Never answers `/held`.
async fn held_or_not(request: http::Request<hyper::body::Incoming>) -> Reply {
    if request.uri().path() == "/held" {
        std::future::pending::<()>().await;
    }
    handlers::by_path(request).await
}

async fn a_request_times_out_neither_early_nor_late(clock: &WallClock) {
    let ca = TrustedCa::new();
    for way in Way::ALL {
        let server = way.start(Server::builder().handler(held_or_not), &ca).await;
        let client = ca.client();
        for years in JUMPS {
            assert_eq!(get(&client, &url(&server, "/")).await, "hello");
            until(&client, "it to be idle", |stats| stats.idle == 1).await;
            let began = Instant::now();
            let mut sent = pin!(client.get(url(&server, "/held")).timeout(SHORT).send());
            is_under_way(&mut sent);
            clock.jump(years);
            let error = within(PATIENCE, sent).await.unwrap_err();
            assert!(error.is_timeout() && began.elapsed() >= SHORT, "{way:?}: {error}");
            // The next connection needs a certificate that is valid by the time of day.
            clock.jump(0);
        }
        assert_all_gone(&client).await;
    }
}

async fn so_does_a_wait_for_a_connection(clock: &WallClock) {
    let gate = Gate::new();
    let server = Server::builder()
        .handler(handlers::hold(&gate, handlers::by_path))
        .start()
        .await;
    let config = one_attempt().max_connections_per_host(1).pool_wait(SHORT);
    let client = Client::new(config).unwrap();
    let first = spawn_get(&client, &server.url("/"));
    gate.arrived(1).await;
    for years in JUMPS {
        let began = Instant::now();
        let mut waits = pin!(client.get(server.url("/")).send());
        is_under_way(&mut waits);
        assert_eq!(client.stats().waiting, 1);
        clock.jump(years);
        let error = within(PATIENCE, waits).await.unwrap_err();
        assert!(error.to_string().contains("timeouts.pool_wait"), "{error}");
        assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
    }
    gate.open();
    assert_eq!(first.await.unwrap().unwrap(), "hello");
    assert_all_gone(&client).await;
}

async fn a_connection_is_idle_and_lives_as_long_as_ever(clock: &WallClock) {
    let by_idle = one_attempt().idle_timeout(SHORT);
    let by_age = one_attempt().max_lifetime(SHORT);
    for (config, reason) in [
        (by_idle, CloseReason::IdleTimeout),
        // Give or take a tenth.
        (by_age, CloseReason::MaxLifetime),
    ] {
        let server = Server::builder().start().await;
        let client = Client::new(config).unwrap();
        for years in [10, -10] {
            let began = Instant::now();
            assert_eq!(get(&client, &server.url("/")).await, "hello");
            clock.jump(years);
            within(PATIENCE, server.until_open(0)).await;
            assert!(
                began.elapsed() >= SHORT.mul_f64(0.9),
                "{reason:?}: {:?}",
                began.elapsed()
            );
        }
        until(&client, "the last to be counted", |stats| stats.open == 0).await;
        assert_eq!(client.stats().closed_for(reason), 2);
        clock.jump(0);
        assert_all_gone(&client).await;
    }
}

async fn pings_go_on(clock: &WallClock) {
    let gate = Gate::new();
    let held = gate.clone();
    let server = H2Script::builder()
        .on_stream(move |_| vec![Step::Hold(held.clone()), Step::Answer("held".into())])
        .start()
        .await;
    let client = h2_client(|transport| {
        transport.http2.keepalive_interval = Duration::from_millis(50);
        transport.http2.keepalive_timeout = Duration::from_secs(5);
    });
    let sent = spawn_get(&client, &server.url("/"));
    gate.arrived(1).await;
    for years in JUMPS {
        clock.jump(years);
        let pings = server.frames().count(0, h2_script::Kind::Ping);
        server.frames().until(0, h2_script::Kind::Ping, pings + 2).await;
    }
    gate.open();
    assert_eq!(sent.await.unwrap().unwrap(), "held");
    assert_eq!(server.accepted(), 1);
    assert_all_gone(&client).await;
}

async fn a_host_that_fails_is_left_alone_for_as_long_as_ever(clock: &WallClock) {
    let closed = ClosedPort::new();
    let address = format!("http://127.0.0.1:{}/", closed.port());
    let client = Client::new(one_attempt()).unwrap();
    let mut earlier: Option<Instant> = None;
    for wait in [0, 50, 100, 200, 400] {
        let (began, failed) = within(PATIENCE, async {
            loop {
                let began = Instant::now();
                let error = client.get(&address).send().await.unwrap_err();
                assert_eq!(error.kind(), Kind::Connect, "{error}");
                if !error.to_string().contains("the error of the last try") {
                    return (began, Instant::now());
                }
                clock.jump_about();
            }
        })
        .await;
        // From before the earlier dial to after this one, so that a slow machine makes it longer only.
        if let Some(earlier) = earlier.replace(began) {
            assert!(failed - earlier >= Duration::from_millis(wait), "{wait} ms");
        }
    }
    assert_eq!(client.stats().dials_started, 5);
    assert_all_gone(&client).await;
}
