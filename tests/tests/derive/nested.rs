//! Misspelt keys in the tables of a setting: told as those of the settings are, by the type that passes them over.

use std::collections::BTreeMap;

use httputil::{Client, Config, Environment, PooledClient, Registry};
use serde::Deserialize;

use crate::support::Log;

#[derive(Debug, Deserialize)]
struct Queue {
    name: String,
    #[serde(default)]
    max_size: u32,
    retry: Option<Retry>,
}

#[derive(Debug, Deserialize)]
struct Retry {
    #[serde(default)]
    tries: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sink {
    File {
        #[serde(default)]
        path: String,
    },
}

#[derive(Debug, PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Shipper {
    client: Client,
    #[pooled_client(setting)]
    queue: Option<Queue>,
    #[pooled_client(setting, default)]
    queues: Vec<Queue>,
    #[pooled_client(setting, default)]
    by_name: BTreeMap<String, Queue>,
    #[pooled_client(setting)]
    sink: Option<Sink>,
}

fn load(settings: &str, variables: &[(&str, &str)]) -> Registry {
    let environment = variables
        .iter()
        .fold(Environment::empty(), |all, (name, value)| all.with(*name, *value));
    let text = format!("[telemetry.settings]\n{settings}\n");
    let config = Config::builder().embedded("f", text).env(&environment).load().unwrap();
    Registry::builder().config(config).build().unwrap()
}

/// What is said of these settings, or nothing.
fn told(settings: &str, variables: &[(&str, &str)]) -> String {
    let built = Shipper::with_registry(&load(settings, variables));
    built.map_or_else(|error| error.to_string(), |_| String::new())
}

#[test]
fn a_key_of_a_table_that_is_misspelt_is_an_error_at_its_place_however_deep() {
    for (settings, expected) in [
        (
            "queue = { name = \"a\", max_siez = 1 }",
            "f:2:23: telemetry.settings.queue.max_siez: Shipper does not read it; did you mean max_size?",
        ),
        (
            "queue = { name = \"a\", max_size = 2, max_siez = 1 }",
            "f:2:37: telemetry.settings.queue.max_siez: Shipper does not read it; did you mean max_size?",
        ),
        (
            "queue = { name = \"a\", retry = { tris = 1 } }",
            "f:2:33: telemetry.settings.queue.retry.tris: Shipper does not read it; did you mean tries?",
        ),
        (
            "queues = [{ name = \"a\" }, { name = \"b\", maxsize = 1 }]",
            "f:2:41: telemetry.settings.queues.1.maxsize: Shipper does not read it; did you mean max_size?",
        ),
        (
            "[telemetry.settings.by_name.one]\nname = \"a\"\nretyr = { tries = 1 }",
            "f:4:1: telemetry.settings.by_name.one.retyr: Shipper does not read it; did you mean retry?",
        ),
        (
            "sink = { file = { paht = \"x\" } }",
            "f:2:19: telemetry.settings.sink.file.paht: Shipper does not read it; did you mean path?",
        ),
    ] {
        assert_eq!(told(settings, &[]), expected);
    }
}

#[test]
fn a_key_that_is_missing_since_it_is_misspelt_is_one_error() {
    assert_eq!(
        told("queue = { nmae = \"a\" }", &[]),
        "f:2:11: telemetry.settings.queue.nmae: Shipper does not read it, and needs name; did you mean name?"
    );
    assert_eq!(
        told("queue = { colour = \"a\" }", &[]),
        "f:2:1: telemetry.settings.queue: the key name is missing"
    );
}

#[test]
fn a_misspelt_key_of_a_variable_is_told_by_the_variable() {
    let file = "queue = { name = \"a\", max_size = 2 }";
    let told = |name: &str, value: &str| told(file, &[(name, value)]);
    assert_eq!(
        told("HTTPUTIL_TELEMETRY__SETTINGS__QUEUE__MAX_SZIE", "3"),
        "HTTPUTIL_TELEMETRY__SETTINGS__QUEUE__MAX_SZIE: Shipper does not read it; did you mean max_size?"
    );
    assert_eq!(
        told("HTTPUTIL_TELEMETRY__SETTINGS__QUEUE__MAX_SIZES", "3"),
        "HTTPUTIL_TELEMETRY__SETTINGS__QUEUE__MAX_SIZES: Shipper does not read it; did you mean max_size?"
    );
    assert_eq!(
        told("HTTPUTIL_TELEMETRY__SETTINGS__QUEUE", "{ name = 'b', max_szie = 3 }"),
        "HTTPUTIL_TELEMETRY__SETTINGS__QUEUE: max_szie: Shipper does not read it; did you mean max_size?"
    );
}

#[test]
fn what_is_near_to_nothing_is_left_alone_and_what_may_be_another_word_is_logged() {
    let log = Log::default();
    let _listening = log.listen();
    assert_eq!(told("queue = { name = \"a\", colour = \"canary\" }", &[]), "");
    assert_eq!(log.text(), "");
    assert_eq!(told("queue = { name = \"a\", names = \"canary\" }", &[]), "");
    let words = "f:2:23: telemetry.settings.queue.names: Shipper does not read it; did you mean name?";
    assert!(
        log.text().contains(words) && !log.text().contains("canary"),
        "{}",
        log.text()
    );
}

#[test]
fn a_key_that_another_service_reads_in_the_same_table_is_not_misspelt() {
    #[derive(Debug, Deserialize)]
    struct Other {
        max_siez: u32,
    }

    #[derive(Debug, PooledClient)]
    #[pooled_client(profile = "telemetry")]
    struct Counter {
        client: Client,
        #[pooled_client(setting)]
        queue: Other,
    }

    let registry = load("queue = { name = \"a\", max_siez = 1 }", &[]);
    let counter = Counter::with_registry(&registry).unwrap();
    assert_eq!((counter.client.profile(), counter.queue.max_siez), ("telemetry", 1));
    let shipper = Shipper::with_registry(&registry).unwrap();
    let queue = shipper.queue.as_ref().unwrap();
    assert_eq!((queue.name.as_str(), queue.max_size), ("a", 0));
    assert!(queue.retry.as_ref().is_none_or(|retry| retry.tries == 0));
    assert!(shipper.queues.is_empty() && shipper.by_name.is_empty());
    let Some(Sink::File { path }) = &shipper.sink else {
        return;
    };
    assert!(path.is_empty());
}
