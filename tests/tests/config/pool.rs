//! The keys of the pool that are not one plain value: lists of URLs, whole numbers or `"none"`.

use std::time::Duration;

use httputil::settings::{Http2, Pool, Profile};

use crate::scenario::Scenario;

/// Every key of the pool and of HTTP/2's keep-alive, as an inline table would have them.
const POOL: &str = "{ max_lifetime = '1h', max_requests_per_connection = 1000, max_connections_per_host = 20, \
                    max_connections = 200, min_idle_per_host = 2, warm = ['https://one:8443/x', 'http://[::1]'] }";
const HTTP2: &str = "{ keepalive_interval = '20s', keepalive_timeout = '2s', keepalive_while_idle = true }";

fn profile(scenario: &Scenario) -> Profile {
    scenario.config().profile("a").unwrap()
}

fn assert_all_set(pool: &Pool, http2: &Http2) {
    assert_eq!(pool.max_lifetime, Some(Duration::from_hours(1)));
    assert_eq!(pool.max_requests_per_connection, Some(1000));
    assert_eq!(pool.max_connections_per_host, Some(20));
    assert_eq!(pool.max_connections, Some(200));
    assert_eq!(pool.min_idle_per_host, 2);
    assert_eq!(pool.warm, ["https://one:8443/x", "http://[::1]"]);
    assert_eq!(http2.keepalive_interval, Duration::from_secs(20));
    assert_eq!(http2.keepalive_timeout, Duration::from_secs(2));
    assert!(http2.keepalive_while_idle);
}

#[test]
fn whole_tables_may_stand_in_a_file_in_variables_or_in_code() {
    let in_file = Scenario::main_file(&format!("[a]\npool = {POOL}\nhttp2 = {HTTP2}"));
    let in_variables = Scenario::main_file("[a]")
        .variable("HTTPUTIL_A__POOL", POOL)
        .variable("HTTPUTIL_A__HTTP2", HTTP2);
    let in_code = Scenario::main_file("[a]").set("a.pool", POOL).set("a.http2", HTTP2);
    for scenario in [in_file, in_variables, in_code] {
        let transport = profile(&scenario).transport;
        assert_all_set(&transport.pool, &transport.http2);
    }
}

#[test]
fn a_list_in_a_variable_has_brackets_or_commas() {
    let warm = |value: &str| {
        let scenario = Scenario::main_file("[a]").variable("HTTPUTIL_A__POOL__WARM", value);
        profile(&scenario).transport.pool.warm
    };
    let both = ["http://one", "https://two:1"];
    assert_eq!(warm("http://one,https://two:1"), both);
    assert_eq!(warm("http://one, https://two:1"), both);
    assert_eq!(warm("['http://one', \"https://two:1\"]"), both);
    assert_eq!(warm("http://one"), ["http://one"]);
    assert!(warm("[]").is_empty());
}

#[test]
fn an_empty_list_takes_an_inherited_one_back() {
    let scenario = Scenario::main_file("[default.pool]\nwarm = [\"http://one\"]\n[a.pool]\nwarm = []");
    assert!(profile(&scenario).transport.pool.warm.is_empty());
    assert_eq!(
        scenario.config().profile("default").unwrap().transport.pool.warm.len(),
        1
    );
}

#[test]
fn what_explains_a_profile_shows_them_as_they_would_be_written() {
    let scenario = Scenario::main_file(&format!("[a]\npool = {POOL}\nhttp2 = {HTTP2}"));
    let explanation = scenario.config().explain("a").unwrap();
    let value = |key: &str| explanation.key(key).unwrap().value.clone().unwrap();
    assert_eq!(value("pool.max_lifetime"), "\"1h\"");
    assert_eq!(value("pool.max_connections"), "200");
    assert_eq!(value("pool.warm"), "[\"https://one:8443/x\", \"http://[::1]\"]");
    assert_eq!(value("http2.keepalive_while_idle"), "true");
    let untouched = Scenario::main_file("[a]").config().explain("a").unwrap();
    let value = |key: &str| untouched.key(key).unwrap().value.clone().unwrap();
    assert_eq!(value("pool.max_requests_per_connection"), "\"none\"");
    assert_eq!(value("pool.warm"), "[]");
}

#[test]
fn profiles_that_share_a_pool_must_agree_on_them() {
    let text = "[a.pool]\nname = \"s\"\nmax_connections = 7\n[b.pool]\nname = \"s\"";
    assert_eq!(
        Scenario::main_file(text).messages(),
        "httputil.toml:5:8: profiles a and b share the pool s but differ in pool.max_connections: \
         7 (httputil.toml:3:19) and \"none\" (built-in default)"
    );
}
