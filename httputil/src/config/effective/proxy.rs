//! The keys of proxies, whose URLs hold what is not shown.

use super::text::{NOT_SET, NOT_SHOWN};
use crate::config::layer::quoted;
use crate::connect::shown_url;
use crate::settings::{Profile, Proxy, ProxyChoice, Secret};

pub(super) fn add_proxy(values: &mut Vec<(&'static str, String)>, proxy: &Proxy) {
    let Proxy {
        from_env,
        url,
        http,
        https,
        no_proxy,
        username,
        password,
    } = proxy;
    // The user and the password in it are not shown.
    let choice = |choice: &Option<ProxyChoice>| match choice {
        None => NOT_SET.to_owned(),
        Some(ProxyChoice::Direct) => quoted("none"),
        Some(ProxyChoice::Through(url)) => {
            shown_url(url.expose()).map_or_else(|| NOT_SHOWN.to_owned(), |url| quoted(&url))
        }
    };
    let hosts = match no_proxy.as_deref() {
        None => NOT_SET.to_owned(),
        Some([]) => quoted("none"),
        Some(hosts) => {
            let hosts: Vec<String> = hosts.iter().map(|host| quoted(host)).collect();
            format!("[{}]", hosts.join(", "))
        }
    };
    let secret = |secret: &Option<Secret>| match secret {
        None => NOT_SET.to_owned(),
        Some(_) => NOT_SHOWN.to_owned(),
    };
    values.extend([
        ("proxy.from_env", from_env.to_string()),
        ("proxy.url", choice(url)),
        ("proxy.http", choice(http)),
        ("proxy.https", choice(https)),
        ("proxy.no_proxy", hosts),
        ("proxy.username", secret(username)),
        ("proxy.password", secret(password)),
    ]);
}

/// Whether two profiles differ in a key, though what is shown of it may be the same.
pub(crate) fn differ_unseen(key: &str, first: &Profile, second: &Profile) -> bool {
    let (first, second) = (&first.transport.proxy, &second.transport.proxy);
    match key {
        "proxy.url" => first.url != second.url,
        "proxy.http" => first.http != second.http,
        "proxy.https" => first.https != second.https,
        "proxy.username" => first.username != second.username,
        "proxy.password" => first.password != second.password,
        _ => false,
    }
}
