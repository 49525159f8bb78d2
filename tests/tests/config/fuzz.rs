//! Files, variables and values in code put together at random, and garbled: whatever comes, the loader answers, the same
//! each time, and no line that it shows holds a value. `PROPTEST_CASES` says how many.

use httputil::{Config, ConfigBuilder, Environment};
use proptest::prelude::*;
use proptest::sample::{Index, select};

const TABLES: [&str; 12] = [
    "default",
    "global",
    "registry",
    "a",
    "b",
    "a.pool",
    "b.tls",
    "a.settings",
    "default.http2",
    "b.timeouts",
    "A-b",
    "a.x",
];
const KEYS: [&str; 16] = [
    "timeout",
    "timuot",
    "pool.max_idle",
    "max_idle",
    "idle_timeout",
    "inherits",
    "name",
    "pool.name",
    "min_version",
    "insecure_skip_verify",
    "enabled",
    "settings.token",
    "warm",
    "proxy.url",
    "\"a key\"",
    "max_connections",
];
const VALUES: [&str; 16] = [
    "\"canary\"",
    "\"10s\"",
    "\"none\"",
    "10",
    "-1",
    "1.2",
    "\"1.2\"",
    "true",
    "[\"canary\", 1]",
    "{ token = \"canary\" }",
    "\"\"\"\ncanary\n\"\"\"",
    "[\n  \"https://u:canary@h\",\n]",
    "\"a\"",
    "[\"a\", \"b\"]",
    "'canary'",
    "99999999999999999999",
];
/// What a slip of the fingers puts in.
const SLIPS: [&str; 12] = ["", "=", "\"", "\n", "[", "]", "{", ".", "_", "\u{feff}", "ß", "\0"];

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => select(&TABLES[..]).prop_map(|table| format!("[{table}]\n")),
        6 => (select(&KEYS[..]), select(&VALUES[..])).prop_map(|(key, value)| format!("{key} = {value} # canary\n")),
    ]
}

/// Some lines with up to three characters that are not as they were.
fn file() -> impl Strategy<Value = String> {
    let slips = prop::collection::vec((any::<Index>(), select(&SLIPS[..])), 0..4);
    (prop::collection::vec(line(), 0..12), slips).prop_map(|(lines, slips)| {
        let mut characters: Vec<String> = lines.concat().chars().map(String::from).collect();
        for (place, slip) in slips {
            if !characters.is_empty() {
                let place = place.index(characters.len());
                slip.clone_into(&mut characters[place]);
            }
        }
        characters.concat()
    })
}

fn variables() -> impl Strategy<Value = Vec<(String, String)>> {
    let name =
        (select(&TABLES[..]), select(&["__", "_", "___"][..]), select(&KEYS[..])).prop_map(|(table, joint, key)| {
            format!("HTTPUTIL_{table}{joint}{key}")
                .to_uppercase()
                .replace('.', "__")
        });
    prop::collection::vec((name, select(&VALUES[..]).prop_map(str::to_owned)), 0..4)
}

fn builder(files: &[String], variables: &[(String, String)], values: &[(&str, &str)]) -> ConfigBuilder {
    let environment = variables
        .iter()
        .fold(Environment::empty(), |environment, (name, value)| {
            environment.with(name, value)
        });
    let builder = files
        .iter()
        .enumerate()
        .fold(Config::builder().env(&environment), |builder, (index, file)| {
            builder.embedded(format!("file{index}"), file.as_str())
        });
    values
        .iter()
        .fold(builder, |builder, (key, value)| builder.set(format!("a.{key}"), *value))
}

/// What a configuration comes to: everything that can be asked of it, or everything that is wrong.
fn answer(builder: ConfigBuilder) -> String {
    match builder.load() {
        Ok(config) => {
            let profiles = config.profiles().into_iter().chain(["registry".to_owned()]);
            let explained = profiles.map(|profile| {
                let variables = config.variables(&profile).unwrap();
                format!("{}{variables:?}", config.explain(&profile).unwrap())
            });
            explained.collect::<Vec<_>>().concat()
        }
        Err(error) => {
            assert!(error.is_config() && !error.problems().is_empty());
            assert_eq!(error.to_string().lines().count(), error.problems().len(), "{error}");
            for problem in error.problems() {
                let excerpt = problem.excerpt().unwrap_or_default();
                // A slip can make a key of what was a value or a remark; a key may be shown, and it stands before its `=`.
                let shown = excerpt.split_once('=').map_or(excerpt.as_str(), |(_, value)| value);
                assert!(!shown.contains("canary"), "{excerpt}");
                assert!(excerpt.lines().count() == 2 || excerpt.is_empty(), "{excerpt}");
            }
            format!("{error:#}")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_loaded_is_answered_the_same_each_time_and_no_line_shows_a_value(
        files in prop::collection::vec(file(), 1..3),
        variables in variables(),
        values in prop::collection::vec((select(&KEYS[..]), select(&VALUES[..])), 0..3),
    ) {
        let load = || answer(builder(&files, &variables, &values));
        prop_assert_eq!(load(), load());
    }

    #[test]
    fn text_of_any_kind_is_answered(text in any::<String>(), name in "[A-Z_]{0,20}", value in any::<String>()) {
        let variables = [(format!("HTTPUTIL_{name}"), value.replace('\0', ""))];
        answer(builder(&[text], &variables, &[]));
    }
}
