//! `tls.crl_files`: certificates that were called back, and lists that say nothing any more.

use std::path::{Path, PathBuf};

use httputil::settings::{ProxyChoice, Roots};
use httputil::{Client, Kind};
use httputil_tests::ca::{Ca, Identity};
use httputil_tests::proxy::Proxy;
use httputil_tests::server::Server;
use httputil_tests::tls::ServerTls;
use httputil_tests::{PATIENCE, within};
use tempfile::TempDir;

use crate::scene::{Trust, assert_balanced, assert_says, client_of, config, failure, get, quoted, registry};

/// A folder of lists.
struct Lists(TempDir);

impl Lists {
    fn new() -> Lists {
        Lists(TempDir::new().expect("a temporary folder can be made"))
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).expect("a file can be written there");
        path
    }
}

async fn server(identity: Identity) -> Server {
    Server::builder().tls(ServerTls::new(identity).build()).start().await
}

fn client_with(trust: &Trust, files: impl IntoIterator<Item = PathBuf>) -> Client {
    client_of(trust, |profile| {
        profile.transport.tls.crl_files = files.into_iter().collect();
    })
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_by_name_and_its_neighbour_is_not() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let (good, revoked) = (ca.issue(["127.0.0.1"]), ca.issue(["127.0.0.1"]));
    let list = ca.revoke([&revoked]);
    let lists = Lists::new();
    let files = [
        lists.file("list.pem", list.pem().unwrap()),
        lists.file("list.der", list.der()),
    ];
    let (good, bad) = (server(good).await, server(revoked).await);
    for file in files {
        let client = client_with(&trust, [file]);
        assert_eq!(get(&client, good.url("/")).await.unwrap(), "hello");
        let error = failure(&client, bad.url("/")).await;
        assert_says(&error, Kind::Tls, &["TLS handshake", "revoked", "tls.crl_files"]);
        assert_balanced(&client.stats());
    }
    assert_eq!(bad.requests(), 0);
}

#[tokio::test]
async fn the_lists_judge_an_https_proxy_s_chain_as_they_do_a_server_s() {
    let (ca, proxy_ca) = (Ca::new(), Ca::new());
    let trust = Trust::of([&ca, &proxy_ca]);
    let server = server(ca.issue(["a.test"])).await;
    let url = server.url_for("a.test", "/");
    let identity = proxy_ca.issue(["127.0.0.1"]);
    let lists = Lists::new();
    let of_server = lists.file("server.der", ca.revoke([]).der());
    let of_proxy = lists.file("proxy.der", proxy_ca.revoke([]).der());
    let against_proxy = lists.file("against.der", proxy_ca.revoke([&identity]).der());
    let proxy = Proxy::builder().tls(ServerTls::new(identity).build()).start().await;
    let client = |files: &[&PathBuf]| {
        client_of(&trust, |profile| {
            profile.transport.tls.crl_files = files.iter().map(PathBuf::from).collect();
            profile.transport.proxy.url = Some(ProxyChoice::Through(proxy.url().into()));
        })
    };
    for (files, kind, said) in [
        (
            vec![&of_server],
            Kind::Proxy,
            ["no list of tls.crl_files covers", "add its issuer's list"],
        ),
        (
            vec![&of_server, &against_proxy],
            Kind::Proxy,
            ["revoked", "tls.crl_files"],
        ),
        (
            vec![&of_proxy],
            Kind::Tls,
            ["no list of tls.crl_files covers", "add its issuer's list"],
        ),
    ] {
        let is_proxys = kind == Kind::Proxy;
        let asked = proxy.asked().len();
        let error = failure(&client(&files), &url).await;
        assert_says(&error, kind, &said);
        assert_eq!(error.to_string().contains("cannot be used"), is_proxys, "{error}");
        assert_eq!(
            proxy.asked().len() == asked,
            is_proxys,
            "it is told nothing before it is trusted"
        );
    }
    let client = client(&[&of_server, &of_proxy]);
    assert_eq!(get(&client, &url).await.unwrap(), "hello");
    assert_balanced(&client.stats());
}

#[tokio::test]
async fn without_lists_nobody_is_asked_about() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let revoked = ca.issue(["127.0.0.1"]);
    let _ = ca.revoke([&revoked]);
    let server = server(revoked).await;
    assert_eq!(get(&client_with(&trust, []), server.url("/")).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_session_of_a_profile_without_lists_is_no_way_round_them() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let revoked = ca.issue(["127.0.0.1"]);
    let lists = Lists::new();
    let file = lists.file("list.der", ca.revoke([&revoked]).der());
    let server = server(revoked).await;
    let toml = format!(
        "[default.tls]\nca_file = {}\n[strict.tls]\ncrl_files = [{}]",
        quoted(trust.path()),
        quoted(file)
    );
    let registry = registry(&toml);
    let (lenient, strict) = (registry.client("default").unwrap(), registry.client("strict").unwrap());
    for _ in 0..2 {
        assert_eq!(get(&lenient, server.url("/")).await.unwrap(), "hello");
        let refused = within(PATIENCE, strict.get(server.url("/")).send()).await;
        assert_says(&refused.map(|_| ()).unwrap_err(), Kind::Tls, &["revoked"]);
    }
    assert_eq!(server.seen().resumed_handshakes, 0);
}

#[tokio::test]
async fn a_list_that_has_expired_is_refused_with_its_date() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let server = server(ca.issue(["127.0.0.1"])).await;
    let lists = Lists::new();
    let client = client_with(&trust, [lists.file("old.der", ca.expired_list().der())]);
    let error = failure(&client, server.url("/")).await;
    assert_says(&error, Kind::Tls, &["tls.crl_files", "expired on 2001-01-01"]);
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn a_certificate_whose_issuer_has_no_list_is_refused() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let server = server(ca.issue(["127.0.0.1"])).await;
    let lists = Lists::new();
    let client = client_with(&trust, [lists.file("other.der", Ca::new().revoke([]).der())]);
    let error = failure(&client, server.url("/")).await;
    assert_says(&error, Kind::Tls, &["no list of tls.crl_files covers"]);
}

#[tokio::test]
async fn a_list_that_somebody_else_signed_in_the_issuers_name_is_not_believed() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let server = server(ca.issue(["127.0.0.1"])).await;
    let mut forged = ca.revoke([]).der().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let lists = Lists::new();
    let client = client_with(&trust, [lists.file("forged.der", forged)]);
    let error = failure(&client, server.url("/")).await;
    assert_says(&error, Kind::Tls, &["tls.crl_files", "cannot be trusted"]);
}

#[tokio::test]
async fn a_revoked_intermediate_takes_all_below_it_along() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let (below, certificate) = ca.intermediate();
    let mut identity = below.issue(["127.0.0.1"]);
    identity.chain.push(certificate);
    let server = server(identity).await;
    let lists = Lists::new();
    let leaves = lists.file("leaves.pem", below.revoke([]).pem().unwrap());
    let good = client_with(
        &trust,
        [leaves.clone(), lists.file("good.pem", ca.revoke([]).pem().unwrap())],
    );
    assert_eq!(get(&good, server.url("/")).await.unwrap(), "hello");
    let revoked = lists.file("bad.pem", ca.revoke_authority(&below).pem().unwrap());
    let error = failure(&client_with(&trust, [leaves.clone(), revoked]), server.url("/")).await;
    assert_says(&error, Kind::Tls, &["revoked"]);
    // Without the root's list, nobody knows about the intermediate.
    let error = failure(&client_with(&trust, [leaves]), server.url("/")).await;
    assert_says(&error, Kind::Tls, &["no list of tls.crl_files covers"]);
}

#[tokio::test]
async fn several_lists_may_stand_in_one_pem_file() {
    let (one, two) = (Ca::new(), Ca::new());
    let trust = Trust::of([&one, &two]);
    let lists = Lists::new();
    let both = [one.revoke([]).pem().unwrap(), two.revoke([]).pem().unwrap()].concat();
    let client = client_with(&trust, [lists.file("both.pem", both)]);
    for ca in [&one, &two] {
        let server = server(ca.issue(["127.0.0.1"])).await;
        assert_eq!(get(&client, server.url("/")).await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn of_an_issuers_lists_the_newest_counts_wherever_it_stands() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let (good, revoked) = (ca.issue(["127.0.0.1"]), ca.issue(["127.0.0.1"]));
    let lists = Lists::new();
    let expired = lists.file("expired.der", ca.expired_list().der());
    let older = lists.file("older.der", ca.revoke_in(2020, [&good]).der());
    let newer = ca.revoke_in(2060, [&revoked]);
    let both = [ca.revoke_in(2020, [&good]).pem().unwrap(), newer.pem().unwrap()].concat();
    let both = lists.file("both.pem", both);
    let newer = lists.file("newer.der", newer.der());
    let (good, bad) = (server(good).await, server(revoked).await);
    for files in [
        vec![older.clone(), newer.clone()],
        vec![newer.clone(), older.clone()],
        vec![expired.clone(), older, newer.clone()],
        vec![newer, expired],
        vec![both],
    ] {
        let client = client_with(&trust, files.clone());
        let told = get(&client, good.url("/")).await;
        assert_eq!(told.unwrap(), "hello", "{files:?}");
        let error = failure(&client, bad.url("/")).await;
        assert_says(&error, Kind::Tls, &["revoked", "tls.crl_files"]);
    }
    assert_eq!(bad.requests(), 0);
}

#[tokio::test]
async fn lists_count_with_the_bundled_and_with_the_platforms_roots() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let lists = Lists::new();
    let revoked = ca.issue(["127.0.0.1"]);
    let file = lists.file("list.pem", ca.revoke([&revoked]).pem().unwrap());
    let server = server(revoked).await;
    for roots in [Roots::Bundled, Roots::Platform] {
        let config = config(|profile| {
            let tls = &mut profile.transport.tls;
            tls.roots = roots;
            tls.extra_ca_file = Some(trust.path());
            tls.crl_files = vec![file.clone()];
        });
        let error = failure(&Client::new(config).unwrap(), server.url("/")).await;
        // A machine without a CA package has no roots of the platform, and says so.
        let words = ["revoked", "the platform has no trusted root certificates"];
        let text = error.to_string();
        let expected = if roots == Roots::Platform {
            &words[..]
        } else {
            &words[..1]
        };
        assert!(expected.iter().any(|word| text.contains(word)), "{roots:?}: {text}");
    }
}

fn assert_refused(path: &Path, what: &str) {
    let config = config(|profile| profile.transport.tls.crl_files = vec![path.to_owned()]);
    let error = Client::new(config).map(|_| ()).expect_err("the file is bad");
    assert_eq!(error.kind(), Kind::Config, "{error}");
    let text = error.to_string();
    let expected = format!("{}: tls.crl_files: ", path.display());
    assert!(text.starts_with(&expected) && text.contains(what), "{what}: {text}");
}

#[test]
fn a_bad_file_is_an_error_that_names_it() {
    let lists = Lists::new();
    let ca = Ca::new();
    assert_refused(&lists.0.path().join("missing.pem"), "no such file");
    assert_refused(lists.0.path(), "is a folder");
    assert_refused(&lists.file("empty.pem", ""), "is empty");
    assert_refused(&lists.file("blank.pem", " \n"), "is empty");
    assert_refused(&lists.file("words.pem", "trust me"), "holds no revocation list");
    assert_refused(&lists.file("cert.pem", ca.pem()), "holds no revocation list");
    assert_refused(&lists.file("cert.der", ca.der()), "cannot be used");
    let garbled = "-----BEGIN X509 CRL-----\n!!!\n-----END X509 CRL-----\n";
    assert_refused(
        &lists.file("garbled.pem", garbled),
        "not a PEM file of revocation lists",
    );
}

#[test]
fn no_hostile_bytes_get_past_the_reading_or_through_it() {
    let lists = Lists::new();
    let good = Ca::new().revoke([&Ca::new().issue(["x.test"])]).der().to_vec();
    // Cut anywhere, or with any byte of the structure changed: an error or a list whose signature is wrong, never a panic.
    for cut in 0..good.len() {
        let path = lists.file("cut.der", &good[..cut]);
        let config = config(|profile| profile.transport.tls.crl_files = vec![path]);
        assert!(
            Client::new(config).is_err_and(|error| error.is_config()),
            "cut at {cut}"
        );
    }
    for at in 0..good.len() {
        for change in [0x00, 0x7f, 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[at] = change;
            let path = lists.file("changed.der", &bytes);
            let config = config(|profile| profile.transport.tls.crl_files = vec![path]);
            if let Err(error) = Client::new(config) {
                assert!(error.is_config(), "{error}");
            }
        }
    }
}
