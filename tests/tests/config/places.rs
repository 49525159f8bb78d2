//! Every value knows where it was written.

use httputil::{Config, Kind};

use crate::scenario::Scenario;

#[test]
fn an_origin_is_a_line_and_a_column_or_a_variable_or_code_or_built_in() {
    let scenario = Scenario::main_file("[a]\n  timeout = \"1s\"\n[a.settings]\nendpoint = \"x\"")
        .variable("HTTPUTIL_A__POOL__MAX_IDLE", "20")
        .set("a.timeouts.dns", "1s");
    let config = scenario.config();
    let origin = |key: &str| scenario.relative(&config.origin("a", key).unwrap());
    assert_eq!(origin("timeout"), "httputil.toml:2:13");
    assert_eq!(origin("settings.endpoint"), "httputil.toml:4:12");
    assert_eq!(origin("pool.max_idle"), "HTTPUTIL_A__POOL__MAX_IDLE");
    assert_eq!(origin("timeouts.dns"), "set in code: a.timeouts.dns");
    assert_eq!(origin("pool.reuse"), "built-in default");
}

#[test]
fn what_is_shadowed_is_listed_after_what_is_in_force() {
    let scenario = Scenario::main_file(
        "[default]\ntimeout = \"3s\"\n[p]\ntimeout = \"2s\"\n[a]\ninherits = \"p\"\ntimeout = \"1s\"",
    )
    .variable("HTTPUTIL_DEFAULT__TIMEOUT", "4s")
    .variable("HTTPUTIL_GLOBAL__TIMEOUT", "5s");
    let origins = scenario.config().origins("a", "timeout").unwrap();
    let shown: Vec<String> = origins.iter().map(|origin| scenario.relative(origin)).collect();
    let expected = [
        "HTTPUTIL_GLOBAL__TIMEOUT",
        "httputil.toml:7:11",
        "httputil.toml:4:11",
        "HTTPUTIL_DEFAULT__TIMEOUT",
        "httputil.toml:2:11",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn an_unknown_profile_or_key_is_an_error_with_the_nearest() {
    let config = Config::builder().embedded("x", "[telemetry]").load().unwrap();
    let error = config.profile("telemety").unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.to_string().ends_with("did you mean telemetry?"), "{error}");
    assert!(
        config
            .origin("telemety", "timeout")
            .unwrap_err()
            .to_string()
            .contains("telemetry")
    );
    let error = config.origin("telemetry", "idle_timeout").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no key idle_timeout; did you mean pool.idle_timeout?"
    );
    assert!(config.profile("global").unwrap_err().to_string().contains("no profile"));
}

#[test]
fn without_a_file_a_missing_profile_says_that_there_is_none() {
    let error = Config::empty().profile("telemetry").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no profile is called telemetry, and no configuration file was found"
    );
}

#[test]
fn an_embedded_text_is_named_in_messages_as_a_file_would_be() {
    let error = Config::builder()
        .embedded("built in", "[a]\ntimout = 1")
        .load()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "built in:2:1: a.timout: unknown key; did you mean timeout?"
    );
}

#[test]
fn the_files_that_were_read_are_listed_weakest_first() {
    let scenario = Scenario::main_file("[a]")
        .file("httputil.test.toml", "")
        .file("httputil.local.toml", "")
        .file("httputil.staging.toml", "")
        .variable("HTTPUTIL_ENV", "test");
    let files = scenario.config().files().to_vec();
    assert_eq!(
        files,
        ["httputil.toml", "httputil.test.toml", "httputil.local.toml"].map(|name| scenario.path(name))
    );
}

#[test]
fn a_relative_path_is_relative_to_the_folder_of_its_file() {
    let scenario = Scenario::new()
        .file(
            "config/httputil.toml",
            "[a.tls]\nca_file = \"pki/ca.pem\"\nextra_ca_file = \"./none\"",
        )
        .variable("HTTPUTIL_DEFAULT__TLS__CA_FILE", "as/it/is.pem");
    let config = scenario.config();
    let tls = config.profile("a").unwrap().transport.tls;
    assert_eq!(tls.ca_file, Some(scenario.path("config/pki/ca.pem")));
    assert_eq!(tls.extra_ca_file, Some(scenario.path("config/./none")));
    let tls = config.profile("default").unwrap().transport.tls;
    assert_eq!(tls.ca_file, Some("as/it/is.pem".into()));
}

#[test]
fn the_environment_is_kept() {
    let config = Scenario::new().variable("HTTP_PROXY", "http://proxy:3128").config();
    assert_eq!(config.environment().get("HTTP_PROXY").unwrap(), "http://proxy:3128");
}
