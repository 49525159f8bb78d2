//! `[registry]`: what concerns all pools together.

use httputil::settings::MaxConnections;

use crate::scenario::Scenario;

fn max_connections(scenario: &Scenario) -> MaxConnections {
    scenario.config().registry().max_connections
}

#[test]
fn it_is_a_number_or_a_word_wherever_it_is_written() {
    for (value, expected) in [
        ("1000", MaxConnections::AtMost(1000)),
        ("auto", MaxConnections::Auto),
        ("none", MaxConnections::Unbounded),
    ] {
        let literal = value
            .parse::<u32>()
            .map_or_else(|_| format!("\"{value}\""), |number| number.to_string());
        let file = Scenario::main_file(&format!("[registry]\nmax_connections = {literal}"));
        let variable = Scenario::new().variable("HTTPUTIL_REGISTRY__MAX_CONNECTIONS", value);
        let code = Scenario::new().set("registry.max_connections", value);
        for scenario in [file, variable, code] {
            assert_eq!(max_connections(&scenario), expected, "{value}");
        }
    }
}

/// Each layer is added to all the weaker ones, and wins.
#[test]
fn later_layers_win() {
    let text = |number: u32| format!("[registry]\nmax_connections = {number}");
    let mut scenario = Scenario::new().variable("HTTPUTIL_ENV", "test");
    let embedded = |scenario: &Scenario| {
        let config = scenario.builder().embedded("embedded", text(1)).load().unwrap();
        config.registry().max_connections
    };
    assert_eq!(embedded(&scenario), MaxConnections::AtMost(1));
    scenario = scenario.file("httputil.toml", text(2));
    assert_eq!(embedded(&scenario), MaxConnections::AtMost(2));
    scenario = scenario.file("httputil.test.toml", text(3));
    assert_eq!(embedded(&scenario), MaxConnections::AtMost(3));
    scenario = scenario.file("httputil.local.toml", text(4));
    assert_eq!(embedded(&scenario), MaxConnections::AtMost(4));
    scenario = scenario.variable("HTTPUTIL_REGISTRY__MAX_CONNECTIONS", "5");
    assert_eq!(embedded(&scenario), MaxConnections::AtMost(5));
    scenario = scenario.set("registry.max_connections", "6");
    assert_eq!(embedded(&scenario), MaxConnections::AtMost(6));
}

#[test]
fn a_word_in_a_later_layer_takes_a_number_back() {
    let file = || Scenario::main_file("[registry]\nmax_connections = 7");
    let auto = file().variable("HTTPUTIL_REGISTRY__MAX_CONNECTIONS", "auto");
    assert_eq!(max_connections(&auto), MaxConnections::Auto);
    let none = file().set("registry.max_connections", "none");
    assert_eq!(max_connections(&none), MaxConnections::Unbounded);
}

#[test]
fn profiles_and_it_do_not_touch_each_other() {
    let scenario = Scenario::main_file(
        "[registry]\nmax_connections = 7\n[default.pool]\nmax_connections = 8\n[global.pool]\nmax_connections = 9",
    );
    assert_eq!(max_connections(&scenario), MaxConnections::AtMost(7));
    let config = scenario.config();
    assert_eq!(
        config.profile("default").unwrap().transport.pool.max_connections,
        Some(9)
    );
    assert_eq!(config.profiles(), ["default"]);
}

#[test]
fn it_is_no_profile() {
    let config = Scenario::main_file("[registry]\nmax_connections = 7").config();
    for error in [
        config.profile("registry").unwrap_err(),
        config.setting::<String>("registry", "endpoint").unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            "[registry] is no profile: it concerns all pools together"
        );
    }
}

#[test]
fn it_knows_and_explains_where_it_was_written() {
    let scenario =
        Scenario::main_file("[registry]\nmax_connections = 7").variable("HTTPUTIL_REGISTRY__MAX_CONNECTIONS", "8");
    let config = scenario.config();
    let origins = config.origins("registry", "max_connections").unwrap();
    let shown: Vec<String> = origins.iter().map(|origin| scenario.relative(origin)).collect();
    assert_eq!(shown, ["HTTPUTIL_REGISTRY__MAX_CONNECTIONS", "httputil.toml:2:19"]);
    assert_eq!(
        scenario.relative(&config.explain("registry").unwrap()),
        "registry\n\
         max_connections  8      HTTPUTIL_REGISTRY__MAX_CONNECTIONS, over httputil.toml:2:19\n\
         watch            false  built-in default\n\
         strict           true   built-in default\n"
    );
    assert_eq!(
        config.origin("registry", "max_conections").unwrap_err().to_string(),
        "there is no key max_conections; did you mean max_connections?"
    );
    assert_eq!(
        config.origin("registry", "settings.endpoint").unwrap_err().to_string(),
        "there is no key settings.endpoint"
    );
    let untouched = Scenario::new().config();
    assert_eq!(
        untouched.explain("registry").unwrap().to_string(),
        "registry\nmax_connections  \"auto\"  built-in default\nwatch            false   built-in default\nstrict           true    built-in default\n"
    );
}

/// For a fleet in mid-rollout: older programs read a file that newer ones know more of.
#[test]
fn a_key_that_is_not_known_is_a_warning_where_that_is_wished_for_and_everything_else_stays_a_mistake() {
    let text = "[registry]\nstrict = false\nshards = 4\n[a]\ntimeout = '5s'\ntimout = 'canary'\npool.spare = 'canary'\n\
                [a.cach]\nsize = 5\n";
    let scenario = Scenario::main_file(text).variable("HTTPUTIL_A__POOL__SPARES", "canary");
    let config = scenario.config();
    assert_eq!(
        config.profile("a").unwrap().policy.timeout,
        Some(std::time::Duration::from_secs(5))
    );
    let warnings = config.warnings();
    let lines: Vec<String> = warnings.iter().map(|warning| scenario.relative(warning)).collect();
    assert_eq!(
        lines,
        [
            "httputil.toml:3:1: registry.shards: unknown key",
            "httputil.toml:6:1: a.timout: unknown key; did you mean timeout?",
            "httputil.toml:7:6: a.pool.spare: unknown key",
            "httputil.toml:8:4: a.cach: unknown key",
            "HTTPUTIL_A__POOL__SPARES: unknown key",
        ]
    );
    assert_eq!(warnings[1].excerpt().unwrap(), "6 | timout = …\n  | ^^^^^^");
    let still = Scenario::main_file("[registry]\nstrict = false\n[a]\ntimeout = '5'\nnew = 1\n[b]\ninherits = 'c'\n")
        .variable("HTTPUTIL_C__TIMEOUT", "5s")
        .variable("HTTPUTIL_NEW", "5s");
    assert_eq!(
        still.messages(),
        "httputil.toml:4:11: a.timeout = \"5\": expected a duration such as \"10s\" or \"250ms\"\n\
         HTTPUTIL_C__TIMEOUT: no profile is called c; did you mean HTTPUTIL_A__TIMEOUT?\n\
         HTTPUTIL_NEW: unknown variable\n\
         httputil.toml:7:12: b.inherits: no profile is called c; did you mean a?"
    );
    // Whatever layer says it, the strongest counts.
    let strict =
        Scenario::main_file("[registry]\nstrict = false\n[a]\nnew = 1\n").variable("HTTPUTIL_REGISTRY__STRICT", "true");
    assert_eq!(
        strict.messages(),
        "httputil.toml:4:1: a.new: unknown key; a service's own settings stand in [a.settings]"
    );
}
