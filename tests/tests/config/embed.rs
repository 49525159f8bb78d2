//! A file that is a part of the program.

use std::process::Command;

use httputil::{Config, Embedded, Environment, Kind, PooledClient, Registry, embed_config};

use crate::scenario::Scenario;

/// Set for the process that a test is about.
const CHILD: &str = "CONFIG_EMBED_TEST";

const EMBEDDED: Embedded = embed_config!("embedded.toml");

#[test]
fn it_is_the_lowest_of_all_files() {
    let scenario =
        Scenario::main_file("[embedded]\ntimeout = \"2s\"\n").variable("HTTPUTIL_EMBEDDED__POOL__MAX_IDLE", "7");
    let profile = scenario
        .builder()
        .embed(EMBEDDED)
        .load()
        .unwrap()
        .profile("embedded")
        .unwrap();
    assert_eq!(
        profile.policy.timeout.unwrap().as_secs(),
        2,
        "the file that is found is stronger"
    );
    assert_eq!(
        profile.transport.pool.max_idle, 7,
        "a variable sets keys of its profiles"
    );
    assert_eq!(profile.description.as_deref(), Some("of the program"));
    let alone = Config::builder().embed(EMBEDDED).load().unwrap();
    assert_eq!(alone.profile("embedded").unwrap().policy.timeout.unwrap().as_secs(), 1);
    assert_eq!(
        alone.origin("embedded", "timeout").unwrap().to_string(),
        "embedded.toml:3:11"
    );
}

#[test]
fn its_mistakes_are_told_with_its_name_and_line() {
    let variables = Environment::empty().with("HTTPUTIL_EMBEDED__TIMEOUT", "1s");
    let builder = Config::builder()
        .embed(Embedded::new("a.toml", "[a]\ntimout = 1"))
        .embed(EMBEDDED)
        .env(&variables);
    let error = builder.load().unwrap_err();
    let shown = format!("{error:#}");
    assert!(
        shown.starts_with("a.toml:2:1: a.timout: unknown key; did you mean timeout?\n  2 | timout = …\n"),
        "{shown}"
    );
    assert!(shown.contains("did you mean HTTPUTIL_EMBEDDED__TIMEOUT?"), "{shown}");
    assert_eq!(format!("{EMBEDDED:?}"), "Embedded(\"embedded.toml\")");
}

#[derive(PooledClient)]
#[pooled_client(profile = "embedded", unchecked)]
struct Service {
    client: httputil::Client,
    #[pooled_client(setting)]
    word: String,
}

#[test]
fn the_process_wide_registry_has_it_if_it_is_installed_in_time() {
    if std::env::var_os(CHILD).is_some() {
        return in_a_process_of_its_own();
    }
    let folder = tempfile::tempdir().unwrap();
    let name = "embed::the_process_wide_registry_has_it_if_it_is_installed_in_time";
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name]).current_dir(folder.path()).env(CHILD, "1");
    child.env_remove("HTTPUTIL_CONFIG").env_remove("HTTPUTIL_ENV");
    child.env("HTTPUTIL_EMBEDDED__TIMEOUT", "9s");
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn in_a_process_of_its_own() {
    EMBEDDED.install().unwrap();
    let service = Service::new().unwrap();
    assert_eq!((service.client.profile(), service.word.as_str()), ("embedded", "hello"));
    let explanation = Registry::global().unwrap().config().explain("embedded").unwrap();
    let timeout = explanation.key("timeout").unwrap();
    assert_eq!(timeout.value.as_deref(), Some("\"9s\""));
    assert_eq!(timeout.origin().to_string(), "HTTPUTIL_EMBEDDED__TIMEOUT");
    assert_eq!(timeout.shadowed()[0].origin.to_string(), "embedded.toml:3:11");
    let error = EMBEDDED.install().unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(
        error.to_string().starts_with("embedded.toml: embedded too late"),
        "{error}"
    );
}
