//! Why a profile is as it is.

use httputil::{Config, Explanation, Origin};

use crate::scenario::Scenario;

fn explain(scenario: &Scenario, profile: &str) -> Explanation {
    scenario.config().explain(profile).unwrap()
}

/// One line of the table, words apart by one space.
fn line(scenario: &Scenario, profile: &str, key: &str) -> String {
    let table = scenario.relative(&explain(scenario, profile));
    let found = table.lines().find(|line| line.split(' ').next() == Some(key));
    let words: Vec<&str> = found.unwrap_or_default().split_whitespace().collect();
    words.join(" ")
}

#[test]
fn a_key_shows_who_set_it_and_everything_that_it_hides() {
    let scenario = Scenario::main_file(
        "[default]\ntimeout = \"40s\"\n[parent]\ntimeout = \"50s\"\n[a]\ninherits = \"parent\"\ntimeout = \"60s\"",
    )
    .file("httputil.local.toml", "[a]\ntimeout = \"70s\"")
    .variable("HTTPUTIL_GLOBAL__TIMEOUT", "5s")
    .set("a.timeout", "80s");
    assert_eq!(
        line(&scenario, "a", "timeout"),
        "timeout \"5s\" HTTPUTIL_GLOBAL__TIMEOUT, over set in code: a.timeout, over httputil.local.toml:2:11, \
         over httputil.toml:7:11, over httputil.toml:4:11 [parent], over httputil.toml:2:11 [default]"
    );
    let explanation = explain(&scenario, "a");
    let timeout = explanation.key("timeout").unwrap();
    assert_eq!(timeout.value.as_deref(), Some("\"5s\""));
    assert!(matches!(timeout.origin(), Origin::Variable(_)));
    let tables: Vec<&str> = timeout.places.iter().map(|place| place.table.as_str()).collect();
    assert_eq!(tables, ["global", "a", "a", "a", "parent", "default"]);
    assert_eq!(timeout.shadowed().len(), 5);
}

#[test]
fn the_places_are_those_that_origins_tells() {
    let scenario = Scenario::main_file("[a]\npool.max_idle = 7\n[default.pool]\nmax_idle = 8");
    let explanation = explain(&scenario, "a");
    for key in &explanation.keys {
        let places: Vec<Origin> = key.places.iter().map(|place| place.origin.clone()).collect();
        assert_eq!(places, scenario.config().origins("a", &key.key).unwrap(), "{}", key.key);
    }
}

#[test]
fn what_nobody_wrote_is_the_built_in_default() {
    let explanation = Config::empty().explain("default").unwrap();
    assert_eq!(explanation.keys.len(), 118);
    for key in &explanation.keys {
        assert_eq!(*key.origin(), Origin::BuiltIn, "{}", key.key);
        assert!(key.shadowed().is_empty() && key.follows.is_none(), "{}", key.key);
    }
    let scenario = Scenario::main_file("[a]");
    assert_eq!(
        line(&scenario, "a", "pool.idle_timeout"),
        "pool.idle_timeout \"1m30s\" built-in default"
    );
    assert_eq!(line(&scenario, "a", "pool.name"), "pool.name \"a\" built-in default");
}

#[test]
fn a_value_that_follows_another_key_says_so() {
    let scenario =
        Scenario::main_file("[a]\npool.max_idle = 4\ntcp.keepalive = \"5s\"\n[b]\npool.max_idle_per_host = 200");
    let per_host = "pool.max_idle_per_host";
    assert_eq!(
        line(&scenario, "a", per_host),
        "pool.max_idle_per_host 4 follows pool.max_idle"
    );
    assert_eq!(
        line(&scenario, "a", "tcp.keepalive_interval"),
        "tcp.keepalive_interval \"5s\" follows tcp.keepalive"
    );
    assert_eq!(
        line(&scenario, "b", "pool.max_idle"),
        "pool.max_idle 200 follows pool.max_idle_per_host"
    );
    let scenario = Scenario::main_file("[a]\ntimeout = \"none\"\ntimeouts.write = \"none\"");
    assert_eq!(
        line(&scenario, "a", "timeouts.read"),
        "timeouts.read \"1m\" follows timeout"
    );
    assert_eq!(
        line(&scenario, "a", "timeouts.write"),
        "timeouts.write \"none\" httputil.toml:3:18"
    );
    let scenario = Scenario::main_file("[a]\npool.min_idle_per_host = 20");
    assert_eq!(
        line(&scenario, "a", per_host),
        "pool.max_idle_per_host 20 follows pool.min_idle_per_host"
    );
}

#[test]
fn what_is_not_inherited_is_not_shown_of_a_parent() {
    let scenario = Scenario::main_file(
        "[parent]\ndescription = \"the parent\"\n[a]\ninherits = [\"parent\"]\n[b]\ndescription = \"for people\"",
    );
    assert_eq!(
        line(&scenario, "a", "inherits"),
        "inherits [\"parent\"] httputil.toml:4:12"
    );
    assert_eq!(line(&scenario, "a", "description"), "");
    assert_eq!(
        line(&scenario, "b", "description"),
        "description \"for people\" httputil.toml:6:15"
    );
}

#[test]
fn a_setting_shows_its_places_and_never_its_value() {
    let scenario = Scenario::main_file(
        "[parent.settings]\ntoken = \"canary\"\ntable = { canary = \"canary\" }\n[a]\ninherits = \"parent\"\n\
         [a.settings]\nlist = [\"canary\"]",
    )
    .variable("HTTPUTIL_A__SETTINGS__TOKEN", "canary");
    let explanation = explain(&scenario, "a");
    assert!(!format!("{explanation} {explanation:#?}").contains("canary"));
    assert_eq!(
        line(&scenario, "a", "settings.token"),
        "settings.token (not shown) HTTPUTIL_A__SETTINGS__TOKEN, over httputil.toml:2:9 [parent]"
    );
    assert_eq!(
        line(&scenario, "a", "settings.table"),
        "settings.table (not shown) httputil.toml:3:1 [parent]"
    );
}

#[test]
fn the_table_is_straight_and_in_order() {
    let scenario = Scenario::main_file("[a]\ndescription = \"x\"\n[a.settings]\nb = 1");
    let table = explain(&scenario, "a").to_string();
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("a"));
    let keys: Vec<&str> = lines.clone().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(keys[..5], ["base_url", "cookies", "description", "headers", "timeout"]);
    assert_eq!(keys.last(), Some(&"settings.b"));
    let column = |line: &str| {
        line.find("built-in")
            .or_else(|| line.find(&*scenario.path("").to_string_lossy()))
    };
    // What is too long for the column stands beyond it.
    let is_long = |line: &&str| {
        ["retry.methods ", "retry.statuses "]
            .iter()
            .any(|key| line.starts_with(key))
    };
    let columns: Vec<Option<usize>> = lines.filter(|line| !is_long(line)).map(column).collect();
    assert!(
        columns.iter().all(|each| each.is_some() && *each == columns[0]),
        "{table}"
    );
}

#[test]
fn an_unknown_profile_is_an_error_with_the_nearest_name() {
    let error = Scenario::main_file("[telemetry]")
        .config()
        .explain("telemetri")
        .unwrap_err();
    assert!(error.to_string().contains("did you mean telemetry?"), "{error}");
}
