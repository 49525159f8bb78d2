//! Headers that a profile gives each of its requests: which count, which go where, which are shown, which are refused.

use http::Method;
use httputil::{Client, ClientConfig, Config, Environment, Registry};

use crate::common::{Door, Place, assert_at_rest, headers};

/// A client of the profile `a`, by a file and by variables.
fn configured(toml: &str, variables: &[(&str, &str)]) -> Client {
    let environment = variables
        .iter()
        .fold(Environment::empty(), |environment, (name, value)| {
            environment.with(*name, *value)
        });
    let config = Config::builder()
        .embedded("test.toml", toml)
        .env(&environment)
        .load()
        .unwrap();
    Registry::builder().config(config).build().unwrap().client("a").unwrap()
}

#[tokio::test]
async fn a_request_s_own_header_is_before_the_profile_s() {
    let place = Place::start().await;
    let config = ClientConfig::default()
        .default_header("X-Team", "search")
        .default_header("accept", "a/b")
        .user_agent("ours/1");
    let client = Client::new(config).unwrap();
    for door in Door::BOTH {
        let seen = door.get(&client, &place.url("/")).await.unwrap().echoed();
        assert_eq!(
            (seen.header("x-team"), seen.header("accept")),
            (Some("search"), Some("a/b"))
        );
        assert_eq!(seen.header("user-agent"), Some("ours/1"));
        let own = headers([("x-team", "mine"), ("user-agent", "mine/1"), ("x-other", "1")]);
        let seen = door
            .send(&client, Method::GET, &place.url("/"), own, "")
            .await
            .unwrap()
            .echoed();
        let teams: Vec<_> = seen.headers.iter().filter(|(name, _)| name == "x-team").collect();
        assert_eq!(teams, [&("x-team".to_owned(), "mine".to_owned())]);
        assert_eq!(
            (seen.header("user-agent"), seen.header("accept")),
            (Some("mine/1"), Some("a/b"))
        );
    }
    assert_at_rest(&client).await;
}

#[tokio::test]
async fn layers_add_replace_and_remove_headers_by_name_whatever_its_case() {
    let place = Place::start().await;
    let toml = "[default.headers]\nX-One = \"default\"\nx-two = \"default\"\nx-three = \"default\"\n\
                [a.headers]\nx-ONE = \"a\"\nX-Two = false\nx-four = { env = \"FOURTH\" }\n\
                [a]\nauth.origins = [\"ORIGIN\"]\n";
    let variables = [
        ("HTTPUTIL_A__HEADERS__X_THREE", "by variable"),
        ("HTTPUTIL_GLOBAL__HEADERS__X_FIVE_FIVE", "everywhere"),
        ("FOURTH", "canary"),
    ];
    let client = configured(&toml.replace("ORIGIN", &place.url("")), &variables);
    for door in Door::BOTH {
        let seen = door.get(&client, &place.url("/")).await.unwrap().echoed();
        let of = |name| seen.header(name);
        assert_eq!((of("x-one"), of("x-two")), (Some("a"), None));
        assert_eq!((of("x-three"), of("x-four")), (Some("by variable"), Some("canary")));
        assert_eq!(of("x-five-five"), Some("everywhere"));
    }
}

#[tokio::test]
async fn a_secret_header_goes_to_its_own_origins_only_on_the_first_request_too() {
    let (own, other) = (Place::start().await, Place::start().await);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "canary\n").unwrap();
    let toml = format!(
        "[a]\nbase_url = \"{}\"\n[a.headers]\nx-team = \"search\"\nx-key = {{ file = '{}' }}\nx-api-key = \"canary\"\n",
        own.url("/v1"),
        file.path().display()
    );
    let client = configured(&toml, &[]);
    own.sends("/v1/from", 302, other.url("/there"));
    other.sends("/there", 302, own.url("/v1/back"));
    let strayed = |url: &str| url.replace("127.0.0.1", "localhost");
    for door in Door::BOTH {
        for url in ["/", "/x?y", &own.url("/elsewhere")] {
            let seen = door.get(&client, url).await.unwrap().echoed();
            assert_eq!(
                (seen.header("x-key"), seen.header("x-api-key")),
                (Some("canary"), Some("canary"))
            );
            assert_eq!(seen.header("x-team"), Some("search"));
        }
        // Another port, another name, a user before the host, and there and back.
        let urls = [
            other.url("/"),
            strayed(&own.url("/")),
            other.url("/").replace("http://", "http://127.0.0.1@"),
            own.url("/v1/from"),
        ];
        for url in urls {
            let seen = door.get(&client, &url).await.unwrap().echoed();
            assert_eq!(seen.header("x-team"), Some("search"), "{url}");
            let secrets = (seen.header("x-key"), seen.header("x-api-key"));
            assert_eq!(secrets, (None, None), "{url}");
        }
        assert!(!format!("{:?}", other.seen()).contains("canary"));
        // What a request says instead of the profile's secret is one, too.
        let mine = headers([("x-key", "mine")]);
        let landed = door.send(&client, Method::GET, "/from", mine, "").await;
        assert_eq!(landed.unwrap().echoed().header("x-key"), None);
    }
    for relative in ["//127.0.0.1/", "\\\\127.0.0.1/", "../../x"] {
        assert!(client.get(relative).send().await.is_err(), "{relative}");
    }
    assert_at_rest(&client).await;
}

#[test]
fn a_secret_without_an_origin_is_an_error_by_name_where_it_is_used() {
    let toml = "[default.headers]\nx-key = { env = \"KEY\" }\n[a]\n[b]\nbase_url = \"http://b.test/v1\"\n";
    let environment = Environment::empty().with("KEY", "canary");
    let config = Config::builder()
        .embedded("test.toml", toml)
        .env(&environment)
        .load()
        .unwrap();
    let registry = Registry::builder().config(config).build().unwrap();
    assert!(registry.client("b").is_ok());
    let error = registry.client("a").unwrap_err().to_string();
    let expected = "test.toml:2:1: default.headers.x-key: a secret goes to the origin of base_url or to those of auth.origins \
                    only, and neither is set (profile a)";
    assert_eq!(error, expected);
}

#[test]
fn what_can_be_no_default_header_is_refused_in_code_by_name() {
    for (name, value, words) in [
        (
            "host",
            "canary",
            "headers.host: this header can't be a default: the URL says it",
        ),
        (
            "Content-Length",
            "5",
            "headers.content-length: this header can't be a default: the body says it",
        ),
        (
            "user-agent",
            "canary",
            "headers.user-agent: this header can't be a default: write user_agent",
        ),
        (
            "proxy-authorization",
            "canary",
            "write proxy.username and proxy.password",
        ),
        ("x y", "canary", "expected the name of a header in lower case"),
        ("x-a", "canary\r\nx-b: 1", "headers.x-a: a header can't hold this text"),
        ("x-a", "canary\0", "headers.x-a: a header can't hold this text"),
        ("x-a", "", "headers.x-a: a header can't hold this text"),
    ] {
        for config in [
            ClientConfig::default().default_header(name, value),
            ClientConfig::default().secret_header(name, value),
        ] {
            let error = Client::new(config.base_url("http://a.test")).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }
}
