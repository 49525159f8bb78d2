//! A proxy variable that would apply fails the request by name; it is never passed over in silence.

use httputil::{Environment, Kind};
use httputil_tests::resolver::{Answer, ScriptedResolver};
use httputil_tests::server::Server;

use crate::scene::{assert_says, failure, get, registry_in};

const PROXY: &str = "http://somebody:s3cret@proxy.test:3128";

fn resolver() -> ScriptedResolver {
    ScriptedResolver::new().name("service.test", Answer::to(["127.0.0.1:0"]))
}

#[tokio::test]
async fn a_request_that_a_proxy_variable_applies_to_fails_by_the_variables_name() {
    let server = Server::builder().start().await;
    let resolver = resolver();
    let cases = [
        ("HTTPS_PROXY", "https"),
        ("https_proxy", "https"),
        ("HTTP_PROXY", "http"),
        ("ALL_PROXY", "http"),
        ("all_proxy", "https"),
    ];
    for (variable, scheme) in cases {
        let environment = Environment::empty().with(variable, PROXY);
        let client = registry_in("", &environment, &resolver).client("default").unwrap();
        let url = format!("{scheme}://service.test:{}/", server.port());
        let error = failure(&client, url).await;
        assert_says(
            &error,
            Kind::Proxy,
            &[variable, "service.test", "NO_PROXY", "proxy.from_env"],
        );
        assert!(!error.to_string().contains("s3cret"));
        assert_eq!(client.stats().dials_started, 0);
    }
    assert_eq!(resolver.calls(), 0, "nothing was asked about the host");
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn loopback_exceptions_other_schemes_and_profiles_that_say_so_go_direct() {
    let server = Server::builder().start().await;
    let (port, url) = (server.port(), server.url_for("service.test", "/"));
    let proxy = Environment::empty()
        .with("HTTPS_PROXY", PROXY)
        .with("HTTP_PROXY", PROXY);
    let cases = [
        ("", proxy.clone(), server.url("/")),
        ("", proxy.clone(), server.url_for("localhost", "/")),
        ("", proxy.clone().with("NO_PROXY", "service.test"), url.clone()),
        ("", proxy.clone().with("NO_PROXY", format!(".test:{port}")), url.clone()),
        ("", Environment::empty().with("HTTPS_PROXY", PROXY), url.clone()),
        ("[default]\nproxy.from_env = false", proxy, url),
    ];
    let resolver = resolver().name("localhost", Answer::to(["127.0.0.1:0"]));
    for (toml, environment, url) in cases {
        let client = registry_in(toml, &environment, &resolver).client("default").unwrap();
        assert_eq!(get(&client, &url).await.unwrap(), "hello", "{environment:?} {url}");
    }
}
