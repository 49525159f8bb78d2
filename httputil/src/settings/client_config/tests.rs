//! What the methods come to.

use std::net::IpAddr;
use std::time::Duration;

use super::ClientConfig;
use crate::settings::{DnsBalance, DnsPreference, PhaseBound, Pool, Profile};

fn pool(config: ClientConfig) -> Pool {
    config.profile.transport.pool
}

#[test]
fn of_caps_that_do_not_fit_together_the_later_one_wins() {
    let caps = |config: ClientConfig| {
        let pool = pool(config);
        (pool.min_idle_per_host, pool.max_idle_per_host, pool.max_idle)
    };
    let config = ClientConfig::default;
    assert_eq!(caps(config().min_idle_per_host(200)), (200, 200, 200));
    assert_eq!(caps(config().min_idle_per_host(20).max_idle(5)), (5, 5, 5));
    assert_eq!(caps(config().min_idle_per_host(20).max_idle_per_host(5)), (5, 5, 100));
    assert_eq!(
        caps(config().min_idle_per_host(8).max_connections_per_host(5)),
        (5, 10, 100)
    );
    assert_eq!(caps(config().min_idle_per_host(8).max_connections(5)), (5, 10, 100));
    let caps = |config: ClientConfig| {
        let pool = pool(config);
        (pool.max_connections_per_host, pool.max_connections)
    };
    assert_eq!(caps(config().max_connections_per_host(8)), (Some(8), None));
    assert_eq!(caps(config().max_connections(8)), (None, Some(8)));
    let both = config().max_connections_per_host(8).max_connections(5);
    assert_eq!(caps(both.clone()), (Some(5), Some(5)));
    assert_eq!(caps(both.max_connections_per_host(7)), (Some(7), Some(7)));
    assert_eq!(caps(config().max_connections(5).min_idle_per_host(6)), (None, Some(6)));
}

#[test]
fn caps_of_nothing_are_caps_of_one() {
    let config = ClientConfig::default()
        .max_connections(0)
        .max_connections_per_host(0)
        .max_requests_per_connection(0)
        .http2_max_connections_per_host(0)
        .http2_max_streams_per_connection(0);
    let http2 = config.profile.transport.http2.clone();
    assert_eq!(
        (http2.max_connections_per_host, http2.max_streams_per_connection),
        (1, 1)
    );
    let pool = pool(config);
    assert_eq!(
        (pool.max_connections, pool.max_connections_per_host),
        (Some(1), Some(1))
    );
    assert_eq!(pool.max_requests_per_connection, Some(1));
}

#[test]
fn every_method_sets_its_setting() {
    let seconds = Duration::from_secs;
    let config = ClientConfig::default()
        .pool_wait(seconds(1))
        .attempt_timeout(seconds(12))
        .response_header_timeout(seconds(13))
        .read_timeout(seconds(14))
        .write_timeout(seconds(15))
        .max_lifetime(seconds(2))
        .max_requests_per_connection(3)
        .warm(["http://one", "http://two"])
        .http2_keepalive(seconds(4), seconds(5))
        .http2_keepalive_while_idle(true)
        .http2_max_connections_per_host(6)
        .http2_max_streams_per_connection(7)
        .client_certificate("cert.pem", "key.pem")
        .pins(["sha256/8"])
        .crl_files(["list.pem"])
        .server_name("nine.test")
        .base_url("http://eleven.test")
        .local_address(IpAddr::from([127, 0, 0, 10]))
        .dns_ttl(seconds(8))
        .dns_stale_for(seconds(9))
        .dns_prefer(DnsPreference::Ipv4)
        .dns_balance(DnsBalance::RoundRobin)
        .dns_override("a", [([10, 0, 0, 1], 0).into()]);
    let Profile { policy, transport, .. } = config.profile.clone();
    assert_eq!(policy.pool_wait, seconds(1));
    assert_eq!(
        (policy.attempt, policy.response_header),
        (Some(seconds(12)), Some(seconds(13)))
    );
    assert_eq!(
        (policy.read, policy.write),
        (PhaseBound::After(seconds(14)), PhaseBound::After(seconds(15)))
    );
    let off = config.clone().no_read_timeout().no_write_timeout().profile.policy;
    assert_eq!((off.read, off.write), (PhaseBound::Off, PhaseBound::Off));
    assert_eq!(policy.base_url, ["http://eleven.test"]);
    assert_eq!(transport.pool.max_lifetime, Some(seconds(2)));
    assert_eq!(transport.pool.max_requests_per_connection, Some(3));
    assert_eq!(transport.pool.warm, ["http://one", "http://two"]);
    let tls = transport.tls;
    assert_eq!(
        (tls.cert_file, tls.key_file),
        (Some("cert.pem".into()), Some("key.pem".into()))
    );
    assert_eq!(
        (tls.pins, tls.crl_files),
        (vec!["sha256/8".into()], vec!["list.pem".into()])
    );
    assert_eq!(tls.server_name.as_deref(), Some("nine.test"));
    assert_eq!(transport.tcp.local_address, Some(IpAddr::from([127, 0, 0, 10])));
    let dns = transport.dns;
    assert_eq!((dns.ttl, dns.stale_for), (seconds(8), seconds(9)));
    assert_eq!((dns.prefer, dns.balance), (DnsPreference::Ipv4, DnsBalance::RoundRobin));
    assert_eq!(dns.overrides["a"], [([10, 0, 0, 1], 0).into()]);
    let http2 = transport.http2;
    assert_eq!(
        (http2.keepalive_interval, http2.keepalive_timeout),
        (seconds(4), seconds(5))
    );
    assert!(http2.keepalive_while_idle);
    assert_eq!(
        (http2.max_connections_per_host, http2.max_streams_per_connection),
        (6, 7)
    );
    assert_eq!(pool(config.no_max_lifetime()).max_lifetime, None);
}
