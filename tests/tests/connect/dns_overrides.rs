//! `dns.overrides` and `dns.prefer`: where a name leads, and by which family.

use httputil::settings::{Dns, DnsPreference};
use httputil::{Client, Kind};
use httputil_tests::one_attempt;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::{Server, handlers};

use crate::addresses::{Swallow, answer, has_ipv6, loopback};
use crate::scene::{assert_balanced, assert_says, client_with_names, config, failure, get};

#[tokio::test]
async fn an_override_needs_no_look_up_and_brings_its_port() {
    let server = Server::builder().handler(handlers::echo).start().await;
    let resolver = ScriptedResolver::new();
    let keys = format!(
        "[default.dns.overrides]\n\"with.test\" = [\"127.0.0.1:{}\"]\n\"without.test\" = [\"127.0.0.1\"]",
        server.port()
    );
    let client = client_with_names(&resolver, &keys);
    let with = client.get("http://with.test/").send().await.unwrap();
    let text = with.text().await.unwrap();
    assert!(text.contains("with.test"), "the request is to the URL's host: {text}");
    let url = server.url_for("without.test", "/");
    assert_eq!(client.get(url).send().await.unwrap().status(), 200);
    assert_eq!((server.requests(), resolver.calls()), (2, 0));
    assert_eq!(client.stats().dns_look_ups, 0);
    failure(&client, "http://other.test/").await;
    assert_eq!(resolver.calls(), 1);
}

#[tokio::test]
async fn the_addresses_of_an_override_are_raced_like_any_others() {
    let server = Server::builder().start().await;
    let _hole = Swallow::on(loopback(2), server.port());
    let mut overrides = Dns::default().overrides;
    let addresses = [2, 1].map(|n| (loopback(n), 0).into());
    overrides.insert("many.test".to_owned(), addresses.to_vec());
    let client = Client::new(config(|profile| profile.transport.dns.overrides = overrides)).unwrap();
    assert_eq!(get(&client, server.url_for("many.test", "/")).await.unwrap(), "hello");
}

#[tokio::test]
async fn requests_are_spread_over_the_addresses_of_an_override_each_with_its_port() {
    for h2 in [false, true] {
        let server = || {
            let builder = Server::builder();
            if h2 { builder.h2() } else { builder }
        };
        let servers = [server().start().await, server().start().await, server().start().await];
        let addresses = servers
            .each_ref()
            .map(|server| format!("'{}'", server.addr()))
            .join(", ");
        let keys = format!(
            "dns.balance = \"round_robin\"\nhttp2.prior_knowledge = {h2}\n\
             dns.overrides = {{ \"many.test\" = [{addresses}] }}"
        );
        let client = client_with_names(&ScriptedResolver::new(), &keys);
        for _ in 0..60 {
            assert_eq!(get(&client, "http://many.test/").await.unwrap(), "hello");
        }
        let requests = servers.each_ref().map(|server| server.requests());
        assert!(
            requests.iter().all(|share| (10..=30).contains(share)),
            "h2: {h2}, {requests:?}"
        );
        assert_balanced(&client.stats());
    }
}

#[tokio::test]
async fn an_empty_override_takes_an_inherited_one_out() {
    let resolver = ScriptedResolver::new().name("a.test", Answer::Fail("asked".into()));
    let keys = "[global.dns.overrides]\n\"a.test\" = []\n[default.dns.overrides]\n\"a.test\" = [\"127.0.0.1\"]";
    let client = client_with_names(&resolver, keys);
    assert_says(&failure(&client, "http://a.test/").await, Kind::Dns, &["asked"]);
}

#[test]
fn a_host_that_no_url_names_so_is_refused_in_code_too() {
    let config = one_attempt().dns_override("A.test", [([127, 0, 0, 1], 0).into()]);
    let error = Client::new(config).unwrap_err();
    assert_eq!(
        error.to_string(),
        "default.dns.overrides.A.test: a host is written as URLs name it; write \"a.test\""
    );
}

#[cfg(not(feature = "hickory"))]
#[test]
fn a_resolver_that_was_not_built_in_is_refused_by_the_name_of_its_feature() {
    let mut config = one_attempt();
    config.profile_mut().transport.dns.resolver = httputil::settings::DnsResolver::Hickory;
    let in_code = Client::new(config).unwrap_err().to_string();
    let text = "[default]\ndns.resolver = \"hickory\"";
    let in_file = httputil::Config::builder().embedded("test.toml", text).load();
    for error in [in_code, in_file.unwrap_err().to_string()] {
        assert!(error.contains("default.dns.resolver = \"hickory\": "), "{error}");
        assert!(error.contains("feature \"hickory\""), "{error}");
    }
}

#[tokio::test]
async fn a_family_that_is_left_out_is_not_dialled() {
    let server = Server::builder().start().await;
    let v6 = std::net::IpAddr::from(std::net::Ipv6Addr::LOCALHOST);
    let resolver = ScriptedResolver::new()
        .name("both.test", answer([v6, loopback(1)]))
        .name("six.test", answer([v6]));
    let client = client_with_names(&resolver, "dns.prefer = \"ipv4_only\"");
    assert_eq!(get(&client, server.url_for("both.test", "/")).await.unwrap(), "hello");
    let error = failure(&client, "http://six.test/").await;
    assert_says(&error, Kind::Dns, &["six.test", "no IPv4 address", "dns.prefer"]);
}

#[tokio::test]
async fn a_preferred_family_is_dialled_first_and_the_other_when_it_fails() {
    if !has_ipv6() {
        return;
    }
    let v6 = std::net::IpAddr::from(std::net::Ipv6Addr::LOCALHOST);
    let server = Server::builder().start().await;
    let resolver = ScriptedResolver::new().name("both.test", answer([loopback(1), v6]));
    // Nobody listens on the IPv6 address.
    let client = client_with_names(&resolver, "dns.prefer = \"ipv6\"");
    assert_eq!(get(&client, server.url_for("both.test", "/")).await.unwrap(), "hello");
    let mut config = one_attempt().dns_prefer(DnsPreference::Ipv6Only);
    let transport = &mut config.profile_mut().transport;
    transport.proxy.from_env = false;
    let addresses = vec![(loopback(1), 0).into(), (v6, 0).into()];
    transport.dns.overrides.insert("both.test".to_owned(), addresses);
    let client = Client::new(config).unwrap();
    // An override says where to go, whatever the preference.
    assert_eq!(get(&client, server.url_for("both.test", "/")).await.unwrap(), "hello");
}

/// Of a name that needs no name server. What these answer is told beside the code, by one on loopback.
#[cfg(feature = "hickory")]
#[tokio::test]
async fn hickory_leads_to_the_addresses_of_a_name_and_is_not_asked_for_one_that_is_overridden() {
    use httputil::settings::{DnsBalance, DnsResolver};

    let server = Server::builder().start().await;
    for balance in [DnsBalance::First, DnsBalance::RoundRobin] {
        let config = config(|profile| {
            let dns = &mut profile.transport.dns;
            dns.resolver = DnsResolver::Hickory;
            dns.balance = balance;
            dns.overrides
                .insert("over.test".to_owned(), vec![([127, 0, 0, 1], 0).into()]);
        });
        let client = Client::new(config).unwrap();
        for (host, look_ups) in [("over.test", 0), ("localhost", 1)] {
            let answer = get(&client, server.url_for(host, "/")).await;
            assert_eq!(answer.unwrap(), "hello", "{host}, {balance:?}");
            assert_eq!(client.stats().dns_look_ups, look_ups, "{host}, {balance:?}");
        }
        assert_balanced(&client.stats());
    }
}
