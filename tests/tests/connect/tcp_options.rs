//! `tcp.*`: what the kernel says of a connection, and whose fault it is when this machine refuses an option.

#[cfg(target_os = "linux")]
use std::net::Ipv4Addr;
use std::time::Duration;

use httputil::settings::Tcp;
use httputil::{Client, Kind};
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::Server;

use crate::scene::{assert_balanced, assert_says, client, client_with_names, config, failure, get};

fn client_of(tcp: Tcp) -> Client {
    client(|profile| profile.transport.tcp = tcp)
}

/// The line of `/proc/net/tcp` for our end of the one connection to this port: its timer, `02:…` for keep-alive, and our
/// address.
#[cfg(target_os = "linux")]
fn kernel_line(port: u16) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux shows its sockets");
    let peer = format!(":{port:04X}");
    let lines: Vec<Vec<String>> = table
        .lines()
        .map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        // Our end: the peer's port is the server's, and it is established.
        .filter(|line| line.len() > 6 && line[2].ends_with(&peer) && line[3] == "01")
        .collect();
    assert_eq!(lines.len(), 1, "one connection to {port}: {lines:?}");
    lines.into_iter().next().expect("there is one")
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_waits_for_the_keep_alive_time_before_it_probes() {
    for (seconds, expected) in [(Some(30), 25..=30), (Some(600), 595..=600)] {
        let server = Server::builder().start().await;
        let mut tcp = Tcp::default();
        tcp.keepalive = seconds.map(Duration::from_secs);
        let client = client_of(tcp);
        get(&client, server.url("/")).await.unwrap();
        let timer = kernel_line(server.port())[5].clone();
        let (kind, left) = timer.split_once(':').expect("a kind and a time");
        assert_eq!(kind, "02", "the timer is the keep-alive's: {timer}");
        // In hundredths of a second.
        let left = u64::from_str_radix(left, 16).unwrap() / 100;
        assert!(expected.contains(&left), "{left} s are left of {seconds:?}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_keep_alive_no_timer_runs() {
    let server = Server::builder().start().await;
    let mut tcp = Tcp::default();
    tcp.keepalive = None;
    let client = client_of(tcp);
    get(&client, server.url("/")).await.unwrap();
    assert_eq!(kernel_line(server.port())[5], "00:00000000");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn connections_come_from_the_local_address() {
    let server = Server::builder().start().await;
    let mut tcp = Tcp::default();
    // All of 127.0.0.0/8 is this machine's on Linux.
    tcp.local_address = Some(Ipv4Addr::new(127, 0, 0, 7).into());
    let client = client_of(tcp);
    get(&client, server.url("/")).await.unwrap();
    // In the byte order of the network, read as a number of this machine.
    let address = u32::from_ne_bytes([127, 0, 0, 7]);
    let local = kernel_line(server.port())[1].clone();
    assert!(local.starts_with(&format!("{address:08X}:")), "{local}");
}

#[tokio::test]
async fn an_address_that_is_not_ours_is_told_by_its_key_and_blamed_on_no_host() {
    let server = Server::builder().start().await;
    let mut tcp = Tcp::default();
    tcp.local_address = Some("192.0.2.7".parse().unwrap());
    let client = client_of(tcp);
    let error = failure(&client, server.url("/")).await;
    let words = "tcp.local_address = 192.0.2.7 is no address of this machine";
    assert_says(&error, Kind::LimitExceeded, &[words]);
    assert_eq!(server.accepted(), 0);
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn addresses_of_the_other_family_are_left_out_and_missed_only_where_none_is_left() {
    let server = Server::builder().start().await;
    let resolver = ScriptedResolver::new()
        .name("both.test", Answer::to(["[::1]:0", "127.0.0.1:0"]))
        .name("six.test", Answer::to(["[::1]:0"]));
    let client = client_with_names(&resolver, "tcp.local_address = \"127.0.0.1\"");
    assert_eq!(get(&client, server.url_for("both.test", "/")).await.unwrap(), "hello");
    let error = failure(&client, server.url_for("six.test", "/")).await;
    let words = ["six.test", "IPv6 addresses only", "tcp.local_address = 127.0.0.1"];
    assert_says(&error, Kind::LimitExceeded, &words);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn connections_go_through_the_interface() {
    let server = Server::builder().start().await;
    let through = |interface: &str| {
        let mut tcp = Tcp::default();
        tcp.interface = Some(interface.to_owned());
        client_of(tcp)
    };
    // Loopback addresses are reached through `lo`, where this process may choose at all.
    match get(&through("lo"), server.url("/")).await {
        Ok(answer) => assert_eq!(answer, "hello"),
        Err(error) => assert_says(&error, Kind::LimitExceeded, &["tcp.interface = lo", "CAP_NET_RAW"]),
    }
    let client = through("nowhere0");
    let error = failure(&client, server.url("/")).await;
    assert_eq!(error.kind(), Kind::LimitExceeded, "{error}");
    let text = error.to_string();
    assert!(text.contains("tcp.interface = nowhere0: "), "{text}");
    assert!(
        ["no such network interface", "CAP_NET_RAW"]
            .iter()
            .any(|why| text.contains(why)),
        "{text}"
    );
    assert_balanced(&client.stats());
}

#[test]
fn an_interface_that_cannot_be_one_is_a_mistake_of_the_settings() {
    for name in ["", "a b", "much_too_long_a_name", "eth0/1", ".."] {
        let config = config(|profile| profile.transport.tcp.interface = Some(name.to_owned()));
        let error = Client::new(config).map(|_| ()).expect_err("it is no interface");
        assert!(
            error.is_config() && error.to_string().contains("tcp.interface"),
            "{name:?}: {error}"
        );
    }
}

/// A peer that takes nothing is given up by the kernel, in about the time that was set.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn data_that_nobody_takes_ends_the_connection_after_the_user_timeout() {
    use httputil_tests::script::{Script, Step};
    use httputil_tests::{PATIENCE, within};

    // It reads the head and then nothing more, so that our data stays here.
    let server = Script::start([vec![Step::ReadHead, Step::StopReading, Step::Stall]]).await;
    let mut tcp = Tcp::default();
    tcp.user_timeout = Some(Duration::from_millis(500));
    let client = client_of(tcp);
    let sent = client.post(server.url("/")).body(vec![0; 64 << 20]).send();
    let error = within(PATIENCE, sent).await.expect_err("nobody takes the body");
    assert_says(&error, Kind::Connection, &["timed out"]);
    assert!(
        error
            .elapsed()
            .is_some_and(|elapsed| elapsed >= Duration::from_millis(400)),
        "{error}"
    );
}
