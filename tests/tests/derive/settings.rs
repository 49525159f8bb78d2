//! Settings: typed by their fields, read from `[profile.settings]`, all problems told together.

use std::collections::BTreeMap;
use std::time::Duration;

use httputil::{Client, Config, Environment, Error, PooledClient, Registry};
use serde::Deserialize;
use url::Url;

use crate::support::{Log, registry};

#[derive(Debug, PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: Client,
    #[pooled_client(setting)]
    endpoint: Url,
    #[pooled_client(setting = "batch")]
    batch_size: usize,
    #[pooled_client(setting)]
    tenant: Option<String>,
    #[pooled_client(setting, default = 3)]
    tries: u32,
    #[pooled_client(setting, default)]
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Queue {
    name: String,
    depth: u16,
}

/// The problems, without the folder of their file.
fn told(error: &Error) -> Vec<String> {
    let problems = error.problems().iter().map(ToString::to_string);
    problems
        .map(|problem| match problem.find("httputil.toml:") {
            Some(start) => problem[start..].to_owned(),
            None => problem,
        })
        .collect()
}

#[test]
fn the_keys_are_told_in_the_order_of_the_fields() {
    assert_eq!(Exporter::SETTINGS, ["endpoint", "batch", "tenant", "tries", "labels"]);
}

#[test]
fn what_is_set_is_read_by_the_type_of_the_field() {
    let registry = registry(
        "[telemetry.settings]\nendpoint = \"http://127.0.0.1:4318/v1/traces\"\nbatch = 512\ntenant = \"acme\"\n\
         tries = 5\nlabels = { zone = \"a\" }\n",
    );
    let exporter = Exporter::with_registry(&registry).unwrap();
    assert_eq!(exporter.endpoint.as_str(), "http://127.0.0.1:4318/v1/traces");
    assert_eq!((exporter.batch_size, exporter.tries), (512, 5));
    assert_eq!(exporter.tenant.as_deref(), Some("acme"));
    assert_eq!(exporter.labels["zone"], "a");
    assert_eq!(exporter.client.profile(), "telemetry");
}

#[test]
fn what_is_not_set_is_none_or_its_default() {
    let registry = registry("[telemetry.settings]\nendpoint = \"http://127.0.0.1/\"\nbatch = 1\n");
    let exporter = Exporter::with_registry(&registry).unwrap();
    assert_eq!(
        (exporter.tenant.as_ref(), exporter.tries, exporter.labels.len()),
        (None, 3, 0)
    );
}

#[test]
fn a_table_is_read_into_a_struct_and_a_list_into_a_vec() {
    #[derive(PooledClient)]
    #[pooled_client(profile = "telemetry")]
    struct Queues {
        client: Client,
        #[pooled_client(setting)]
        queue: Queue,
        #[pooled_client(setting)]
        names: Vec<String>,
    }
    let registry = registry("[telemetry.settings]\nqueue = { name = \"spans\", depth = 9 }\nnames = [\"a\", \"b\"]\n");
    let queues = Queues::with_registry(&registry).unwrap();
    assert_eq!(
        queues.queue,
        Queue {
            name: "spans".to_owned(),
            depth: 9
        }
    );
    assert_eq!(queues.names, ["a", "b"]);
    queues.stop();
    assert!(queues.client.is_stopped());
}

#[test]
fn all_settings_that_are_missing_are_told_at_once() {
    let error = Exporter::with_registry(&registry("[telemetry]\n")).expect_err("two settings are missing");
    let told: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "telemetry.settings.endpoint: not set, and Exporter needs it (a URL); write `endpoint = \"https://…\"` \
             under `[telemetry.settings]`, or set HTTPUTIL_TELEMETRY__SETTINGS__ENDPOINT",
            "telemetry.settings.batch: not set, and Exporter needs it (a whole number); write `batch = 10` \
             under `[telemetry.settings]`, or set HTTPUTIL_TELEMETRY__SETTINGS__BATCH",
        ]
    );
}

#[test]
fn a_missing_setting_is_told_where_it_was_misspelt() {
    let registry = registry("[telemetry.settings]\nendpont = \"http://127.0.0.1/\"\nbatch = 1\n");
    let error = Exporter::with_registry(&registry).expect_err("the endpoint is missing");
    let told = error.to_string();
    let words = "telemetry.settings.endpont: Exporter does not read it, and needs endpoint; did you mean endpoint?";
    assert!(told.contains("httputil.toml:2:11: ") && told.ends_with(words), "{told}");
    assert_eq!(error.problems().len(), 1);
}

#[test]
fn a_setting_that_is_read_by_nobody_because_it_is_misspelt_is_an_error_though_nothing_is_missing() {
    // One near a setting that is optional, one near a setting with a default.
    let registry = registry(
        "[telemetry.settings]\nendpoint = \"http://127.0.0.1/\"\nbatch = 1\ntennant = \"canary\"\ntrys = 2\ntriez = 2\n",
    );
    let error = Exporter::with_registry(&registry).expect_err("two settings are misspelt");
    let told = told(&error);
    assert_eq!(
        told,
        [
            "httputil.toml:4:11: telemetry.settings.tennant: Exporter does not read it; did you mean tenant?",
            "httputil.toml:6:9: telemetry.settings.triez: Exporter does not read it; did you mean tries?",
        ]
    );
}

#[test]
fn a_misspelt_setting_is_told_beside_every_other_mistake_and_once() {
    let registry =
        registry("[telemetry.settings]\nendpont = \"http://127.0.0.1/\"\nbatch = \"many\"\ntennant = \"a\"\n");
    let error = Exporter::with_registry(&registry).expect_err("one is missing, one wrong, one misspelt");
    assert_eq!(
        told(&error),
        [
            "httputil.toml:2:11: telemetry.settings.endpont: Exporter does not read it, and needs endpoint; did you mean endpoint?",
            "httputil.toml:3:9: telemetry.settings.batch: expected a whole number, 0 or more, found a text",
            "httputil.toml:4:11: telemetry.settings.tennant: Exporter does not read it; did you mean tenant?",
        ]
    );
}

#[test]
fn a_misspelt_setting_in_a_variable_or_in_code_is_an_error_too() {
    let environment = Environment::empty().with("HTTPUTIL_DEFAULT__SETTINGS__TENNANT", "canary");
    let text = "[telemetry.settings]\nendpoint = \"http://127.0.0.1/\"\nbatch = 1\n";
    let config = Config::builder()
        .embedded("f", text)
        .env(&environment)
        .set("telemetry.settings.labls", "{}")
        .set("global.settings", "{ tris = 5 }")
        .load()
        .unwrap();
    let registry = Registry::builder().config(config).build().unwrap();
    let error = Exporter::with_registry(&registry).expect_err("three settings are misspelt");
    assert_eq!(
        error.to_string(),
        "set in code: telemetry.settings.labls: Exporter does not read it; did you mean labels?\n\
         HTTPUTIL_DEFAULT__SETTINGS__TENNANT: Exporter does not read it; did you mean tenant?\n\
         set in code: global.settings: tris: Exporter does not read it; did you mean tries?"
    );
}

#[test]
fn what_another_service_of_the_profile_reads_is_left_alone() {
    let registry = registry(
        "[telemetry.settings]\nendpoint = \"http://127.0.0.1/\"\nbatch = 1\nbucket = \"b\"\nqueue_1 = 1\nmin_tries = 3\n",
    );
    assert!(Exporter::with_registry(&registry).is_ok());
}

#[derive(Debug, PooledClient)]
#[pooled_client(profile = "telemetry")]
struct One {
    client: Client,
    #[pooled_client(setting)]
    endpoint: Option<String>,
}

#[derive(Debug, PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Many {
    client: Client,
    #[pooled_client(setting)]
    endpoints: Option<Vec<String>>,
}

#[test]
fn two_services_whose_keys_are_near_share_a_profile_in_whatever_order() {
    let text = "[telemetry.settings]\nendpoint = \"a\"\nendpoints = [\"a\", \"b\"]\n";
    let (first, second) = (registry(text), registry(text));
    let (one, many) = (
        One::with_registry(&first).unwrap(),
        Many::with_registry(&first).unwrap(),
    );
    assert_eq!(
        (one.endpoint.as_deref(), many.endpoints.as_ref().unwrap().len()),
        (Some("a"), 2)
    );
    let (many, one) = (
        Many::with_registry(&second).unwrap(),
        One::with_registry(&second).unwrap(),
    );
    assert_eq!(
        (one.client.profile(), many.client.profile()),
        ("telemetry", "telemetry")
    );
}

#[test]
fn what_is_near_to_a_setting_that_is_set_is_told_in_the_log_unless_a_service_has_asked_for_it() {
    let log = Log::default();
    let _listening = log.listen();
    let text = "[telemetry.settings]\nendpoint = \"canary\"\nendpoints = [\"canary\"]\n";
    let registry = registry(text);
    One::with_registry(&registry).unwrap();
    let told = log.text();
    let words = "httputil.toml:3:13: telemetry.settings.endpoints: One does not read it; did you mean endpoint?";
    assert!(told.contains(words) && !told.contains("canary"), "{told}");
    Many::with_registry(&registry).unwrap();
    One::with_registry(&registry).unwrap();
    assert_eq!(log.text(), told);
}

#[test]
fn a_slip_near_a_setting_that_is_set_is_an_error_in_a_file_a_variable_and_code() {
    let file = "[telemetry.settings]\nendpoint = \"http://127.0.0.1/\"\nbatch = 1\ntries = 2\ntreis = 3\n";
    let environment = Environment::empty().with("HTTPUTIL_TELEMETRY__SETTINGS__ENDPIONT", "http://canary/");
    let config = Config::builder()
        .embedded("f", file)
        .env(&environment)
        .set("telemetry.settings.batchh", "7")
        .load()
        .unwrap();
    let registry = Registry::builder().config(config).build().unwrap();
    let error = Exporter::with_registry(&registry).expect_err("three settings are misspelt");
    assert_eq!(
        error.to_string(),
        "set in code: telemetry.settings.batchh: Exporter does not read it; did you mean batch?\n\
         HTTPUTIL_TELEMETRY__SETTINGS__ENDPIONT: Exporter does not read it; did you mean endpoint?\n\
         f:5:9: telemetry.settings.treis: Exporter does not read it; did you mean tries?"
    );
}

#[test]
fn what_only_a_variable_gives_near_to_a_setting_of_the_file_is_an_error_though_it_may_be_another_word() {
    let file = "[telemetry.settings]\nendpoint = \"http://127.0.0.1/\"\n";
    for (variable, is_told) in [
        ("HTTPUTIL_TELEMETRY__SETTINGS__ENDPOINTS", true),
        ("HTTPUTIL_TELEMETRY__SETTINGS__ENDPOINT2", true),
        ("HTTPUTIL_TELEMETRY__SETTINGS__BUCKET", false),
    ] {
        let environment = Environment::empty().with(variable, "canary");
        let config = Config::builder().embedded("f", file).env(&environment).load().unwrap();
        let built = One::with_registry(&Registry::builder().config(config).build().unwrap());
        let told = built.map(|one| one.endpoint.clone()).map_err(|error| error.to_string());
        let expected = if is_told {
            Err(format!("{variable}: One does not read it; did you mean endpoint?"))
        } else {
            Ok(Some("http://127.0.0.1/".to_owned()))
        };
        assert_eq!(told, expected);
    }
    // Where variables give both, nothing is overridden.
    let environment = Environment::empty()
        .with("HTTPUTIL_DEFAULT__SETTINGS__ENDPOINT", "a")
        .with("HTTPUTIL_DEFAULT__SETTINGS__ENDPOINTS", "a,b");
    let config = Config::builder()
        .embedded("f", "[telemetry]\n")
        .env(&environment)
        .load();
    let registry = Registry::builder().config(config.unwrap()).build().unwrap();
    assert_eq!(One::with_registry(&registry).unwrap().endpoint.as_deref(), Some("a"));
}

#[test]
fn the_nearest_key_is_suggested() {
    #[derive(PooledClient)]
    #[pooled_client(profile = "telemetry")]
    struct Alike {
        client: Client,
        #[pooled_client(setting)]
        missing: Option<String>,
        #[pooled_client(setting)]
        missing3: Option<String>,
    }
    let told = |settings: &str| {
        let built = Alike::with_registry(&registry(&format!("[telemetry.settings]\n{settings}\n")));
        built.map(|alike| (alike.client.is_stopped(), alike.missing.clone(), alike.missing3.clone()))
    };
    let error = told("mising3 = \"a\"").expect_err("it is misspelt");
    assert!(error.to_string().ends_with("did you mean missing3?"), "{error}");
    let error = told("mising = \"a\"").expect_err("it is misspelt");
    assert!(error.to_string().ends_with("did you mean missing?"), "{error}");
}

#[test]
fn what_services_of_another_profile_read_excuses_no_misspelling_here() {
    #[derive(Debug, PooledClient)]
    #[pooled_client(profile = "audit")]
    struct Audit {
        client: Client,
        #[pooled_client(setting)]
        endpoints: Option<Vec<String>>,
    }
    let build = |text: &str| {
        let registry = registry(text);
        let audit = Audit::with_registry(&registry).unwrap();
        assert_eq!(audit.client.profile(), "audit");
        let one = One::with_registry(&registry).map(|one| one.endpoint.clone());
        (audit.endpoints.is_some(), one.map_err(|error| error.to_string()))
    };
    let (_, one) = build("[telemetry.settings]\nendpoints = [\"a\"]\n[audit.settings]\nendpoints = [\"a\"]\n");
    assert!(one.unwrap_err().ends_with("did you mean endpoint?"));
    // What both profiles inherit is the other one's as well.
    for shared in [
        "[default.settings]\nendpoints = [\"a\"]\n[telemetry]\n[audit]\n",
        "[global.settings]\nendpoints = [\"a\"]\n[telemetry]\n[audit]\n",
        "[base.settings]\nendpoints = [\"a\"]\n[telemetry]\ninherits = \"base\"\n[audit]\ninherits = \"base\"\n",
        "[audit.settings]\nendpoints = [\"a\"]\n[telemetry]\ninherits = \"audit\"\n",
    ] {
        assert_eq!(build(shared), (true, Ok(None)), "{shared}");
    }
}

#[test]
fn what_a_service_before_it_reads_is_not_misspelt_though_the_near_setting_is_not_set() {
    let registry = registry("[telemetry.settings]\nendpoints = [\"a\"]\n");
    let refused = One::with_registry(&registry).expect_err("nobody has asked for it yet");
    assert!(
        refused
            .to_string()
            .ends_with("One does not read it; did you mean endpoint?"),
        "{refused}"
    );
    let _many = Many::with_registry(&registry).unwrap();
    assert_eq!(One::with_registry(&registry).unwrap().endpoint, None);
}

#[test]
fn a_duration_is_written_as_everywhere_in_the_file() {
    #[derive(PooledClient)]
    #[pooled_client(profile = "telemetry")]
    struct Timed {
        client: Client,
        #[pooled_client(setting)]
        every: Duration,
        #[pooled_client(setting)]
        pauses: Vec<Duration>,
    }
    let registry = registry("[telemetry.settings]\nevery = \"250ms\"\npauses = [\"1s\", \"2s\"]\n");
    let timed = Timed::with_registry(&registry).unwrap();
    assert_eq!(
        (timed.every, timed.client.profile()),
        (Duration::from_millis(250), "telemetry")
    );
    assert_eq!(timed.pauses, [Duration::from_secs(1), Duration::from_secs(2)]);
}

#[test]
fn a_setting_of_a_wrong_type_is_told_beside_one_that_is_missing() {
    let error = Exporter::with_registry(&registry("[telemetry.settings]\nbatch = \"many\"\n"))
        .expect_err("one setting is missing and one is wrong");
    assert_eq!(error.problems().len(), 2, "{error}");
    assert!(
        error.to_string().contains("endpoint") && error.to_string().contains("batch"),
        "{error}"
    );
}

#[test]
fn a_default_is_made_only_when_it_is_needed() {
    #[derive(PooledClient)]
    #[pooled_client(profile = "telemetry")]
    struct Careful {
        client: Client,
        #[pooled_client(setting, default = panic!("not needed"))]
        limit: u32,
    }
    let careful = Careful::with_registry(&registry("[telemetry.settings]\nlimit = 7\n")).unwrap();
    assert_eq!((careful.limit, careful.client.profile()), (7, "telemetry"));
}
