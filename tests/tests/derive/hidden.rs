//! Keys in the tables of settings whose types take a table as it is and look afterwards what is in it: `flatten`, `tag`,
//! `untagged`. They are told as all others.

use std::collections::BTreeMap;

use httputil::{Client, Config, Environment, PooledClient, Registry};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Limits {
    max_size: Option<u32>,
    #[serde(default)]
    retries: u32,
}

#[derive(Debug, Deserialize)]
struct Queue {
    name: String,
    #[serde(flatten)]
    limits: Limits,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Sink {
    File { path: Option<String>, depth: Option<u8> },
    Net { port: u16 },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Target {
    Path { path: String, depth: Option<u8> },
    Name(String),
}

#[derive(Debug, Deserialize)]
struct Labels {
    #[serde(flatten)]
    all: BTreeMap<String, String>,
}

#[derive(Debug, PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Hidden {
    client: Client,
    #[pooled_client(setting)]
    queue: Option<Queue>,
    #[pooled_client(setting, default)]
    queues: Vec<Queue>,
    #[pooled_client(setting)]
    sink: Option<Sink>,
    #[pooled_client(setting)]
    target: Option<Target>,
    #[pooled_client(setting)]
    labels: Option<Labels>,
    #[pooled_client(setting)]
    pair: Option<(u8, u8)>,
}

impl Hidden {
    /// All that the tests do not look at one by one.
    fn shown(&self) -> String {
        let Hidden {
            client,
            queue,
            queues,
            sink,
            target,
            labels,
            pair,
        } = self;
        let queue = queue.as_ref().map(|Queue { name, limits }| {
            let Limits { max_size, retries } = limits;
            (name, max_size, retries)
        });
        let sink = sink.as_ref().map(|sink| match sink {
            Sink::File { path, depth } => (path.clone(), depth.unwrap_or_default().into()),
            Sink::Net { port } => (None, *port),
        });
        let target = target.as_ref().map(|target| match target {
            Target::Path { path, depth } => (path, *depth),
            Target::Name(name) => (name, None),
        });
        let labels = labels.as_ref().map(|labels| &labels.all);
        let queues = queues.len();
        format!(
            "{} {queue:?} {queues} {sink:?} {target:?} {labels:?} {pair:?}",
            client.profile()
        )
    }
}

fn built(settings: &str, variables: &[(&str, &str)]) -> Result<Hidden, httputil::Error> {
    let environment = variables
        .iter()
        .fold(Environment::empty(), |all, (name, value)| all.with(*name, *value));
    let text = format!("[telemetry.settings]\n{settings}\n");
    let config = Config::builder().embedded("f", text).env(&environment).load().unwrap();
    Hidden::with_registry(&Registry::builder().config(config).build().unwrap())
}

/// What is said of these settings.
#[track_caller]
fn told(settings: &str, variables: &[(&str, &str)]) -> String {
    match built(settings, variables) {
        Ok(hidden) => panic!("{settings} {variables:?}: {}", hidden.shown()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_misspelt_key_is_an_error_at_its_place() {
    for (settings, expected) in [
        (
            "queue = { name = \"a\", max_szie = 1 }",
            "f:2:23: telemetry.settings.queue.max_szie: Hidden does not read it; did you mean max_size?",
        ),
        (
            "queue = { name = \"a\", max_size = 2, retires = 1 }",
            "f:2:37: telemetry.settings.queue.retires: Hidden does not read it; did you mean retries?",
        ),
        (
            "[[telemetry.settings.queues]]\nname = \"a\"\n[[telemetry.settings.queues]]\nname = \"b\"\nmaxsize = 1",
            "f:6:1: telemetry.settings.queues.1.maxsize: Hidden does not read it; did you mean max_size?",
        ),
        (
            "sink = { kind = \"file\", paht = \"x\" }",
            "f:2:25: telemetry.settings.sink.paht: Hidden does not read it; did you mean path?",
        ),
        (
            "target = { path = \"x\", detph = 1 }",
            "f:2:24: telemetry.settings.target.detph: Hidden does not read it; did you mean depth?",
        ),
    ] {
        assert_eq!(told(settings, &[]), expected);
    }
    assert_eq!(
        told(
            "queue = { name = \"a\" }",
            &[("HTTPUTIL_TELEMETRY__SETTINGS__QUEUE__MAX_SZIE", "3")]
        ),
        "HTTPUTIL_TELEMETRY__SETTINGS__QUEUE__MAX_SZIE: Hidden does not read it; did you mean max_size?"
    );
    assert_eq!(
        told(
            "",
            &[("HTTPUTIL_TELEMETRY__SETTINGS__QUEUE", "{ name = 'a', max_szie = 3 }")]
        ),
        "HTTPUTIL_TELEMETRY__SETTINGS__QUEUE: max_szie: Hidden does not read it; did you mean max_size?"
    );
}

#[test]
fn a_key_that_is_missing_since_it_is_misspelt_is_one_error() {
    assert_eq!(
        told("queue = { nmae = \"a\", max_size = 1 }", &[]),
        "f:2:11: telemetry.settings.queue.nmae: Hidden does not read it, and needs name; did you mean name?"
    );
    assert_eq!(
        told("sink = { knid = \"net\", port = 1 }", &[]),
        "f:2:10: telemetry.settings.sink.knid: Hidden does not read it, and needs kind; did you mean kind?"
    );
    assert_eq!(
        told("sink = { kind = \"net\", prot = 1 }", &[]),
        "f:2:24: telemetry.settings.sink.prot: Hidden does not read it, and needs port; did you mean port?"
    );
}

#[test]
fn a_value_that_does_not_fit_is_told_at_its_place() {
    let number = "expected a whole number from 0 to 4294967295";
    for (settings, expected) in [
        (
            "queue = { name = \"a\", max_size = \"canary\" }",
            format!("f:2:34: telemetry.settings.queue.max_size: {number}, found a text"),
        ),
        (
            "[telemetry.settings.queue]\nname = \"a\"\nmax_size = 1\nretries = -1",
            format!("f:5:11: telemetry.settings.queue.retries: {number}"),
        ),
        (
            "sink = { kind = \"net\", port = \"canary\" }",
            "f:2:31: telemetry.settings.sink.port: expected a whole number from 0 to 65535, found a text".to_owned(),
        ),
        (
            "target = { path = \"x\", depth = \"canary\" }",
            "f:2:32: telemetry.settings.target.depth: this value is in none of the forms that the setting can have"
                .to_owned(),
        ),
        (
            "labels = { a = \"x\", b = 3 }",
            "f:2:25: telemetry.settings.labels.b: expected a text, found a whole number".to_owned(),
        ),
    ] {
        assert_eq!(told(settings, &[]), expected);
    }
    assert_eq!(
        told(
            "queue = { name = \"a\" }",
            &[("HTTPUTIL_TELEMETRY__SETTINGS__QUEUE__MAX_SIZE", "canary")]
        ),
        format!("HTTPUTIL_TELEMETRY__SETTINGS__QUEUE__MAX_SIZE: {number}, found a text")
    );
}

#[test]
fn what_is_read_or_near_to_nothing_is_left_alone() {
    for settings in [
        "queue = { name = \"a\", max_size = 1, retries = 2, colour = 3 }",
        "sink = { kind = \"file\", path = \"x\", depth = 1 }",
        "target = { path = \"x\", depth = 1 }",
        "target = \"x\"",
        // Each key is read, whatever it is near to.
        "labels = { size = \"x\", sizes = \"y\", szie = \"z\" }",
        "pair = [1, 2]",
    ] {
        built(settings, &[]).unwrap();
    }
    assert_eq!(
        told("pair = [1, 2, 3]", &[]),
        "f:2:8: telemetry.settings.pair: expected a list of length 2, found 3 values"
    );
}
