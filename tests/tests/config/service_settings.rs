//! A service's own values, typed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use httputil::Config;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::scenario::Scenario;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Batch,
    Stream { chunk: u32 },
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Target {
    url: Url,
    weight: Option<u8>,
    #[serde(default)]
    names: Vec<String>,
}

fn file(settings: &str) -> Config {
    let text = format!("[a.settings]\n{settings}");
    Config::builder()
        .embedded("f", text)
        .load()
        .unwrap_or_else(|error| panic!("{error}"))
}

fn read<T: DeserializeOwned>(value: &str) -> Result<T, String> {
    match file(&format!("key = {value}")).setting::<T>("a", "key") {
        Ok(value) => Ok(value.expect("it is set")),
        Err(error) => Err(error.to_string()),
    }
}

fn read_variable<T: DeserializeOwned>(value: &str) -> Result<T, String> {
    let config = Scenario::main_file("[a]")
        .variable("HTTPUTIL_A__SETTINGS__KEY", value)
        .config();
    match config.setting::<T>("a", "key") {
        Ok(value) => Ok(value.expect("it is set")),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn values_come_out_as_the_type_that_is_asked_for() {
    assert_eq!(read::<String>("'text'").unwrap(), "text");
    assert_eq!(read::<u16>("8080"), Ok(8080));
    assert_eq!(read::<i64>("-3"), Ok(-3));
    assert_eq!(read::<u64>("18446744073709551615"), Ok(u64::MAX));
    assert_eq!(read::<f64>("0.5"), Ok(0.5));
    assert_eq!(read::<f64>("2"), Ok(2.0));
    assert_eq!(read::<bool>("true"), Ok(true));
    assert_eq!(read::<Duration>("'1m30s'"), Ok(Duration::from_secs(90)));
    assert_eq!(
        read::<Option<Duration>>("'250ms'"),
        Ok(Some(Duration::from_millis(250)))
    );
    assert_eq!(read::<Vec<Duration>>("['1s', '2s']").unwrap().len(), 2);
    assert_eq!(read::<Url>("'http://h/p'").unwrap().path(), "/p");
    assert_eq!(read::<IpAddr>("'::1'").unwrap(), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]));
    assert_eq!(read::<(u8, String)>("[1, 'a']"), Ok((1, "a".to_owned())));
    assert_eq!(read::<BTreeMap<String, u8>>("{ a = 1, 'B-c' = 2 }").unwrap().len(), 2);
    assert_eq!(read::<Mode>("'batch'"), Ok(Mode::Batch));
    assert_eq!(
        read::<Mode>("{ stream = { chunk = 3 } }"),
        Ok(Mode::Stream { chunk: 3 })
    );
    assert_eq!(read::<String>("2026-01-02").unwrap(), "2026-01-02");
    let target = read::<Target>("{ url = 'http://h', names = ['x'] }").unwrap();
    assert_eq!(
        target,
        Target {
            url: Url::parse("http://h").unwrap(),
            weight: None,
            names: vec!["x".to_owned()]
        }
    );
}

#[test]
fn text_of_a_variable_becomes_what_is_asked_for() {
    assert_eq!(read_variable::<String>("0123").unwrap(), "0123");
    assert_eq!(read_variable::<u16>("0123"), Ok(123));
    assert_eq!(read_variable::<i8>("-3"), Ok(-3));
    assert_eq!(read_variable::<f32>("0.5"), Ok(0.5));
    assert_eq!(read_variable::<bool>("false"), Ok(false));
    assert_eq!(read_variable::<Option<bool>>("true"), Ok(Some(true)));
    assert_eq!(read_variable::<Duration>("5s"), Ok(Duration::from_secs(5)));
    assert_eq!(read_variable::<Vec<u8>>("1, 2,3"), Ok(vec![1, 2, 3]));
    assert_eq!(read_variable::<Vec<String>>("['a,b', 'c']").unwrap(), ["a,b", "c"]);
    assert_eq!(read_variable::<Mode>("batch"), Ok(Mode::Batch));
    assert_eq!(
        read_variable::<Target>("{ url = 'http://h', weight = 3 }")
            .unwrap()
            .weight,
        Some(3)
    );
}

/// Types whose code only looks at what it is given.
#[derive(Debug, Deserialize, PartialEq)]
struct Flat {
    a: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(tag = "kind")]
enum Tagged {
    One { x: u8, on: bool, name: String },
    Other,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged)]
enum Either {
    Number(u16),
    Flag(bool),
    Table { a: u8 },
    Many(Vec<u8>),
    Text(String),
}

#[test]
fn a_variable_sets_flattened_tagged_and_untagged_types_as_a_file_would() {
    let config = Scenario::main_file("[a]")
        .variable("HTTPUTIL_A__SETTINGS__FLAT__A", "1")
        .variable("HTTPUTIL_A__SETTINGS__FLAT__B", "0.5")
        .variable("HTTPUTIL_A__SETTINGS__TAGGED__KIND", "One")
        .variable("HTTPUTIL_A__SETTINGS__TAGGED__X", "3")
        .variable("HTTPUTIL_A__SETTINGS__TAGGED__ON", "true")
        .variable("HTTPUTIL_A__SETTINGS__TAGGED__NAME", "'123'")
        .set("a.settings.in_code.kind", "Other")
        .config();
    let flat = Flat {
        a: 1,
        rest: BTreeMap::from([("b".to_owned(), 0.5)]),
    };
    assert_eq!(config.setting("a", "flat").unwrap(), Some(flat));
    let tagged = Tagged::One {
        x: 3,
        on: true,
        name: "123".to_owned(),
    };
    assert_eq!(config.setting("a", "tagged").unwrap(), Some(tagged));
    assert_eq!(config.setting("a", "in_code").unwrap(), Some(Tagged::Other));
    for (text, value) in [
        ("8080", Either::Number(8080)),
        ("true", Either::Flag(true)),
        ("{ a = 3 }", Either::Table { a: 3 }),
        ("[1, 2]", Either::Many(vec![1, 2])),
        ("0123", Either::Text("0123".to_owned())),
        ("'8080'", Either::Text("8080".to_owned())),
        ("127.0.0.1:80", Either::Text("127.0.0.1:80".to_owned())),
        ("[::1]:80", Either::Text("[::1]:80".to_owned())),
    ] {
        assert_eq!(read_variable::<Either>(text), Ok(value), "{text}");
    }
    // Where the type says what it wants, text stays text.
    assert_eq!(read_variable::<String>("true").unwrap(), "true");
    assert_eq!(read_variable::<String>("'8080'").unwrap(), "'8080'");
}

#[test]
fn a_misfit_in_a_table_made_of_variables_blames_the_one_that_is_wrong_or_all() {
    let config = Scenario::main_file("[a]")
        .variable("HTTPUTIL_GLOBAL__SETTINGS__TAGGED__KIND", "One")
        .variable("HTTPUTIL_GLOBAL__SETTINGS__TAGGED__X", "canary")
        .set("a.settings.target.names", "[]")
        .set("a.settings.target.weight", "1")
        .config();
    let message = |error: httputil::Error| error.to_string();
    assert_eq!(
        config.setting::<Tagged>("a", "tagged").map_err(message),
        Err("HTTPUTIL_GLOBAL__SETTINGS__TAGGED__X: expected a whole number from 0 to 255, found a text".to_owned())
    );
    assert_eq!(
        config.setting::<Target>("a", "target").map_err(message),
        Err("set in code: a.settings.target.*: the key url is missing".to_owned())
    );
    assert_eq!(
        read_variable::<Either>("{ a = ")
            .map(|_| ())
            .map_err(|said| said.starts_with("HTTPUTIL_A__SETTINGS__KEY: not TOML: ")),
        Err(true)
    );
}

#[test]
fn no_word_of_rust_is_in_what_a_misfit_says() {
    let says = |message: &str| Err(format!("f:2:7: a.settings.key: {message}"));
    assert_eq!(
        read::<std::path::PathBuf>("5").map(|_| ()),
        says("expected a path, found a whole number")
    );
    assert_eq!(
        read::<[u8; 3]>("[1, 2]").map(|_| ()),
        says("expected a list of length 3, found 2 values")
    );
    assert_eq!(
        read::<Tagged>("3").map(|_| ()),
        says("expected a table, found a whole number")
    );
    let no_form = "this value is in none of the forms that the setting can have";
    assert_eq!(read::<Either>("0.5").map(|_| ()), says(no_form));
    assert_eq!(
        read::<Either>("{ b = 3 }").map(|_| ()),
        Err(format!("f:2:1: a.settings.key: {no_form}"))
    );
    assert_eq!(
        read::<IpAddr>("5").map(|_| ()),
        says("expected an IP address, found a whole number")
    );
}

/// Repeats what it is given in another form.
#[derive(Debug)]
struct Loud;

impl<'de> Deserialize<'de> for Loud {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Loud, D::Error> {
        let text = String::deserialize(deserializer)?;
        Err(serde::de::Error::custom(format!("no {} here", text.to_uppercase())))
    }
}

#[test]
fn a_type_s_own_message_does_not_tell_the_value_in_capitals() {
    assert_eq!(
        read::<Loud>("'canary'").map(|_| ()),
        Err("f:2:7: a.settings.key: this value does not fit".to_owned())
    );
}

#[test]
fn an_unknown_key_in_a_table_made_of_variables_is_named_by_its_own_variable() {
    let told = |key: &str| {
        let config = Scenario::main_file("[a.settings.target]\nurl = \"http://file\"\nweight = 1")
            .variable(key, "canary")
            .config();
        let read = config.setting::<Target>("a", "target");
        read.expect_err("it is unknown").to_string()
    };
    assert_eq!(
        told("HTTPUTIL_A__SETTINGS__TARGET__WIEGHT"),
        "HTTPUTIL_A__SETTINGS__TARGET__WIEGHT: unknown key wieght; did you mean weight?"
    );
    assert_eq!(
        told("HTTPUTIL_A__SETTINGS__TARGET__COLOUR"),
        "HTTPUTIL_A__SETTINGS__TARGET__COLOUR: unknown key colour; the keys here are url, weight, names"
    );
}

#[test]
fn a_variable_reaches_into_tables_of_settings() {
    let config = Scenario::main_file("[a.settings.target]\nurl = \"http://file\"\nweight = 1")
        .variable("HTTPUTIL_A__SETTINGS__TARGET__URL", "http://variable")
        .config();
    let target = config.setting::<Target>("a", "target").unwrap().unwrap();
    assert_eq!((target.url.host_str(), target.weight), (Some("variable"), Some(1)));
}

#[test]
fn single_keys_win_over_a_whole_table_of_the_same_layer() {
    let config = Scenario::main_file("[a]\n[b]")
        .variable("HTTPUTIL_A__SETTINGS__TARGET", "{ url = 'http://table', weight = 1 }")
        .variable("HTTPUTIL_A__SETTINGS__TARGET__WEIGHT", "2")
        .variable("HTTPUTIL_A__POOL", "{ max_idle = 20, max_idle_per_host = 3 }")
        .variable("HTTPUTIL_A__POOL__MAX_IDLE", "30")
        .set("b.settings", "{ target = { url = 'http://table', weight = 1 } }")
        .set("b.settings.target.weight", "2")
        .config();
    for profile in ["a", "b"] {
        let target = config.setting::<Target>(profile, "target").unwrap().unwrap();
        assert_eq!(
            (target.url.host_str(), target.weight),
            (Some("table"), Some(2)),
            "{profile}"
        );
    }
    let pool = config.profile("a").unwrap().transport.pool;
    assert_eq!((pool.max_idle, pool.max_idle_per_host), (30, 3));
}

#[test]
fn a_misfit_within_the_inline_table_of_a_variable_is_named() {
    let config = Scenario::main_file("[a]")
        .variable(
            "HTTPUTIL_GLOBAL__SETTINGS",
            "{ key = 'canary', target = { url = 'http://h', weight = 999 } }",
        )
        .config();
    let message = |error: httputil::Error| error.to_string();
    assert_eq!(
        config.setting::<u16>("a", "key").map_err(message),
        Err("HTTPUTIL_GLOBAL__SETTINGS: key: expected a whole number from 0 to 65535, found a text".to_owned())
    );
    assert_eq!(
        config.setting::<Target>("a", "target").map_err(message),
        Err("HTTPUTIL_GLOBAL__SETTINGS: target.weight: expected a whole number from 0 to 255".to_owned())
    );
}

#[test]
fn what_is_not_set_is_none_and_not_an_error() {
    assert_eq!(Config::empty().setting::<String>("default", "endpoint").unwrap(), None);
    assert!(Config::empty().setting_keys("default").unwrap().is_empty());
    assert!(
        Config::empty()
            .setting::<String>("telemetry", "endpoint")
            .unwrap_err()
            .is_config()
    );
}

#[test]
fn a_misfit_names_place_and_key_and_says_in_a_users_words_what_is_wanted() {
    let says = |message: &str| Err(message.to_owned());
    assert_eq!(
        read::<u16>("'8080'").map(|_| ()),
        says("f:2:7: a.settings.key: expected a whole number from 0 to 65535, found a text")
    );
    assert_eq!(
        read::<u8>("300").map(|_| ()),
        says("f:2:7: a.settings.key: expected a whole number from 0 to 255")
    );
    assert_eq!(
        read::<u32>("-1").map(|_| ()),
        says("f:2:7: a.settings.key: expected a whole number from 0 to 4294967295")
    );
    assert_eq!(
        read::<String>("1").map(|_| ()),
        says("f:2:7: a.settings.key: expected a text, found a whole number")
    );
    assert_eq!(
        read::<bool>("1.5").map(|_| ()),
        says("f:2:7: a.settings.key: expected true or false, found a number with a fraction")
    );
    assert_eq!(
        read::<Vec<u8>>("1").map(|_| ()),
        says("f:2:7: a.settings.key: expected a list, found a whole number")
    );
    assert_eq!(
        read::<Duration>("10").map(|_| ()),
        says("f:2:7: a.settings.key: expected a duration such as \"10s\" or \"250ms\", found a whole number")
    );
    for (text, words) in [
        ("soon", "expected a duration such as \"10s\" or \"250ms\""),
        ("-5s", "a duration can't be negative"),
        ("1.5s", "expected whole numbers, such as \"1s500ms\", not a fraction"),
        ("1canary", "unknown unit; the units are h, m, s, ms and us"),
        ("1s1m", "units go from large to small, each once, such as \"1m30s\""),
    ] {
        assert_eq!(
            read::<Duration>(&format!("'{text}'")).map(|_| ()),
            says(&format!("f:2:7: a.settings.key: {words}"))
        );
        assert_eq!(
            read_variable::<Duration>(text).map(|_| ()),
            says(&format!("HTTPUTIL_A__SETTINGS__KEY: {words}"))
        );
    }
    assert_eq!(
        read::<Url>("'collector'").map(|_| ()),
        says(
            "f:2:7: a.settings.key: expected a URL such as \"https://collector:4318/v1/traces\" (relative URL without a base)"
        )
    );
    assert_eq!(
        read::<Mode>("'bach'").map(|_| ()),
        says("f:2:7: a.settings.key: expected \"batch\" or \"stream\"")
    );
}

#[test]
fn a_misfit_within_a_table_or_a_list_names_the_inner_place() {
    let says = |message: &str| Err(message.to_owned());
    assert_eq!(
        read::<Vec<u8>>("[1, 'x']").map(|_| ()),
        says("f:2:11: a.settings.key.1: expected a whole number from 0 to 255, found a text")
    );
    assert_eq!(
        read::<Target>("{ url = 'http://h', weight = 999 }").map(|_| ()),
        says("f:2:36: a.settings.key.weight: expected a whole number from 0 to 255")
    );
    assert_eq!(
        read::<Target>("{ url = 'http://h', wieght = 9 }").map(|_| ()),
        says("f:2:27: a.settings.key: unknown key wieght; did you mean weight?")
    );
    assert_eq!(
        read::<Target>("{ weight = 9 }").map(|_| ()),
        says("f:2:1: a.settings.key: the key url is missing")
    );
}

#[test]
fn a_misfit_in_a_variable_names_it() {
    let says = |message: &str| Err(message.to_owned());
    assert_eq!(
        read_variable::<u16>("many").map(|_| ()),
        says("HTTPUTIL_A__SETTINGS__KEY: expected a whole number, found a text")
    );
    assert_eq!(
        read_variable::<bool>("yes").map(|_| ()),
        says("HTTPUTIL_A__SETTINGS__KEY: expected true or false, found a text")
    );
    assert_eq!(
        read_variable::<Vec<u8>>("1,x").map(|_| ()),
        says("HTTPUTIL_A__SETTINGS__KEY: 1: expected a whole number, found a text")
    );
}
