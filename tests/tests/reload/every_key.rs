//! Each key on its own, as the reference of keys lists them: what is transport makes the connections from before go, and what
//! is policy leaves them.

use std::collections::BTreeSet;
use std::path::Path;

use httputil::{CloseReason, Config, ConfigBuilder, Environment, ProfileChange, Registry};
use httputil_tests::ca::Ca;
use httputil_tests::server::Server;

use crate::common::{assert_all_gone, get, until, url};
use crate::scene::{Folder, quoted};

/// Every key with a value that is neither the default nor what `base` says, as it would be written in a variable.
const OTHERS: &str = "
auth.basic.password       other
auth.basic.username       other
auth.bearer               other
auth.oauth2.audience      other
auth.oauth2.client_auth   body
auth.oauth2.client_id     other
auth.oauth2.client_secret other
auth.oauth2.scopes        other
auth.oauth2.token_url     https://other.example/token
auth.origins              https://other.example
base_url                  https://other.example
breaker.enabled           false
breaker.failure_ratio     0.7
breaker.half_open_requests 2
breaker.max_open_for      50s
breaker.min_requests      30
breaker.open_for          6s
breaker.window            20s
compression.accept        gzip
compression.max_ratio     50
cookies                   true
dns.balance               round_robin
dns.overrides             { 'x.example' = ['10.0.0.1:1'] }
dns.prefer                ipv4
dns.resolver              hickory
dns.stale_for             1s
dns.ttl                   1s
egress.allow              *.example
egress.deny               10.0.0.0/8
egress.deny_private       true
egress.https_only         true
egress.trust_proxy        true
headers                   { x-team = 'one' }
hedge.after               1s
http1.max_header_bytes    32KiB
http1.max_headers         50
http1.title_case_headers  true
http2.adaptive_window     true
http2.enabled             false
http2.initial_connection_window 1MiB
http2.initial_stream_window 1MiB
http2.keepalive_interval  11s
http2.keepalive_timeout   6s
http2.keepalive_while_idle true
http2.max_connections_per_host 2
http2.max_frame_size      32KiB
http2.max_header_list_size 32KiB
http2.max_streams_per_connection 10
http2.prior_knowledge     true
limit.burst               5
limit.max_concurrent      5
limit.max_concurrent_per_host 5
limit.max_response_bytes  1MiB
limit.queue               5
limit.rate                50/s
pool.hibernate_after      1s
pool.idle_timeout         80s
pool.max_connections      10
pool.max_connections_per_host 10
pool.max_idle             90
pool.max_idle_per_host    9
pool.max_lifetime         none
pool.max_requests_per_connection 9
pool.min_idle_per_host    1
pool.reuse                false
pool.warm                 http://127.0.0.1:1/
proxy.from_env            false
proxy.http                http://127.0.0.1:1
proxy.https               http://127.0.0.1:1
proxy.no_proxy            one.example
proxy.password            other
proxy.url                 http://127.0.0.1:1
proxy.username            other
redirect.cross_origin     false
redirect.downgrade        true
redirect.max              5
retry.backoff.base        50ms
retry.backoff.jitter      equal
retry.backoff.max         4s
retry.budget.min_per_second 2
retry.budget.ratio        0.2
retry.idempotency_header  X-Key
retry.max_attempts        2
retry.max_retry_after     20s
retry.methods             GET
retry.respect_retry_after false
retry.statuses            503
tcp.interface             lo
tcp.keepalive             45s
tcp.keepalive_interval    45s
tcp.keepalive_retries     5
tcp.local_address         127.0.0.1
tcp.nodelay               false
tcp.user_timeout          none
timeout                   20s
timeouts.attempt          5s
timeouts.connect          29s
timeouts.dns              9s
timeouts.expect_continue  2s
timeouts.pool_wait        5s
timeouts.proxy_connect    9s
timeouts.read             5s
timeouts.response_header  5s
timeouts.tls_handshake    9s
timeouts.write            5s
tls.ca_file               FOLDER/ca.pem
tls.cert_file             FOLDER/cert2.pem
tls.crl_files             FOLDER/list.crl
tls.extra_ca_file         FOLDER/ca.pem
tls.insecure_skip_verify  true
tls.key_file              FOLDER/key2.pem
tls.max_version           1.2
tls.min_version           1.3
tls.pins                  PIN
tls.roots                 bundled
tls.server_name           other.example
user_agent                other";

/// What a client does not follow by itself, or what this program was built without.
const LEFT_OUT: [&str; 7] = [
    "compression.accept",
    "cookies",
    "description",
    "dns.resolver",
    "inherits",
    "pool.name",
    "settings",
];

/// The keys of a profile, and whether each is transport.
fn keys() -> Vec<(String, bool)> {
    let page = Config::reference();
    let entries = page.split("\n### `").skip(1);
    let marked = entries.filter_map(|entry| {
        let (key, rest) = entry.split_once('`')?;
        let is = |mark: &str| rest.lines().any(|line| line == mark);
        let is_of_a_profile = is("- transport") || is("- policy") || LEFT_OUT.contains(&key);
        is_of_a_profile.then(|| (key.to_owned(), is("- transport")))
    });
    marked.collect()
}

/// A profile with some things that others need beside them.
fn base(key: &str, folder: &Folder) -> ConfigBuilder {
    let auth = if key.starts_with("auth.basic") {
        "basic = { username = 'us', password = 'word' }"
    } else if key.starts_with("auth.oauth2") {
        "oauth2 = { token_url = 'https://login.example/token', client_id = 'us', client_secret = 'word' }"
    } else {
        "bearer = 'token'"
    };
    let (cert, private) = (folder.path("cert.pem"), folder.path("key.pem"));
    let text = format!(
        "[telemetry]\nproxy = {{ username = 'us', password = 'word' }}\n\
         tls = {{ cert_file = {}, key_file = {} }}\n\
         auth = {{ {auth}, origins = ['https://one.example'] }}\n",
        quoted(&cert),
        quoted(&private)
    );
    let environment = Environment::empty().with("HTTPUTIL_ENV", "test");
    Config::builder().embedded("test.toml", text).env(&environment)
}

#[tokio::test]
async fn what_shapes_connections_renews_them_and_nothing_else_does() {
    let (folder, ca) = (Folder::new(), Ca::new());
    let identity = ca.issue_client("us");
    for name in ["cert.pem", "cert2.pem"] {
        folder.write(name, identity.certificate_pem());
    }
    for name in ["key.pem", "key2.pem"] {
        folder.write(name, identity.key_pem());
    }
    folder.ca("ca.pem", &ca);
    std::fs::write(folder.path("list.crl"), ca.revoke([]).der()).unwrap();
    let root = folder.path("");
    let filled = |value: &str| value.replace("FOLDER/", &shown(&root)).replace("PIN", identity.pin());

    let others: Vec<(&str, &str)> = OTHERS.lines().filter_map(|line| line.split_once(' ')).collect();
    let listed: BTreeSet<&str> = others.iter().map(|(key, _)| *key).collect();
    let keys = keys();
    for (key, _) in &keys {
        assert!(
            listed.contains(key.as_str()) || LEFT_OUT.contains(&key.as_str()),
            "{key} is not looked at"
        );
    }
    let transport: BTreeSet<&str> = keys.iter().filter(|(_, is)| *is).map(|(key, _)| key.as_str()).collect();
    assert!(transport.len() > 60, "{transport:?}");

    let server = Server::builder().start().await;
    for (key, value) in others {
        let is_missing = (key == "dns.resolver" && !cfg!(feature = "hickory"))
            || (key == "compression.accept" && !cfg!(feature = "compression"))
            || (key == "cookies" && !cfg!(feature = "cookies"))
            || (key.starts_with("auth.oauth2") && !cfg!(feature = "oauth2"));
        if is_missing {
            continue;
        }
        let config = base(key, &folder).load().unwrap();
        let registry = Registry::builder().config(config).build().unwrap();
        let client = registry.client("telemetry").unwrap();
        get(&client, &url(&server, "/")).await;
        until(&client, "an idle connection", |stats| stats.idle == 1).await;
        let other = base(key, &folder).set(format!("telemetry.{key}"), filled(value.trim()));
        let other = other.load().unwrap_or_else(|error| panic!("{error}"));
        let report = registry.reload(other).unwrap_or_else(|error| panic!("{key}: {error}"));
        let told = report.profile("telemetry").unwrap();
        if transport.contains(key) {
            assert_eq!(told, ProfileChange::Transport, "{key}");
            until(&client, key, |stats| stats.closed_for(CloseReason::Reloaded) == 1).await;
        } else {
            assert_eq!(told, ProfileChange::Policy, "{key}");
            let stats = client.stats();
            assert_eq!((stats.idle, stats.closed_total()), (1, 0), "{key}");
        }
        assert_all_gone(&client).await;
    }
}

fn shown(folder: &Path) -> String {
    let shown = folder.display().to_string();
    if shown.ends_with('/') {
        shown
    } else {
        format!("{shown}/")
    }
}
