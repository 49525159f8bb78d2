//! `tls.insecure_skip_verify`: where it is allowed, and nowhere else.

use httputil::{Config, Environment, Kind};
use httputil_tests::ca::{Ca, Wrong};
use httputil_tests::resolver::ScriptedResolver;
use httputil_tests::server::Server;
use httputil_tests::tls::ServerTls;

use crate::scene::{assert_says, failure, get, registry_in};

const INSECURE: &str = "[default]\ntls.roots = \"bundled\"\n[lenient.tls]\ninsecure_skip_verify = true";

fn environment(name: &str) -> Environment {
    Environment::empty().with("HTTPUTIL_ENV", name)
}

#[tokio::test]
async fn in_development_and_test_any_certificate_will_do() {
    for wrong in Wrong::ALL {
        // This one cannot even prove that it holds its key.
        if wrong == Wrong::Sha1 {
            continue;
        }
        let identity = Ca::new().issue_wrong(wrong, ["127.0.0.1"]);
        let server = Server::builder().tls(ServerTls::new(identity).build()).start().await;
        for name in ["development", "test"] {
            let registry = registry_in(INSECURE, &environment(name), &ScriptedResolver::new());
            let lenient = registry.client("lenient").unwrap();
            assert_eq!(
                get(&lenient, server.url("/")).await.unwrap(),
                "hello",
                "{wrong:?} in {name}"
            );
            // The profile beside it is as strict as ever.
            let strict = registry.client("default").unwrap();
            assert_says(&failure(&strict, server.url("/")).await, Kind::Tls, &["TLS handshake"]);
            assert!(lenient.stats().unverified && !strict.stats().unverified);
            assert!(registry.stats().pool("lenient").is_some_and(|pool| pool.unverified));
        }
    }
}

#[test]
fn anywhere_else_it_is_refused_by_key_and_remedy() {
    for name in ["", "production", "staging", "Test", " test", "testing"] {
        let loaded = Config::builder()
            .embedded("test.toml", INSECURE)
            .env(&environment(name))
            .load();
        let error = loaded.map(|_| ()).expect_err("it is refused");
        assert!(error.is_config(), "{name:?}: {error}");
        if ["", "production", "staging", "testing"].contains(&name) {
            let text = error.to_string();
            for word in [
                "insecure_skip_verify",
                "HTTPUTIL_ENV",
                "test.toml:4",
                "tls.extra_ca_file",
            ] {
                assert!(text.contains(word), "{name:?}: {word} is missing: {text}");
            }
        }
    }
    let nowhere = Config::builder().embedded("test.toml", INSECURE).load();
    assert!(nowhere.map(|_| ()).expect_err("it is refused").is_config());
}

#[tokio::test]
async fn without_verification_the_minimum_version_stays_in_force() {
    let ca = Ca::new();
    let tls = ServerTls::new(ca.issue(["127.0.0.1"]))
        .versions(&[&rustls::version::TLS12])
        .build();
    let server = Server::builder().tls(tls).start().await;
    let toml = "[default.tls]\ninsecure_skip_verify = true\nmin_version = \"1.3\"";
    let registry = registry_in(toml, &environment("test"), &ScriptedResolver::new());
    let error = failure(&registry.client("default").unwrap(), server.url("/")).await;
    assert_says(&error, Kind::Tls, &["tls.min_version"]);
}
