//! `httputil env`.

use std::collections::BTreeSet;

use httputil::Config;

use crate::program::Desk;

fn row(said: &str, name: &str) -> Vec<String> {
    let found = said.lines().find(|line| line.split(' ').next() == Some(name));
    let words = found.unwrap_or_default().split("  ").map(str::trim);
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[test]
fn every_variable_is_listed_with_today_s_value_and_who_set_it() {
    let desk = Desk::with("[telemetry]\ntimeout = \"10s\"\n[telemetry.settings]\ntoken = \"canary\"\n")
        .variable("HTTPUTIL_TELEMETRY__POOL__MAX_IDLE", "50")
        .variable("HTTPUTIL_ENV", "production");
    let said = desk.run(&["env", "telemetry"]).said();
    let row = |name: &str| row(&said, name);
    assert_eq!(row("HTTPUTIL_TELEMETRY__TIMEOUT")[1..], ["10s", "httputil.toml:2:11"]);
    assert_eq!(row("HTTPUTIL_TELEMETRY__POOL__MAX_IDLE")[1..], ["50", "set"]);
    assert_eq!(
        row("HTTPUTIL_TELEMETRY__TCP__NODELAY")[1..],
        ["true", "built-in default"]
    );
    assert_eq!(row("HTTPUTIL_TELEMETRY__DESCRIPTION")[1..], ["not set"]);
    assert_eq!(
        row("HTTPUTIL_TELEMETRY__SETTINGS__TOKEN")[1..],
        ["(not shown)", "httputil.toml:4:9"]
    );
    assert_eq!(row("HTTPUTIL_ENV")[1], "production");
    assert!(!said.contains("INHERITS"), "{said}");
}

#[test]
fn what_another_variable_or_key_says_is_called_so() {
    let desk = Desk::with("[telemetry]\npool.max_idle = 5\n").variable("NO_PROXY", "a.example");
    let said = desk.run(&["env", "telemetry"]).said();
    for (name, leader) in [
        ("HTTPUTIL_TELEMETRY__PROXY__NO_PROXY ", "follows NO_PROXY"),
        ("HTTPUTIL_TELEMETRY__POOL__MAX_IDLE_PER_HOST ", "follows pool.max_idle"),
    ] {
        let line = said.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line.ends_with(leader), "{line}");
    }
    let json = desk.run(&["env", "telemetry", "--json"]).json();
    let variables = json["variables"].as_array().unwrap();
    assert!(
        variables
            .iter()
            .any(|variable| variable["key"] == "proxy.no_proxy" && variable["follows"] == "NO_PROXY"),
        "{json}"
    );
}

#[test]
fn each_variable_that_it_lists_is_taken_with_the_value_that_it_lists() {
    let desk = Desk::with("[telemetry]\n");
    let listed = desk.run(&["env", "telemetry"]).said();
    let mut taken = Desk::with("[telemetry]\n");
    for line in listed.lines().filter(|line| line.ends_with("built-in default")) {
        // A list has spaces of its own.
        let (name, value) = line.trim().split_once(' ').unwrap();
        taken = taken.variable(name, value.trim_end_matches("built-in default").trim());
    }
    let said = taken.run(&["env", "telemetry"]).said();
    let is_set = |line: &&str| line.ends_with("  set");
    assert_eq!(
        said.lines().filter(is_set).count(),
        listed.lines().filter(|line| line.ends_with("built-in default")).count()
    );
}

#[test]
fn no_key_of_a_profile_is_left_out() {
    let listed = Desk::with("[telemetry]\n").run(&["env", "telemetry", "--json"]).json();
    let listed: BTreeSet<&str> = listed["variables"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|variable| variable["key"].as_str())
        .collect();
    let config = Config::builder().embedded("built in", "[telemetry]").load().unwrap();
    for key in config.explain("telemetry").unwrap().keys {
        assert!(listed.contains(key.key.as_str()), "{}", key.key);
    }
}

#[test]
fn the_default_profile_shares_no_pool_and_the_registry_has_its_own() {
    let desk = Desk::new();
    let said = desk.run(&["env", "default"]).said();
    assert!(
        said.contains("HTTPUTIL_DEFAULT__TIMEOUT") && !said.contains("POOL__NAME"),
        "{said}"
    );
    let said = desk.run(&["env", "registry"]).said();
    assert_eq!(
        row(&said, "HTTPUTIL_REGISTRY__MAX_CONNECTIONS")[1..],
        ["auto", "built-in default"]
    );
    assert!(
        desk.run(&["env", "nothing"])
            .failed()
            .contains("no profile is called nothing")
    );
}

#[test]
fn programs_read_json() {
    let desk = Desk::with("[telemetry.settings]\ntoken = \"canary\"\n").variable("HTTPUTIL_TELEMETRY__TIMEOUT", "3s");
    let listed = desk.run(&["env", "telemetry", "--json"]).json();
    let variables = listed["variables"].as_array().unwrap();
    let variable = |name: &str| variables.iter().find(|variable| variable["name"] == name).unwrap();
    let timeout = variable("HTTPUTIL_TELEMETRY__TIMEOUT");
    assert_eq!((&timeout["set"], &timeout["value"]), (&true.into(), &"3s".into()));
    let token = variable("HTTPUTIL_TELEMETRY__SETTINGS__TOKEN");
    assert_eq!(
        (&token["set"], &token["hidden"], &token["value"]),
        (&false.into(), &true.into(), &serde_json::Value::Null)
    );
}
