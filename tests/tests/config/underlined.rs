//! A problem with the file's line below it: the key underlined, and no value.

use httputil::{Client, PooledClient, Registry};

use crate::scenario::Scenario;

fn underlined(scenario: &Scenario) -> String {
    let error = scenario.load().expect_err("the scenario has a mistake");
    scenario.relative(&format!("{error:#}"))
}

#[test]
fn the_line_is_shown_with_its_key_underlined_and_its_value_left_out() {
    let scenario = Scenario::main_file("[telemetry]\n\n  timeuot = \"canary\" # canary\n[events.pool]\nmax_idle=-1\n");
    assert_eq!(
        underlined(&scenario),
        "httputil.toml:3:3: telemetry.timeuot: unknown key; did you mean timeout?\n\
         \x20 3 | timeuot = …\n\
         \x20   | ^^^^^^^\n\
         httputil.toml:5:10: events.pool.max_idle = -1: expected a whole number, 0 or more\n\
         \x20 5 | max_idle = …\n\
         \x20   | ^^^^^^^^"
    );
}

#[test]
fn each_file_shows_its_own_line_and_a_variable_none() {
    let scenario = Scenario::main_file("[a]\nx.timeout = 1")
        .file("httputil.local.toml", "[a]\n\n\n\n\n\n\n\n\ntimeout = 1")
        .variable("HTTPUTIL_A__TIMEOUT", "1");
    assert_eq!(
        underlined(&scenario),
        "httputil.toml:2:1: a.x: unknown key; if it is a profile, its name has no dot: [a_x]\n\
         \x20 2 | x.timeout = …\n\
         \x20   | ^\n\
         httputil.local.toml:10:11: a.timeout = 1: a duration is text with a unit; write \"1s\" or \"1ms\"\n\
         \x20 10 | timeout = …\n\
         \x20    | ^^^^^^^\n\
         HTTPUTIL_A__TIMEOUT=\"1\": expected a duration such as \"10s\" or \"250ms\""
    );
}

#[test]
fn of_a_file_that_is_no_toml_nothing_is_shown_that_could_be_a_value() {
    let scenario = Scenario::main_file("[a]\ntimeout = canary\ncanary= = 1\n");
    assert_eq!(
        underlined(&scenario),
        "httputil.toml:2:11: not TOML: text must stand in quotes\n\
         \x20 2 | timeout = …\n\
         \x20   | ^^^^^^^\n\
         httputil.toml:3:9: not TOML: extra `=`, expected nothing"
    );
}

#[derive(Debug, PooledClient)]
#[pooled_client(profile = "telemetry", unchecked)]
struct Exporter {
    client: Client,
    #[pooled_client(setting)]
    endpoint: url::Url,
    #[pooled_client(setting)]
    batch: u32,
}

#[test]
fn a_service_s_settings_are_underlined_too() {
    let text = "[telemetry.settings]\nendpoint = \"canary\"\nbacth = 3\n";
    let registry = Registry::builder()
        .config(Scenario::main_file(text).config())
        .build()
        .unwrap();
    let error = Exporter::with_registry(&registry)
        .map(|exporter| (exporter.endpoint.clone(), exporter.batch))
        .unwrap_err();
    let shown = format!("{error:#}");
    for lines in ["  2 | endpoint = …\n    | ^^^^^^^^", "  3 | bacth = …\n    | ^^^^^"] {
        assert!(shown.contains(lines), "{shown}");
    }
    assert!(!shown.contains("canary"), "{shown}");
}
