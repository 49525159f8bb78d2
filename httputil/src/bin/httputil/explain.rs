//! `httputil explain`: every value in force, who set it, and what that hides.

use httputil::{Config, Error};
use serde_json::json;

use crate::args::ExplainArgs;
use crate::json::{of_key, of_origin, pretty};
use crate::output::Outcome;
use crate::source::SourceArgs;

pub(crate) fn run(args: &ExplainArgs, source: &SourceArgs) -> Result<Outcome, Outcome> {
    let config = source.load()?;
    let mut explanation = config
        .explain(&args.profile)
        .map_err(|error| in_two_words(&config, args, &error))?;
    let mut within_a_value = Vec::new();
    if let Some(key) = &args.key {
        let within = format!("{key}.");
        explanation
            .keys
            .retain(|explained| explained.key == *key || explained.key.starts_with(&within));
        if explanation.keys.is_empty() {
            // Either no key is called so, which this says, or it has no value, or it is a part of one: a key in a table.
            within_a_value = config.origins(&args.profile, key).map_err(Outcome::failed)?;
        }
    }
    if args.json {
        let mut keys: Vec<_> = explanation.keys.iter().map(of_key).collect();
        if let (Some(key), [in_force, shadowed @ ..]) = (&args.key, within_a_value.as_slice()) {
            let shadowed: Vec<_> = shadowed.iter().map(of_origin).collect();
            keys.push(json!({ "key": key, "hidden": true, "origin": of_origin(in_force), "shadowed": shadowed }));
        }
        return Ok(Outcome::said(pretty(
            &json!({ "profile": explanation.profile, "keys": keys }),
        )));
    }
    if explanation.keys.is_empty() {
        let key = args.key.as_deref().unwrap_or_default();
        let places: Vec<String> = within_a_value.iter().map(ToString::to_string).collect();
        let what = if places.is_empty() {
            "not set".to_owned()
        } else {
            format!("(not shown)  {}", places.join(", over "))
        };
        return Ok(Outcome::said(format!("{}\n{key}  {what}\n", explanation.profile)));
    }
    Ok(Outcome::said(explanation.to_string()))
}

/// That there is no such profile; of `telemetry.timeout` that these are two arguments.
fn in_two_words(config: &Config, args: &ExplainArgs, error: &Error) -> Outcome {
    let parts = args.profile.split_once('.').filter(|_| args.key.is_none());
    match parts.filter(|(profile, _)| *profile == "registry" || config.profile(profile).is_ok()) {
        Some((profile, key)) => Outcome::failed(format_args!("{error}; did you mean `explain {profile} {key}`?")),
        None => Outcome::failed(error),
    }
}
