//! Which way a request takes: the profile's keys, the environment's variables, the exceptions of both.

use httputil::{Client, ClientConfig, Config, Environment, Error, Kind, Registry};
use httputil_tests::one_attempt;
use httputil_tests::proxy::Proxy;
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::Server;

use crate::scene::{client, get, registry_in};

fn resolver() -> ScriptedResolver {
    ["service.test", "api.service.test", "localhost", "other.test"]
        .into_iter()
        .fold(ScriptedResolver::new(), |resolver, name| {
            resolver.name(name, Answer::to(["127.0.0.1:0"]))
        })
}

/// Where a `GET` went: `"first"` or `"second"` for the proxies, `"direct"`.
async fn way(client: &Client, url: &str, first: &Proxy, second: &Proxy) -> &'static str {
    let before = (first.requests(), second.requests());
    assert_eq!(
        get(client, url).await.expect("every way leads to the server"),
        "hello",
        "{url}"
    );
    match (first.requests() - before.0, second.requests() - before.1) {
        (1, 0) => "first",
        (0, 1) => "second",
        (0, 0) => "direct",
        other => panic!("{url} went more than one way: {other:?}"),
    }
}

/// Keys of `[default.proxy]` | variables | the URL's host | the way. ONE and TWO are the URLs of two proxies, BARE is the
/// first's without a scheme, PORT the server's.
const WAYS: &str = "
    | | service.test | direct
    | HTTP_PROXY=ONE | service.test | first
    | http_proxy=ONE | service.test | first
    | http_proxy=BARE | service.test | first
    | ALL_PROXY=ONE | service.test | first
    | all_proxy=ONE | service.test | first
    | HTTPS_PROXY=ONE | service.test | direct
    | HTTP_PROXY= | service.test | direct
    | HTTP_PROXY=;ALL_PROXY=TWO | service.test | second
    | HTTP_PROXY=ONE;ALL_PROXY=TWO | service.test | first
    | http_proxy=ONE;HTTP_PROXY=TWO | service.test | first
    | HTTP_PROXY=ONE;REQUEST_METHOD=GET | service.test | direct
    | http_proxy=ONE;REQUEST_METHOD=GET | service.test | first
    | ALL_PROXY=ONE | 127.0.0.1 | direct
    | ALL_PROXY=ONE | localhost | direct
    url = 'ONE' | | 127.0.0.1 | first
    url = 'ONE' | | localhost | first
    | ALL_PROXY=ONE;NO_PROXY=a, service.test | service.test | direct
    | ALL_PROXY=ONE;NO_PROXY=service.test | api.service.test | direct
    | ALL_PROXY=ONE;NO_PROXY=.service.test | service.test | first
    | ALL_PROXY=ONE;NO_PROXY=service.test:PORT | service.test | direct
    | ALL_PROXY=ONE;NO_PROXY=service.test:1 | service.test | first
    | ALL_PROXY=ONE;no_proxy=* | service.test | direct
    | ALL_PROXY=ONE;no_proxy=x;NO_PROXY=* | service.test | first
    from_env = false | ALL_PROXY=ONE | service.test | direct
    url = 'none' | ALL_PROXY=ONE | service.test | direct
    http = 'none' | ALL_PROXY=ONE | service.test | direct
    https = 'none' | ALL_PROXY=ONE | service.test | first
    url = 'TWO' | ALL_PROXY=ONE | service.test | second
    http = 'TWO' | ALL_PROXY=ONE | service.test | second
    https = 'TWO' | ALL_PROXY=ONE | service.test | first
    url = 'ONE';http = 'TWO' | | service.test | second
    url = 'ONE';https = 'TWO' | | service.test | first
    url = 'ONE';http = 'none' | | service.test | direct
    url = 'ONE';from_env = false | | service.test | first
    url = 'ONE' | NO_PROXY=* | service.test | first
    url = 'ONE';no_proxy = ['.test:PORT'] | | service.test | direct
    url = 'ONE';no_proxy = ['other.test'] | | service.test | first
    url = 'ONE';no_proxy = ['127.0.0.0/8'] | | 127.0.0.1 | direct
    no_proxy = ['other.test'] | ALL_PROXY=ONE;NO_PROXY=* | service.test | first
    no_proxy = ['service.test'] | ALL_PROXY=ONE | service.test | direct
    no_proxy = 'none' | ALL_PROXY=ONE;NO_PROXY=* | service.test | first
";

#[tokio::test]
async fn the_way_follows_the_keys_then_the_variables() {
    let server = Server::builder().start().await;
    let (first, second) = (Proxy::builder().start().await, Proxy::builder().start().await);
    let bare = first.url().replace("http://", "");
    let ways = WAYS
        .replace("ONE", &first.url())
        .replace("TWO", &second.url())
        .replace("BARE", &bare)
        .replace("PORT", &server.port().to_string());
    let lines = ways.lines().filter(|line| !line.is_empty());
    for line in lines {
        let [keys, variables, host, expected] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("four columns: {line}");
        };
        let pairs = variables.split(';').filter_map(|pair| pair.split_once('='));
        let environment = pairs.fold(Environment::empty(), |all, (name, value)| all.with(name, value));
        let toml = format!("[default.proxy]\n{}", keys.replace(';', "\n"));
        let client = registry_in(&toml, &environment, &resolver()).client("default").unwrap();
        let went = way(&client, &server.url_for(host, "/"), &first, &second).await;
        assert_eq!(went, expected, "{line}");
    }
}

#[tokio::test]
async fn methods_in_code_choose_a_proxy_and_switch_it_off() {
    let server = Server::builder().start().await;
    let (first, second) = (Proxy::builder().start().await, Proxy::builder().start().await);
    let url = server.url("/");
    let of = |config: ClientConfig| Client::new(config).unwrap();
    let config = one_attempt();
    assert_eq!(
        way(&of(config.clone().proxy(first.url())), &url, &first, &second).await,
        "first"
    );
    let both = config.proxy(first.url());
    assert_eq!(way(&of(both.clone().no_proxy()), &url, &first, &second).await, "direct");
    assert_eq!(
        way(&of(both.no_proxy().proxy(second.url())), &url, &first, &second).await,
        "second"
    );
    assert_eq!(way(&client(|_| {}), &url, &first, &second).await, "direct");
}

/// The error of a client that cannot be made.
fn refusal(keys: &str, environment: &Environment) -> Error {
    let toml = format!("[default.proxy]\n{keys}");
    let config = Config::builder().embedded("test.toml", toml).env(environment).load();
    let client = config
        .and_then(|config| Registry::builder().config(config).build())
        .and_then(|registry| registry.client("default"));
    client.expect_err("the proxy is none")
}

#[test]
fn a_wrong_proxy_is_an_error_by_the_name_of_its_variable_or_key() {
    for (value, why) in [
        ("socks4://user:canary@proxy", "SOCKS4 is not spoken here"),
        ("ftp://user:canary@proxy", "scheme http, https, socks5 or socks5h"),
        ("http://user:canary@proxy:99999", "invalid port"),
        ("http://user:can/ary@proxy", "expected the URL of a proxy"),
    ] {
        for name in ["HTTP_PROXY", "https_proxy", "ALL_PROXY"] {
            let error = refusal("", &Environment::empty().with(name, value));
            let text = format!("{error} {error:?}");
            assert!(
                error.is_config() && text.starts_with(name) && text.contains(why),
                "{text}"
            );
            assert!(!text.contains("canary") && !text.contains("ary@"), "{text}");
        }
        for key in ["url", "http", "https"] {
            let error = refusal(&format!("{key} = \"{value}\""), &Environment::empty());
            let text = format!("{error} {error:?}");
            let place = format!("test.toml:2:{}: default.proxy.{key}", key.len() + 4);
            assert!(
                error.is_config() && text.starts_with(&place) && text.contains(why),
                "{text}"
            );
            assert!(!text.contains("canary") && !text.contains("ary@"), "{text}");
        }
        let in_code = Client::new(one_attempt().proxy(value)).unwrap_err();
        assert!(
            in_code.is_config() && in_code.to_string().starts_with("default.proxy.url: "),
            "{in_code}"
        );
        assert!(!format!("{in_code} {in_code:?}").contains("canary"), "{in_code}");
    }
}

/// One that nobody heeds stops nobody.
#[test]
fn a_wrong_variable_matters_only_where_it_is_heeded() {
    let wrong = Environment::empty().with("ALL_PROXY", "socks4://proxy");
    for keys in ["from_env = false", "url = \"none\"", "url = \"http://proxy\""] {
        let client = registry_in(&format!("[default.proxy]\n{keys}"), &wrong, &resolver()).client("default");
        client.unwrap_or_else(|error| panic!("{keys}: {error}"));
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf_8_is_an_error_by_its_name() {
    use std::os::unix::ffi::OsStringExt;
    let garbled = std::ffi::OsString::from_vec(vec![b'h', 0xff]);
    for name in ["HTTP_PROXY", "NO_PROXY"] {
        let environment = Environment::empty()
            .with("ALL_PROXY", "http://proxy")
            .with(name, garbled.clone());
        let error = refusal("", &environment);
        assert_eq!(error.kind(), Kind::Config);
        assert_eq!(error.to_string(), format!("{name}: is not UTF-8"));
    }
}
