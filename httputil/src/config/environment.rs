//! `HTTPUTIL_*` variables → a layer; every one that can't be meant is a problem that says what was.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::sync::Arc;

use super::layer::{shown_key, variable};
use super::names::{DEFAULT, GLOBAL, REGISTRY};
use super::overrides::{Override, into_tables};
use super::planned;
use super::problems::Problems;
use super::schema::schema;
use super::suggest;
use super::tree::Table;
use crate::error::{Origin, Problem};
use crate::settings::Environment;

const PREFIX: &str = "HTTPUTIL_";
const CONFIG: &str = "HTTPUTIL_CONFIG";
const ENV: &str = "HTTPUTIL_ENV";

/// Which profiles exist.
pub(crate) struct Known<'a> {
    /// Their names, `default` included.
    pub(crate) profiles: &'a BTreeSet<String>,
    /// Whether these are all: a file that could not be read may hold more, and what is missing then is no mistake.
    pub(crate) complete: bool,
}

impl Known<'_> {
    /// Whether a value may be set there.
    pub(crate) fn has(&self, name: &str) -> bool {
        [DEFAULT, GLOBAL, REGISTRY].contains(&name) || self.profiles.contains(name) || !self.complete
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.profiles.iter().map(String::as_str).chain([GLOBAL, REGISTRY])
    }
}

/// A variable that is read by name: `None` if it is not set, and empty is not set.
pub(crate) fn reserved<'a>(environment: &'a Environment, name: &str) -> Option<&'a OsStr> {
    environment.get(name).filter(|value| !value.is_empty())
}

/// `HTTPUTIL_CONFIG`, which replaces the search for a file.
pub(crate) fn config_file(environment: &Environment) -> Option<&OsStr> {
    reserved(environment, CONFIG)
}

/// `HTTPUTIL_ENV` as it is written; a value that isn't UTF-8 comes out garbled and is refused as a name.
pub(crate) fn environment_name(environment: &Environment) -> Option<String> {
    reserved(environment, ENV).map(|name| name.to_string_lossy().into_owned())
}

/// All variables that set keys, as [`into_tables`] makes tables of them.
pub(crate) fn tables(environment: &Environment, known: &Known<'_>, problems: &mut Problems) -> (Table, Vec<Table>) {
    let mut overrides = Vec::new();
    for (name, value) in environment.iter() {
        let shown = name.to_string_lossy();
        let Some(rest) = shown.strip_prefix(PREFIX) else {
            if let Some(meant) = in_capitals(&shown, known).filter(|_| !value.is_empty()) {
                let message = format!("variables are upper case; did you mean {meant}?");
                problems.add(|| Problem::at(Origin::Variable(Arc::from(&*shown)), message));
            }
            continue;
        };
        if value.is_empty() || shown == CONFIG || shown == ENV || is_of_kubernetes(rest) {
            continue;
        }
        let origin = Origin::Variable(Arc::from(&*shown));
        if name.to_str().is_none() {
            problems.add(|| Problem::at(origin, "the variable's name is not UTF-8"));
            continue;
        }
        let path = match path(rest, known) {
            Ok(path) => path,
            Err(message) => {
                problems.add(|| Problem::at(origin, message));
                continue;
            }
        };
        match value.to_str() {
            Some(value) => overrides.push(Override {
                path,
                origin,
                value: value.to_owned(),
            }),
            None => problems.add(|| Problem::at(origin, "the value is not UTF-8")),
        }
    }
    into_tables(overrides, problems)
}

/// The path that a variable names, profile first.
fn path(rest: &str, known: &Known<'_>) -> Result<Vec<String>, String> {
    let lower = rest.to_ascii_lowercase();
    let path: Vec<String> = lower.split("__").map(str::to_owned).collect();
    if lower.to_ascii_uppercase() != rest {
        return Err(format!(
            "variables are upper case; did you mean {PREFIX}{}?",
            rest.to_ascii_uppercase()
        ));
    }
    if path.len() > 1 && known.has(&path[0]) {
        return Ok(path);
    }
    if let Some(key) = key_spelled(&lower) {
        let (all, every) = (variable(DEFAULT, &key), variable(GLOBAL, &key));
        return Err(format!(
            "no profile is named; did you mean {all}, or {every} to override every profile?"
        ));
    }
    if let Some(key) = suggest::registry_key(&lower) {
        return Err(format!(
            "no profile is named; did you mean {}?",
            variable(REGISTRY, &key)
        ));
    }
    // Too few underscores between the parts: the longest profile whose name it starts with is the one.
    let profiles = known.names().chain([REGISTRY]);
    let started = profiles
        .filter_map(|name| {
            let rest = lower.strip_prefix(name)?;
            (rest.is_empty() || rest.starts_with('_')).then(|| (name, rest.trim_start_matches('_')))
        })
        .max_by_key(|(name, _)| name.len());
    if let Some((profile, rest)) = started {
        let is_alone = path.len() == 1;
        let (spelled, example) = if profile == REGISTRY {
            (suggest::in_registry(&rest.replace("__", "_")), "max_connections")
        } else {
            let spelled = key_spelled(rest).or_else(|| suggest::setting(&rest.replace("__", "_")));
            let spelled = spelled.or_else(|| is_alone.then(|| suggest::key(rest)).flatten());
            (spelled, "timeout")
        };
        let hint = match spelled {
            Some(key) => Some(format!("; did you mean {}?", variable(profile, &key))),
            None => is_alone.then(|| format!(", as in {}", variable(profile, example))),
        };
        if let Some(hint) = hint {
            return Err(format!("two underscores stand between the parts of a name{hint}"));
        }
    }
    if path.len() > 1 {
        let near = suggest::nearest(&path[0], known.names());
        let hint = near.map(|near| format!("; did you mean {}?", variable(near, &path[1..].join("."))));
        let shown = shown_key(&path[0]);
        return Err(format!("no profile is called {shown}{}", hint.unwrap_or_default()));
    }
    let near = suggest::nearest(&lower, ["config", "env"]).or(match lower.as_str() {
        "config_file" | "config_path" | "conf" | "file" => Some("config"),
        "environment" | "environ" | "stage" => Some("env"),
        _ => None,
    });
    let hint = near.map(|near| format!("; did you mean {PREFIX}{}?", near.to_ascii_uppercase()));
    Err(format!("unknown variable{}", hint.unwrap_or_default()))
}

/// The key, living or planned, or the section that is written so, but for the place and number of underscores.
fn key_spelled(flat: &str) -> Option<String> {
    let living = schema().leaves().into_iter().map(|(path, _)| path);
    let planned = planned::keys().map(str::to_owned);
    let sections = schema().keys.keys().cloned();
    let all: Vec<String> = living.chain(planned).chain(sections).collect();
    suggest::folded(flat, all.iter().map(String::as_str)).map(str::to_owned)
}

/// The variable that this one would be in capitals, if it would count.
fn in_capitals(name: &str, known: &Known<'_>) -> Option<String> {
    let upper = name.to_ascii_uppercase();
    let rest = upper.strip_prefix(PREFIX)?;
    let counts = upper == CONFIG || upper == ENV || path(rest, known).is_ok();
    counts.then_some(upper)
}

/// The variables that Kubernetes makes for a Service called `httputil`.
fn is_of_kubernetes(rest: &str) -> bool {
    let of_port = |rest: &str| {
        let mut parts = rest.split('_');
        let number = parts
            .next()
            .is_some_and(|port| !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit()));
        let protocol = parts
            .next()
            .is_some_and(|protocol| ["TCP", "UDP", "SCTP"].contains(&protocol));
        let last = parts
            .next()
            .is_none_or(|part| ["PROTO", "PORT", "ADDR"].contains(&part));
        number && protocol && last && parts.next().is_none()
    };
    rest == "SERVICE_HOST"
        || rest == "SERVICE_PORT"
        || rest.starts_with("SERVICE_PORT_")
        || rest == "PORT"
        || rest.strip_prefix("PORT_").is_some_and(of_port)
}
