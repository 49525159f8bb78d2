//! The keys of what happens to requests.

use std::collections::BTreeMap;

use super::text::{NOT_SET, NOT_SHOWN, duration, list, number_or_none, text_or_none};
use crate::config::layer::quoted;
use crate::settings::{Auth, Breaker, ClientAuth, DefaultHeader, Jitter, Limit, OAuth2, Retry};

pub(super) fn add_auth(values: &mut Vec<(&'static str, String)>, auth: &Auth) {
    let Auth {
        basic,
        bearer,
        oauth2,
        origins,
    } = auth;
    let told = |is_set: bool| if is_set { NOT_SHOWN } else { NOT_SET }.to_owned();
    values.extend([
        ("auth.basic.username", told(basic.is_some())),
        ("auth.basic.password", told(basic.is_some())),
        ("auth.bearer", told(bearer.is_some())),
        ("auth.origins", list(origins)),
    ]);
    add_oauth2(values, oauth2.as_ref());
}

pub(super) fn add_oauth2(values: &mut Vec<(&'static str, String)>, oauth2: Option<&OAuth2>) {
    let text = |text: Option<&String>| text.map_or_else(|| NOT_SET.to_owned(), |text| quoted(text));
    let (url, id, audience) = (
        oauth2.map(|oauth2| &oauth2.token_url),
        oauth2.map(|oauth2| &oauth2.client_id),
        oauth2.and_then(|oauth2| oauth2.audience.as_ref()),
    );
    let client_auth = match oauth2.map(|oauth2| oauth2.client_auth).unwrap_or_default() {
        ClientAuth::Basic => "basic",
        ClientAuth::Body => "body",
    };
    let secret = if oauth2.is_some() { NOT_SHOWN } else { NOT_SET };
    values.extend([
        ("auth.oauth2.token_url", text(url)),
        ("auth.oauth2.client_id", text(id)),
        ("auth.oauth2.client_secret", secret.to_owned()),
        (
            "auth.oauth2.scopes",
            list(oauth2.map_or(&[][..], |oauth2| &oauth2.scopes)),
        ),
        ("auth.oauth2.audience", text(audience)),
        ("auth.oauth2.client_auth", quoted(client_auth)),
    ]);
}

pub(super) fn add_retry(values: &mut Vec<(&'static str, String)>, retry: &Retry) {
    let Retry {
        max_attempts,
        backoff_base,
        backoff_max,
        jitter,
        statuses,
        methods,
        idempotency_header,
        budget_ratio,
        budget_min_per_second,
        respect_retry_after,
        max_retry_after,
    } = retry;
    let jitter = match jitter {
        Jitter::Full => "full",
        Jitter::Equal => "equal",
        Jitter::None => "none",
    };
    values.extend([
        ("retry.max_attempts", max_attempts.to_string()),
        ("retry.backoff.base", duration(*backoff_base)),
        ("retry.backoff.max", duration(*backoff_max)),
        ("retry.backoff.jitter", quoted(jitter)),
        ("retry.statuses", format!("{statuses:?}")),
        ("retry.methods", list(methods)),
        ("retry.idempotency_header", quoted(idempotency_header)),
        ("retry.budget.ratio", format!("{budget_ratio:?}")),
        ("retry.budget.min_per_second", budget_min_per_second.to_string()),
        ("retry.respect_retry_after", respect_retry_after.to_string()),
        ("retry.max_retry_after", duration(*max_retry_after)),
    ]);
}

pub(super) fn add_breaker(values: &mut Vec<(&'static str, String)>, breaker: &Breaker) {
    let Breaker {
        enabled,
        failure_ratio,
        min_requests,
        window,
        open_for,
        max_open_for,
        half_open_requests,
    } = breaker;
    values.extend([
        ("breaker.enabled", enabled.to_string()),
        ("breaker.failure_ratio", format!("{failure_ratio:?}")),
        ("breaker.min_requests", min_requests.to_string()),
        ("breaker.window", duration(*window)),
        ("breaker.open_for", duration(*open_for)),
        ("breaker.max_open_for", duration(*max_open_for)),
        ("breaker.half_open_requests", half_open_requests.to_string()),
    ]);
}

pub(super) fn add_limit(values: &mut Vec<(&'static str, String)>, limit: &Limit) {
    let Limit {
        max_concurrent,
        max_concurrent_per_host,
        queue,
        rate,
        burst,
    } = limit;
    values.extend([
        ("limit.max_concurrent", number_or_none(*max_concurrent)),
        (
            "limit.max_concurrent_per_host",
            number_or_none(*max_concurrent_per_host),
        ),
        ("limit.queue", number_or_none(*queue)),
        ("limit.rate", text_or_none(rate.map(|rate| rate.to_string()).as_deref())),
        ("limit.burst", number_or_none(*burst)),
    ]);
}

/// An inline table.
pub(super) fn header_table(headers: &BTreeMap<String, DefaultHeader>) -> String {
    let headers: Vec<String> = headers
        .iter()
        .map(|(name, value)| match value {
            value if value.is_secret(name) => format!("{name} = {NOT_SHOWN}"),
            value => format!("{name} = {}", quoted(value.expose())),
        })
        .collect();
    if headers.is_empty() {
        "{}".to_owned()
    } else {
        format!("{{ {} }}", headers.join(", "))
    }
}
