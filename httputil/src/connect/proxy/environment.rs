//! The proxy variables.

use std::sync::Arc;

use super::exceptions::{self, Exception};
use super::shown_url;
use crate::error::{Origin, Problem};
use crate::settings::{self, Environment};

/// A variable that is set, and not empty.
pub(super) struct Variable<'a> {
    pub(super) name: &'static str,
    pub(super) value: &'a str,
}

impl Variable<'_> {
    pub(super) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::at(Origin::Variable(Arc::from(self.name)), message)
    }
}

/// The variable for `http` targets. `HTTP_PROXY` in capitals is ignored where `REQUEST_METHOD` is set: there, a
/// request's `Proxy:` header would have made it ("httpoxy", CVE-2016-5385).
pub(super) fn for_http(environment: &Environment) -> Result<Option<Variable<'_>>, Problem> {
    let names: &[&'static str] = match environment.get("REQUEST_METHOD") {
        Some(_) => &["http_proxy", "all_proxy", "ALL_PROXY"],
        None => &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
    };
    first(environment, names)
}

/// The variable for `https` targets.
pub(super) fn for_https(environment: &Environment) -> Result<Option<Variable<'_>>, Problem> {
    first(environment, &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
}

/// What `NO_PROXY` lists.
pub(super) fn exceptions(environment: &Environment) -> Result<Vec<Exception>, Problem> {
    Ok(no_proxy(environment)?.map_or_else(Vec::new, |variable| exceptions::of_variable(variable.value)))
}

fn no_proxy(environment: &Environment) -> Result<Option<Variable<'_>>, Problem> {
    first(environment, &["no_proxy", "NO_PROXY"])
}

fn first<'a>(environment: &'a Environment, names: &[&'static str]) -> Result<Option<Variable<'a>>, Problem> {
    let set = names
        .iter()
        .find_map(|&name| Some((name, environment.get(name).filter(|value| !value.is_empty())?)));
    let Some((name, value)) = set else { return Ok(None) };
    match value.to_str() {
        Some(value) => Ok(Some(Variable { name, value })),
        None => Err(Variable { name, value: "" }.problem("is not UTF-8")),
    }
}

/// The variable that stands in for a key that is not written, and its value in a file's form, without credentials.
pub(crate) fn explained(
    key: &str,
    settings: &settings::Proxy,
    environment: &Environment,
) -> Option<(&'static str, Option<String>)> {
    if !settings.from_env || settings.url.is_some() {
        return None;
    }
    let variable = match key {
        "proxy.http" => for_http(environment),
        "proxy.https" => for_https(environment),
        "proxy.no_proxy" => no_proxy(environment),
        _ => return None,
    };
    let Variable { name, value } = variable.ok()??;
    let shown = match key {
        // What was meant as a URL may hold a password.
        "proxy.no_proxy" => Some(value.to_owned()).filter(|value| !value.contains('@')),
        _ => shown_url(value),
    };
    Some((name, shown.map(|shown| format!("{shown:?}"))))
}
