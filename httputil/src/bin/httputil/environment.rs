//! `httputil env`: all variables of a profile, with today's values.

use std::fmt::Write;

use httputil::{Config, Variable};
use serde_json::{Value as Json, json};

use crate::args::EnvArgs;
use crate::json::{of_place, of_value, pretty};
use crate::output::Outcome;
use crate::source::SourceArgs;

pub(crate) fn run(args: &EnvArgs, source: &SourceArgs) -> Result<Outcome, Outcome> {
    let config = source.load()?;
    let variables = config.variables(&args.profile).map_err(Outcome::failed)?;
    Ok(Outcome::said(if args.json {
        let variables: Vec<Json> = variables.iter().map(of_variable).collect();
        pretty(&json!({ "profile": args.profile, "variables": variables }))
    } else {
        table(&config, &variables)
    }))
}

fn of_variable(variable: &Variable) -> Json {
    let mut json = json!({ "name": variable.name, "key": variable.key, "set": variable.is_set() });
    if let Some(place) = &variable.place {
        json["origin"] = of_place(place);
    }
    if let Some(leader) = variable.follows {
        json["follows"] = leader.into();
    }
    match (&variable.value, &variable.place) {
        (Some(value), _) => json["value"] = of_value(value),
        (None, Some(_)) => json["hidden"] = true.into(),
        (None, None) => {}
    }
    json
}

fn table(config: &Config, variables: &[Variable]) -> String {
    let mut rows: Vec<[String; 3]> = ["HTTPUTIL_CONFIG", "HTTPUTIL_ENV"]
        .into_iter()
        .map(|name| {
            let value = config.environment().get(name).filter(|value| !value.is_empty());
            let value = value.map_or_else(String::new, |value| value.to_string_lossy().escape_debug().to_string());
            let meaning = match name {
                "HTTPUTIL_ENV" => "the environment, which adds httputil.<env>.toml",
                _ => "the main file, instead of the one that is found",
            };
            [name.to_owned(), value, meaning.to_owned()]
        })
        .collect();
    rows.extend(variables.iter().map(|variable| {
        let value = match (&variable.value, &variable.place) {
            (Some(value), _) => as_in_a_variable(value),
            (None, Some(_)) => "(not shown)".to_owned(),
            (None, None) if variable.follows.is_some() => "(not shown)".to_owned(),
            (None, None) => String::new(),
        };
        let from = match &variable.place {
            Some(_) if variable.is_set() => "set".to_owned(),
            Some(place) => place.origin.to_string(),
            None if variable.follows.is_some() => format!("follows {}", variable.follows.unwrap_or_default()),
            None if variable.value.is_some() => "built-in default".to_owned(),
            None => "not set".to_owned(),
        };
        [variable.name.clone(), value, from]
    }));
    let width = |text: &str| text.chars().count();
    let names = rows.iter().map(|[name, ..]| width(name)).max().unwrap_or_default();
    // One long text must not push every origin out of sight.
    let values = rows
        .iter()
        .map(|[_, value, _]| width(value))
        .filter(|width| *width <= 24);
    let values = values.max().unwrap_or_default();
    let mut text = String::new();
    for [name, value, from] in &rows {
        let _ = writeln!(text, "{name:names$}  {value:values$}  {from}");
    }
    text
}

/// A text stands in a variable without its quotes.
fn as_in_a_variable(value: &str) -> String {
    match of_value(value) {
        Json::String(text) if value.starts_with('"') && !text.contains(char::is_control) => text,
        _ => value.to_owned(),
    }
}
