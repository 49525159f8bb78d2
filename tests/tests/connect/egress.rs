//! `egress.*`: where requests may go, judged on each URL and on each address before it is dialled.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use http::HeaderMap;
use httputil::settings::{Egress, Profile};
use httputil::{Client, Environment, Error, Kind, Registry};
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::{Server, handlers};
use httputil_tests::{PATIENCE, within};

use crate::addresses::{answer, loopback};
use crate::scene::{
    assert_balanced, assert_says, client, client_with_names, config, eventually, failure, get, registry_in,
};
use crate::tower_door;

fn rules(rules: &[&str]) -> Vec<String> {
    rules.iter().map(|&rule| rule.to_owned()).collect()
}

fn guarded(change: impl FnOnce(&mut Egress)) -> impl FnOnce(&mut Profile) {
    |profile| change(&mut profile.transport.egress)
}

/// A port of an address that nobody is to connect to; whether somebody did shows in its queue.
struct Tripwire(TcpListener);

impl Tripwire {
    fn on(address: impl Into<SocketAddr>) -> Tripwire {
        let listener = TcpListener::bind(address.into()).expect("nobody has this address's port");
        listener.set_nonblocking(true).expect("a listener need not block");
        Tripwire(listener)
    }

    #[track_caller]
    fn assert_untouched(&self) {
        assert!(self.0.accept().is_err(), "somebody connected");
    }
}

/// Refused before anything was looked up, dialled or counted as an attempt.
#[track_caller]
fn assert_refused_at_once(error: &Error, rule: &str) {
    assert_says(error, Kind::Egress, &[rule]);
    assert_eq!((error.attempts(), error.is_retryable()), (0, false), "{error}");
}

#[tokio::test]
async fn a_refused_address_is_not_dialled_however_the_url_spells_it_through_either_door() {
    let server = Server::builder().start().await;
    let port = server.port();
    let client = client(guarded(|egress| egress.deny = rules(&["127.0.0.0/8"])));
    let mut refused = 0;
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.0.0.1.",
        "user:word@127.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::1]",
        "１２７。0。0。1",
        "%31%32%37.0.0.1",
    ] {
        let url = format!("http://{host}:{port}/");
        let sent = within(PATIENCE, client.get(&url).send()).await;
        assert_refused_at_once(&sent.unwrap_err(), "egress.deny = \"127.0.0.0/8\"");
        refused += 1;
        // `http` takes fewer texts for a URI, and of those none leads there either.
        match tower_door::send(&client, &url, HeaderMap::new()).await {
            Some(Err(error)) if error.kind() == Kind::Egress => refused += 1,
            Some(Err(error)) => assert_says(&error, Kind::Request, &["host"]),
            Some(Ok(answer)) => panic!("{url} was answered: {answer:?}"),
            None => {}
        }
    }
    let stats = client.stats();
    assert_eq!((server.accepted(), stats.dials_started), (0, 0));
    assert_eq!(stats.egress_refused, refused);
}

#[tokio::test]
async fn a_zone_makes_no_way_round() {
    let client = client(guarded(|egress| egress.deny_private = true));
    for url in ["http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/"] {
        assert!(within(PATIENCE, client.get(url).send()).await.is_err());
        assert!(
            tower_door::send(&client, url, HeaderMap::new())
                .await
                .is_none_or(|sent| sent.is_err())
        );
    }
    assert_eq!(client.stats().dials_started, 0);
}

#[tokio::test]
async fn a_name_is_judged_however_it_is_written_and_before_it_is_looked_up() {
    let resolver = ScriptedResolver::new();
    let client = client_with_names(&resolver, "egress.deny = [\"bücher.test\", \"*.internal\"]");
    for url in [
        "http://bücher.test/",
        "http://BÜCHER.TEST./",
        "http://xn--bcher-kva.test/",
        "http://metadata.INTERNAL/",
        "http://a.b.internal.:8080/",
    ] {
        let error = within(PATIENCE, client.get(url).send()).await.unwrap_err();
        assert_refused_at_once(&error, "egress.deny = ");
    }
    assert_eq!((resolver.calls(), client.stats().dials_started), (0, 0));
}

#[tokio::test]
async fn a_name_that_is_led_elsewhere_after_the_first_look_is_refused_at_the_dial() {
    let server = Server::builder().start().await;
    let inside = Tripwire::on((loopback(2), server.port()));
    let url = server.url_for("rebind.test", "/");
    let disguises = ["127.0.0.2", "::ffff:127.0.0.2", "64:ff9b::127.0.0.2", "2002:7f00:2::"];
    for disguise in disguises {
        let resolver = ScriptedResolver::new().name("rebind.test", answer([loopback(1)]));
        let keys = "egress.deny = [\"127.0.0.2\"]\npool.reuse = false\ndns.ttl = \"1us\"\ndns.stale_for = \"0s\"";
        let client = client_with_names(&resolver, keys);
        assert_eq!(get(&client, &url).await.unwrap(), "hello");
        let disguise: IpAddr = disguise.parse().unwrap();
        resolver.set("rebind.test", answer([disguise]));
        let error = failure(&client, &url).await;
        let words = ["egress.deny = \"127.0.0.2\" refuses rebind.test", &disguise.to_string()];
        assert_says(&error, Kind::Egress, &words);
        assert!(!error.is_retryable());
        let stats = client.stats();
        assert_eq!((stats.egress_refused, stats.dial_failures[4]), (1, ("egress", 1)));
        assert_balanced(&stats);
    }
    inside.assert_untouched();
    assert_eq!(server.accepted(), disguises.len());
}

#[tokio::test]
async fn of_several_addresses_those_that_are_left_are_dialled() {
    let server = Server::builder().start().await;
    let inside = Tripwire::on((loopback(2), server.port()));
    let resolver = ScriptedResolver::new().name("many.test", answer([loopback(2), loopback(1)]));
    for keys in [
        "egress.deny = [\"127.0.0.2\"]",
        "egress.allow = [\"127.0.0.1\"]",
        "egress.allow = [\"many.test\"]\negress.deny = [\"127.0.0.2/31\"]",
    ] {
        let client = client_with_names(&resolver, keys);
        assert_eq!(get(&client, server.url_for("many.test", "/")).await.unwrap(), "hello");
        assert_balanced(&client.stats());
    }
    inside.assert_untouched();
}

#[tokio::test]
async fn connections_that_are_spread_over_addresses_go_to_none_that_is_refused() {
    let server = Server::builder().start().await;
    let inside = Tripwire::on((loopback(2), server.port()));
    let resolver = ScriptedResolver::new().name("many.test", answer([loopback(1), loopback(2)]));
    let keys = "egress.deny = [\"127.0.0.2\"]\ndns.balance = \"round_robin\"\ndns.ttl = \"1us\"";
    let client = client_with_names(&resolver, keys);
    for _ in 0..20 {
        assert_eq!(get(&client, server.url_for("many.test", "/")).await.unwrap(), "hello");
    }
    inside.assert_untouched();
    let stats = client.stats();
    assert_eq!((stats.egress_refused, stats.dial_failures_total()), (0, 0));
}

#[tokio::test]
async fn an_address_that_a_name_gets_later_is_judged_before_connections_are_spread_to_it() {
    let server = Server::builder().start().await;
    let beside = Server::builder().start_beside(3, server.port()).await;
    let inside = Tripwire::on((loopback(2), server.port()));
    let resolver = ScriptedResolver::new().name("many.test", answer([loopback(1)]));
    let keys = "egress.deny = [\"127.0.0.2\"]\ndns.balance = \"round_robin\"\ndns.ttl = \"10ms\"";
    let client = client_with_names(&resolver, keys);
    let url = server.url_for("many.test", "/");
    assert_eq!(get(&client, &url).await.unwrap(), "hello");
    // No dial asks for the name here: it is looked up again while its connection serves on.
    resolver.set("many.test", answer([1, 2, 3].map(loopback)));
    while beside.requests() < 10 {
        assert_eq!(get(&client, &url).await.unwrap(), "hello");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    inside.assert_untouched();
    // Where all that is left is refused, what was there before stays.
    resolver.set("many.test", answer([loopback(2)]));
    let calls = resolver.calls();
    while resolver.calls() < calls + 3 {
        assert_eq!(get(&client, &url).await.unwrap(), "hello");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    inside.assert_untouched();
    assert_eq!(client.stats().dial_failures_total(), 0);
}

#[tokio::test]
async fn overrides_of_names_are_judged_by_where_they_lead() {
    let inside = Tripwire::on((loopback(1), 0));
    let address = inside.0.local_addr().unwrap();
    let keys = format!("egress.deny_private = true\ndns.overrides = {{ \"api.test\" = [\"{address}\"] }}");
    let client = client_with_names(&ScriptedResolver::new(), &keys);
    let error = failure(&client, "http://api.test/").await;
    assert_says(&error, Kind::Egress, &["egress.deny_private", "api.test", "127.0.0.1"]);
    inside.assert_untouched();
}

#[tokio::test]
async fn a_port_is_judged_as_the_url_has_it_and_as_it_is_dialled() {
    let server = Server::builder().start().await;
    let port = server.port();
    let keys = format!("egress.deny = [\"*:{port}\"]\ndns.overrides = {{ \"api.test\" = [\"127.0.0.1:{port}\"] }}");
    let client = client_with_names(&ScriptedResolver::new(), &keys);
    let by_url = failure(&client, server.url("/")).await;
    assert_refused_at_once(&by_url, &format!("egress.deny = \"*:{port}\""));
    let by_dial = failure(&client, "http://api.test/").await;
    assert_says(
        &by_dial,
        Kind::Egress,
        &[&format!("egress.deny = \"*:{port}\""), "127.0.0.1"],
    );
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn a_refusal_is_not_retried() {
    let resolver = ScriptedResolver::new().name("inside.test", answer([loopback(1)]));
    let mut config = config(guarded(|egress| egress.deny_private = true));
    config.profile_mut().policy.retry.max_attempts = 5;
    let text = "[default]\ntls.roots = \"bundled\"\nproxy.from_env = false\nretry.max_attempts = 5\negress.deny_private = true";
    let loaded = httputil::Config::builder()
        .embedded("test.toml", text)
        .env(&Environment::empty());
    let registry = Registry::builder()
        .config(loaded.load().unwrap())
        .resolver(std::sync::Arc::new(resolver.clone()));
    let named = registry.build().unwrap().client("default").unwrap();
    let literal = Client::new(config).unwrap();
    for (client, url) in [(&named, "http://inside.test/"), (&literal, "http://127.0.0.1/")] {
        let error = failure(client, url).await;
        assert_says(&error, Kind::Egress, &["egress.deny_private"]);
        assert!(error.attempts() <= 1, "{}", error.attempts());
        let stats = client.stats();
        assert_eq!((stats.retries, stats.egress_refused), (0, 1));
    }
    assert_eq!(resolver.calls(), 1);
}

#[tokio::test]
async fn hosts_of_pool_warm_pass_the_same_guard() {
    let (allowed, inside) = (Server::builder().start().await, Tripwire::on((loopback(2), 0)));
    let refused = inside.0.local_addr().unwrap();
    let toml = format!(
        "[default]\npool.warm = [\"http://{refused}/\", \"http://inside.test:{}/\", \"{}\"]\negress.deny = [\"127.0.0.2\"]",
        refused.port(),
        allowed.url("/")
    );
    let resolver = ScriptedResolver::new().name("inside.test", answer([loopback(2)]));
    let client = registry_in(&toml, &Environment::empty(), &resolver)
        .client("default")
        .unwrap();
    allowed.until_open(1).await;
    eventually("both refusals to be counted", || client.stats().egress_refused >= 2).await;
    inside.assert_untouched();
}

#[tokio::test]
async fn profiles_with_other_rules_share_no_connection() {
    let server = Server::builder().start().await;
    let toml = "[open]\n[shut]\negress.deny = [\"127.0.0.0/8\"]";
    let registry = registry_in(toml, &Environment::empty(), &ScriptedResolver::new());
    let (open, shut) = (registry.client("open").unwrap(), registry.client("shut").unwrap());
    assert_eq!(
        open.get(server.url("/")).send().await.unwrap().text().await.unwrap(),
        "hello"
    );
    assert_eq!(open.stats().idle, 1);
    let error = shut.get(server.url("/")).send().await.unwrap_err();
    assert_refused_at_once(&error, "egress.deny");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn only_https_is_spoken_where_that_is_asked_for_through_either_door() {
    let server = Server::builder().start().await;
    let client = client(guarded(|egress| egress.https_only = true));
    let error = failure(&client, server.url("/")).await;
    assert_refused_at_once(&error, "egress.https_only");
    let sent = tower_door::send(&client, &server.url("/"), HeaderMap::new())
        .await
        .unwrap();
    assert_refused_at_once(&sent.unwrap_err(), "egress.https_only");
    // What it does not refuse fails further on: there is no TLS.
    let url = server.url("/").replace("http:", "https:");
    assert_says(&failure(&client, url).await, Kind::Tls, &[]);
    assert_eq!(server.requests(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn the_socket_of_base_url_is_no_network() {
    let server = Server::builder().handler(handlers::echo).start().await;
    let door = httputil_tests::unix::UnixDoor::to(server.addr());
    let client = client(|profile| {
        profile.policy.base_url = vec![door.base_url()];
        profile.transport.egress.deny_private = true;
        profile.transport.egress.allow = rules(&["api.example.com"]);
    });
    assert_eq!(client.get("/x").send().await.unwrap().status(), 200);
    assert_refused_at_once(&failure(&client, server.url("/")).await, "egress.deny_private");
}

#[test]
fn rules_in_code_are_held_to_what_a_file_may_say() {
    let told = |change: &dyn Fn(&mut Profile)| {
        let mut config = httputil_tests::one_attempt();
        change(config.profile_mut());
        Client::new(config).unwrap_err().to_string()
    };
    let error = told(&|profile| {
        profile.transport.egress.allow = rules(&[".example.com"]);
        profile.transport.egress.deny = rules(&["10.1.2.3/8"]);
    });
    assert_eq!(
        error,
        "default.egress.allow = \".example.com\": for every name beneath it, write \"*.example.com\"\n\
         default.egress.deny = \"10.1.2.3/8\": it has bits beyond its prefix; write \"10.0.0.0/8\""
    );
    let error = told(&|profile| {
        profile.transport.egress.https_only = true;
        profile.policy.base_url = vec!["http://api.test".to_owned()];
    });
    assert_eq!(
        error,
        "default.egress.https_only = true: contradicts base_url = \"http://api.test\""
    );
}

#[tokio::test]
async fn an_answer_of_many_refused_addresses_is_one_short_error() {
    let many = (1..=200).map(|n| (Ipv4Addr::new(10, 0, 0, n), 0).into()).collect();
    let resolver = ScriptedResolver::new().name("many.test", Answer::Addresses(many));
    let client = client_with_names(&resolver, "egress.deny_private = true");
    let error = failure(&client, "http://many.test/").await;
    assert_says(&error, Kind::Egress, &["10.0.0.1 (and 199 more)"]);
}

#[tokio::test]
async fn each_hop_of_a_redirect_is_judged() {
    let inside = Tripwire::on((loopback(2), 0));
    let place = inside.0.local_addr().unwrap();
    let resolver = ScriptedResolver::new().name("inside.test", answer([loopback(2)]));
    let keys = "egress.deny = [\"127.0.0.2\"]";
    for location in [
        format!("http://{place}/"),
        format!("http://inside.test:{}/", place.port()),
    ] {
        let to = location.clone();
        let handler = move |_| {
            let mut reply = handlers::status(http::StatusCode::FOUND);
            reply
                .headers_mut()
                .insert("location", to.parse().expect("a URL is a header's value"));
            std::future::ready(reply)
        };
        let server = Server::builder().handler(handler).start().await;
        let client = client_with_names(&resolver, keys);
        let sent = within(PATIENCE, client.get(server.url("/")).send()).await;
        assert_says(
            &sent.unwrap_err(),
            Kind::Egress,
            &["egress.deny = \"127.0.0.2\"", &place.port().to_string()],
        );
        assert_eq!(server.requests(), 1);
    }
    inside.assert_untouched();
}
