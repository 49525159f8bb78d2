//! The reference of all keys: `config/REFERENCE.md`.
//!
//! Like the schema for editors it is made from the model, so it knows each key that the checks know, with the same
//! default, bounds and words. An example is the key's default, or one of its kind; a test loads each of them.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value as Json;

use super::effective::{NOT_SET, registry_values, values};
use super::kind::wanted;
use super::layer::variable;
use super::names::REGISTRY;
use super::schema::{Key, Kind, Section, described, registry_described, registry_schema, schema};
use super::values::{Item, Rule, show_duration, show_size};
use crate::settings::{Profile, Registry};

/// The profile that variables and tables are shown for.
const EXAMPLE: &str = "telemetry";

const INTRODUCTION: &str = "\
# The keys of `httputil.toml`

<!-- Generated from the model: cargo run -q --bin schema -- --reference > config/REFERENCE.md -->

A profile is a table, `[telemetry]`; its keys stand in it and in its sections, `[telemetry.pool]`. What it does not say is
looked up in the profiles that it inherits from, in `[default]`, and in the defaults below; `[global]` overrides them all.
Each key has a variable, shown for the profile `telemetry`; `HTTPUTIL_DEFAULT__…` and `HTTPUTIL_GLOBAL__…` set it for
`[default]` and `[global]`.

*Transport* is what shapes a connection: profiles that share a pool must agree on it. *Policy* is what happens to a
request. Durations are text with a unit, `h`, `m`, `s`, `ms` or `us`: `\"1m30s\"`. Sizes are text with a unit, `B`, `KiB`,
`MiB`, `KB`, `MB`: `\"64KiB\"`.
";

/// The page, as Markdown with a line break at its end.
pub(crate) fn text() -> String {
    let mut page = INTRODUCTION.to_owned();
    let built_in = Profile::named("default");
    let of_profile = Reference {
        table: EXAMPLE,
        defaults: values(&built_in)
            .into_iter()
            .filter(|(_, value)| value != NOT_SET)
            .collect(),
    };
    page.push_str("\n## At the top of a profile\n");
    let described = described();
    for (name, key) in &schema().keys {
        if !matches!(key.kind, Kind::Section(_)) {
            of_profile.key(&mut page, name, key, &described["properties"][name]);
        }
    }
    for (name, key) in &schema().keys {
        if let Kind::Section(section) = &key.kind {
            let described = &described["properties"][name];
            let _ = write!(page, "\n## `[{EXAMPLE}.{name}]`\n\n{}\n", words(described));
            of_profile.section(&mut page, name, section, described);
        }
    }
    let of_registry = Reference {
        table: REGISTRY,
        defaults: registry_values(&Registry::default()).into_iter().collect(),
    };
    let _ = write!(
        page,
        "\n## `[{REGISTRY}]`\n\nWhat concerns all pools together; no profile, and inherits nothing.\n"
    );
    let described = registry_described();
    for (name, key) in &registry_schema().keys {
        of_registry.key(&mut page, name, key, &described["properties"][name]);
    }
    page
}

struct Reference {
    table: &'static str,
    defaults: BTreeMap<&'static str, String>,
}

impl Reference {
    fn section(&self, page: &mut String, path: &str, section: &Section, described: &Json) {
        for (name, key) in &section.keys {
            self.key(page, &format!("{path}.{name}"), key, &described["properties"][name]);
        }
    }

    fn key(&self, page: &mut String, path: &str, key: &Key, described: &Json) {
        if let Kind::Section(section) = &key.kind {
            return self.section(page, path, section, described);
        }
        // A profile has a pool of its own name, which is no default that could be written.
        let default = self.defaults.get(path).filter(|_| !key.own);
        let _ = write!(page, "\n### `{path}`\n\n{}\n", words(described));
        let mut facts = vec![match default {
            Some(default) => format!("default `{default}`"),
            None => "not set by default".to_owned(),
        }];
        facts.push(holds(key));
        if let Some(example) = example(key, default.map(String::as_str), described) {
            facts.push(format!("`{} = {example}`", leaf(path)));
            if self.table == REGISTRY || super::walk::in_variables(self.table, path, key) {
                facts.push(format!("`{}={}`", variable(self.table, path), in_a_variable(&example)));
            }
        }
        facts.push(
            match (self.table, key.transport, key.own) {
                (REGISTRY, ..) => "all pools",
                (_, true, _) => "transport",
                (_, false, true) => "the profile's own, not inherited",
                (_, false, false) if matches!(key.kind, Kind::Free) => "the service's own",
                (_, false, false) => "policy",
            }
            .to_owned(),
        );
        let _ = writeln!(page, "\n- {}", facts.join("\n- "));
    }
}

fn words(described: &Json) -> &str {
    described["description"].as_str().unwrap_or_default()
}

fn leaf(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// What the key holds, with its bounds.
fn holds(key: &Key) -> String {
    let wanted = wanted(key);
    let mut holds = wanted.strip_prefix("expected ").unwrap_or(&wanted).to_owned();
    let mut add = |text: String| {
        holds.push_str(", ");
        holds.push_str(&text);
    };
    match &key.kind {
        Kind::Duration { min, max } => {
            if min.as_secs() > 0 {
                add(format!("at least `\"{}\"`", show_duration(*min)));
            }
            if let Some(max) = max {
                add(format!("at most `\"{}\"`", show_duration(*max)));
            }
        }
        Kind::Size { min, max } => {
            if *min > 1 {
                add(format!("at least `\"{}\"`", show_size(*min)));
            }
            if *max < u64::MAX {
                add(format!("at most `\"{}\"`", show_size(*max)));
            }
        }
        _ => {}
    }
    if key.none {
        add("`\"none\"` switches it off".to_owned());
    }
    holds
}

/// A value that can be written: the model's own example, the default, or one of the kind.
fn example(key: &Key, default: Option<&str>, described: &Json) -> Option<String> {
    if let Some(example) = described["examples"].as_array().and_then(|examples| examples.first()) {
        return Some(example.to_string());
    }
    let off = ["\"none\"", "\"auto\"", "[]", "{}", "0"];
    match (&key.kind, default) {
        // The other one than the default says more.
        (Kind::Flag, Some(default)) => return Some((default == "false").to_string()),
        (_, Some(default)) if !off.contains(&default) => return Some(default.to_owned()),
        _ => {}
    }
    Some(
        match &key.kind {
            Kind::Duration { .. } => "\"30s\"",
            Kind::Size { .. } => "\"1MiB\"",
            Kind::Whole { .. } => "10",
            Kind::Number { .. } => "0.5",
            Kind::Flag => "true",
            Kind::Text | Kind::Header => "\"for people\"",
            Kind::Name => "\"shared\"",
            Kind::Names => "[\"default_headers\", \"external\"]",
            Kind::Path => "\"/etc/ssl/corporate.pem\"",
            Kind::List(Item::Url) => "[\"https://collector:4318\"]",
            Kind::List(Item::Origin) => "[\"https://api.example\"]",
            Kind::List(Item::Host) => "[\"localhost\", \".internal\"]",
            Kind::List(Item::Egress) => "[\"*.example.com:443\", \"10.0.0.0/8\"]",
            Kind::List(Item::Coding) => "[]",
            Kind::List(Item::Path) => "[\"/etc/ssl/revoked.pem\"]",
            Kind::List(Item::Pin) => "[\"sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"]",
            Kind::Ruled(Rule::Address) => "\"192.0.2.7\"",
            Kind::Ruled(Rule::Interface) => "\"eth0\"",
            Kind::Ruled(Rule::HostName) => "\"collector.example\"",
            Kind::List(Item::Base) => "\"https://api.example/v1\"",
            Kind::List(Item::Scope) => "[\"invoices.read\"]",
            Kind::Ruled(Rule::TokenUrl) => "\"https://login.example/token\"",
            Kind::Ruled(Rule::Rate) => "\"50/s\"",
            Kind::Headers => "{ x-team = \"search\" }",
            Kind::Addresses => "{ \"example.com\" = [\"10.0.0.1:443\"] }",
            Kind::Proxy => "\"http://proxy:3128\"",
            Kind::Secret => "{ env = \"PROXY_SECRET\" }",
            Kind::Free => "{ endpoint = \"https://collector:4318\" }",
            _ => return None,
        }
        .to_owned(),
    )
}

/// A text stands in a variable without its quotes.
fn in_a_variable(example: &str) -> &str {
    let text = example.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    text.unwrap_or(example)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::ConfigBuilder;
    use crate::settings::Environment;

    /// What the page shows of a key: as a line of a file, and as a variable if there is one.
    struct Shown {
        path: String,
        value: String,
        variable: Option<(String, String)>,
    }

    /// What a key can't do without.
    const BESIDE: [(&str, &str); 8] = [
        ("auth.basic.password", "auth.basic.username = \"we\""),
        ("auth.basic.username", "auth.basic.password = \"word\""),
        (
            "auth.oauth2.client_id",
            "auth.oauth2.token_url = \"https://a.test\"\nauth.oauth2.client_secret = \"word\"",
        ),
        (
            "auth.oauth2.client_secret",
            "auth.oauth2.token_url = \"https://a.test\"\nauth.oauth2.client_id = \"we\"",
        ),
        (
            "auth.oauth2.token_url",
            "auth.oauth2.client_id = \"we\"\nauth.oauth2.client_secret = \"word\"",
        ),
        ("proxy.password", "proxy.username = \"we\""),
        ("tls.cert_file", "tls.key_file = \"key.pem\""),
        ("tls.key_file", "tls.cert_file = \"cert.pem\""),
    ];

    fn examples() -> Vec<Shown> {
        let page = text();
        let keys = page.split("\n### `").skip(1);
        let shown = |text: &str| {
            let path = text.split('`').next().unwrap_or_default().to_owned();
            let lines = text.lines();
            let lines: Vec<&str> = lines
                .filter_map(|line| line.strip_prefix("- `")?.strip_suffix('`'))
                .collect();
            let start = format!("{} = ", leaf(&path));
            let value = lines.iter().find_map(|line| line.strip_prefix(&start));
            let value =
                value.unwrap_or_else(|| panic!("{path} has no example; give its field `#[schemars(example = …)]`"));
            let variable = lines.iter().find(|line| line.starts_with("HTTPUTIL_"));
            let variable = variable.and_then(|line| line.split_once('='));
            Shown {
                value: value.to_owned(),
                variable: variable.map(|(name, value)| (name.to_owned(), value.to_owned())),
                path,
            }
        };
        keys.map(shown).collect()
    }

    #[test]
    fn every_example_loads_in_a_file_and_in_a_variable() {
        let parents = "[default_headers]\n[external]\n";
        let for_tests = Environment::empty()
            .with("HTTPUTIL_ENV", "test")
            .with("PROXY_SECRET", "word");
        let loads = |builder: ConfigBuilder| match builder.load() {
            // A key that this build leaves out says how to have it.
            Err(error) if error.to_string().contains("turn on httputil's feature") => {}
            other => drop(other.unwrap_or_else(|error| panic!("{error:#}"))),
        };
        let of_registry: Vec<String> = registry_schema().leaves().into_iter().map(|(path, _)| path).collect();
        for Shown { path, value, variable } in examples() {
            if path == "watch" && !cfg!(feature = "watch") {
                continue;
            }
            let table = if of_registry.contains(&path) { REGISTRY } else { EXAMPLE };
            let beside = BESIDE.iter().find(|(key, _)| *key == path).map_or("", |(_, line)| line);
            // A secret needs somewhere to go.
            let is_secret = path == "headers" || (path.starts_with("auth.") && path != "auth.origins");
            let origins = if is_secret {
                "\nauth.origins = [\"https://api.example\"]"
            } else {
                ""
            };
            let beside = format!("{beside}{origins}");
            let text = format!("{parents}[{table}]\n{path} = {value}\n{beside}");
            loads(Config::builder().env(&for_tests).embedded("example", text));
            if let Some((name, value)) = variable {
                let environment = for_tests.clone().with(name, value);
                let text = format!("{parents}[{EXAMPLE}]\n{beside}");
                loads(Config::builder().env(&environment).embedded("example", text));
            }
        }
    }

    #[test]
    fn every_key_has_its_place() {
        let page = text();
        let leaves = schema().leaves().into_iter().chain(registry_schema().leaves());
        for (path, key) in leaves {
            let start = page
                .find(&format!("\n### `{path}`\n"))
                .unwrap_or_else(|| panic!("{path}"));
            let entry = page[start + 5..].split("\n#").next().unwrap_or_default();
            assert_eq!(entry.contains("\n- transport\n"), key.transport, "{entry}");
            assert!(
                entry.lines().nth(2).is_some_and(|words| words.len() > 3),
                "{path} has no meaning"
            );
        }
    }
}
