//! `tls.ca_file` and `tls.extra_ca_file` are read when the client is built, and a bad one is a mistake of the settings.

use std::path::{Path, PathBuf};

use httputil::settings::Tls;
use httputil::{Client, Error, Kind};
use httputil_tests::ca::Ca;
use httputil_tests::server::Server;
use httputil_tests::tls::ServerTls;
use tempfile::TempDir;

use crate::scene::{Trust, assert_says, client, config, failure, get, quoted, registry};

/// A file of each kind that holds no roots, and what is said of it.
fn bad_files(folder: &TempDir) -> Vec<(PathBuf, &'static str)> {
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a file can be written there");
        path
    };
    let key = Ca::new().issue(["localhost"]).key_pem().to_owned();
    let large = vec![b'\n'; (4 << 20) + 1];
    vec![
        (folder.path().join("missing.pem"), ": no such file"),
        (folder.path().to_owned(), ": is a folder; expected a file"),
        (file("large.pem", &large), ": larger than 4 MiB"),
        (file("empty.pem", b""), "no certificate"),
        (file("words.pem", b"trust me"), "no certificate"),
        (file("binary.pem", &[0xff, 0x00, 0x30, 0x82]), "no certificate"),
        (file("key.pem", key.as_bytes()), "no certificate"),
        (
            file(
                "garbled.pem",
                b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n",
            ),
            "not a PEM file",
        ),
        (
            file(
                "no_root.pem",
                b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
            ),
            "cannot be used as a root",
        ),
    ]
}

fn assert_blames(error: &Error, path: &Path, key: &str, what: &str) {
    assert_eq!(error.kind(), Kind::Config, "{error}");
    let text = error.to_string();
    for word in [&path.display().to_string(), key, what] {
        assert!(text.contains(word), "{word:?} is missing: {text}");
    }
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_bad_file_is_an_error_of_building_that_names_file_and_key() {
    type Set = fn(&mut Tls, PathBuf);
    let keys: [(&str, Set); 2] = [
        ("tls.ca_file", |tls, path| tls.ca_file = Some(path)),
        ("tls.extra_ca_file", |tls, path| tls.extra_ca_file = Some(path)),
    ];
    let folder = TempDir::new().unwrap();
    for (path, what) in bad_files(&folder) {
        for (key, set) in keys {
            let config = config(|profile| set(&mut profile.transport.tls, path.clone()));
            let error = Client::new(config).map(|_| ()).expect_err("the file is bad");
            assert_blames(&error, &path, key, what);

            let toml = format!("[default]\n{key} = {}", quoted(&path));
            let error = registry(&toml)
                .client("default")
                .map(|_| ())
                .expect_err("the file is bad");
            assert_blames(&error, &path, key, what);
        }
    }
}

#[cfg(unix)]
#[test]
fn devices_and_pipes_are_refused_before_they_are_opened() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("pipe.pem");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    for path in [Path::new("/dev/zero"), Path::new("/dev/null"), &pipe] {
        for key in ["ca_file", "extra_ca_file"] {
            let registry = registry(&format!("[default.tls]\n{key} = {}", quoted(path)));
            let error = registry.client("default").map(|_| ()).expect_err("it is no file");
            let expected = format!(
                "test.toml:2:{}: default.tls.{key}: the file {}: is not a regular file",
                key.len() + 4,
                path.display()
            );
            assert_eq!((error.kind(), error.to_string()), (Kind::Config, expected));
        }
    }
}

#[test]
fn a_bad_file_that_was_mended_is_read_again() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let registry = registry(&format!("[default]\ntls.ca_file = {}", quoted(trust.path())));
    std::fs::write(trust.path(), "").unwrap();
    assert!(registry.client("default").is_err());
    std::fs::write(trust.path(), ca.pem()).unwrap();
    assert!(registry.client("default").is_ok());
}

#[tokio::test]
async fn bundled_roots_build_and_trust_no_authority_of_ours() {
    let ca = Ca::new();
    let server = Server::builder()
        .tls(ServerTls::new(ca.issue(["127.0.0.1"])).build())
        .start()
        .await;
    let error = failure(&client(|_| {}), server.url("/")).await;
    assert_says(&error, Kind::Tls, &["no trusted root"]);
}

#[tokio::test]
async fn an_extra_file_adds_to_the_roots_and_a_ca_file_replaces_them() {
    let (ca, other) = (Ca::new(), Ca::new());
    let (trust, others) = (Trust::of([&ca]), Trust::of([&other]));
    let server = Server::builder()
        .tls(ServerTls::new(ca.issue(["127.0.0.1"])).build())
        .start()
        .await;
    let extra = client(|profile| profile.transport.tls.extra_ca_file = Some(trust.path()));
    assert_eq!(get(&extra, server.url("/")).await.unwrap(), "hello");
    let both = client(|profile| {
        profile.transport.tls.ca_file = Some(others.path());
        profile.transport.tls.extra_ca_file = Some(trust.path());
    });
    assert_eq!(get(&both, server.url("/")).await.unwrap(), "hello");
    let replaced = client(|profile| profile.transport.tls.ca_file = Some(others.path()));
    failure(&replaced, server.url("/")).await;
}
