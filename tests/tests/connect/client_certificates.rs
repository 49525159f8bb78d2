//! Client certificates: shown where a server asks, and whose fault it is when it does not go well.

use std::path::{Path, PathBuf};

use httputil::{Client, Config, Environment, Kind};
use httputil_tests::ca::{Ca, Identity};
use httputil_tests::resolver::ScriptedResolver;
use httputil_tests::server::Server;
use httputil_tests::tls::{Alpn, ServerTls};
use httputil_tests::{PATIENCE, within};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;

use crate::scene::{
    Trust, assert_balanced, assert_says, client_of, config, failure, get, quoted, registry, registry_in,
};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
const PROTOCOLS: [Alpn; 2] = [Alpn::H1, Alpn::H2];

/// A certificate and its key as files.
struct Files {
    folder: TempDir,
}

impl Files {
    fn of(identity: &Identity) -> Files {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let files = Files { folder };
        files.write("cert.pem", identity.certificate_pem());
        files.write("key.pem", identity.key_pem());
        files
    }

    /// A file that only we can read, as a key should be kept.
    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file can be written there");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
        }
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn client(&self, trust: &Trust) -> Client {
        client_of(trust, |profile| {
            profile.transport.tls.cert_file = Some(self.path("cert.pem"));
            profile.transport.tls.key_file = Some(self.path("key.pem"));
        })
    }
}

/// A server that demands a certificate of `clients`.
async fn demanding(ca: &Ca, clients: Ca, version: &'static SupportedProtocolVersion, alpn: Alpn) -> Server {
    let tls = ServerTls::new(ca.issue(["127.0.0.1"]))
        .versions(&[version])
        .alpn(alpn)
        .demand_client_of(clients);
    Server::builder().tls(tls.build()).start().await
}

/// All four ways to speak to a server.
fn ways() -> impl Iterator<Item = (&'static SupportedProtocolVersion, Alpn)> {
    VERSIONS
        .into_iter()
        .flat_map(|version| PROTOCOLS.into_iter().map(move |alpn| (version, alpn)))
}

#[tokio::test]
async fn the_certificate_is_shown_to_a_server_that_demands_one() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    for (version, alpn) in ways() {
        let clients = Ca::new();
        let files = Files::of(&clients.issue_client("us"));
        let server = demanding(&ca, clients, version, alpn).await;
        let client = files.client(&trust);
        for _ in 0..2 {
            assert_eq!(
                get(&client, server.url("/")).await.unwrap(),
                "hello",
                "{version:?} {alpn:?}"
            );
        }
        assert_eq!(server.accepted(), 1);
    }
}

#[tokio::test]
async fn without_one_the_error_says_that_the_server_demands_it_and_which_keys_to_set() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    for (version, alpn) in ways() {
        let server = demanding(&ca, Ca::new(), version, alpn).await;
        let client = client_of(&trust, |_| {});
        let error = failure(&client, server.url("/")).await;
        let words = ["client certificate", "certificate", "tls.cert_file and tls.key_file"];
        assert_says(&error, Kind::Tls, &words);
        assert!(error.is_retryable(), "nothing was processed: {error}");
        // Behind a body that is sent, the write fails before the alert is read.
        let order = client.post(server.url("/")).body("an order").send();
        let error = within(PATIENCE, order).await.map(|_| ()).expect_err("it is refused");
        assert_says(&error, Kind::Tls, &words);
        assert_eq!(server.requests(), 0);
        server.until_open(0).await;
        assert_balanced(&client.stats());
    }
}

#[tokio::test]
async fn one_that_the_server_rejects_is_named_as_ours() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    for (version, alpn) in ways() {
        let server = demanding(&ca, Ca::new(), version, alpn).await;
        // Of the right form, but of an authority that the server has never heard of.
        let files = Files::of(&Ca::new().issue_client("us"));
        let client = files.client(&trust);
        let error = failure(&client, server.url("/")).await;
        assert_says(
            &error,
            Kind::Tls,
            &["the server rejected our client certificate", "tls.cert_file"],
        );
        assert_eq!(server.requests(), 0);
        assert_balanced(&client.stats());
    }
}

#[tokio::test]
async fn a_server_that_we_reject_is_not_said_to_reject_us() {
    let clients = Ca::new();
    let files = Files::of(&clients.issue_client("us"));
    let server = demanding(&Ca::new(), clients, &TLS13, Alpn::H1).await;
    let error = failure(&files.client(&Trust::of([&Ca::new()])), server.url("/")).await;
    assert_says(&error, Kind::Tls, &["the server's certificate", "no trusted root"]);
}

#[tokio::test]
async fn every_usual_kind_of_key_file_is_read() {
    let folder = TempDir::new().unwrap();
    for (kind, arguments) in [
        (
            "BEGIN PRIVATE KEY",
            &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..],
        ),
        ("BEGIN RSA PRIVATE KEY", &["genrsa", "-traditional", "2048"][..]),
        (
            "BEGIN EC PRIVATE KEY",
            &["ecparam", "-name", "prime256v1", "-genkey"][..],
        ),
    ] {
        let (Some(key), certificate) = (openssl(arguments), folder.path().join("cert.pem")) else {
            return; // No openssl here; there is one wherever the tests of a release run.
        };
        assert!(key.contains(kind), "{kind}");
        let path = folder.path().join("key.pem");
        std::fs::write(&path, key).unwrap();
        let subject = [
            "req",
            "-x509",
            "-days",
            "2",
            "-subj",
            "/CN=us",
            "-key",
            path.to_str().unwrap(),
        ];
        std::fs::write(&certificate, openssl(&subject).expect("openssl signs")).unwrap();
        let config = config(|profile| {
            profile.transport.tls.cert_file = Some(certificate.clone());
            profile.transport.tls.key_file = Some(path.clone());
        });
        assert!(Client::new(config).is_ok(), "{kind}");
    }
}

/// What openssl prints, where there is one.
fn openssl(arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new("openssl").args(arguments).output().ok()?;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    Some(String::from_utf8(output.stdout).expect("PEM is text"))
}

/// The one problem of a client made with these files.
#[track_caller]
fn assert_refused(cert: Option<&Path>, key: Option<&Path>, file: &Path, what: &str) {
    let config = config(|profile| {
        profile.transport.tls.cert_file = cert.map(Path::to_owned);
        profile.transport.tls.key_file = key.map(Path::to_owned);
    });
    let error = Client::new(config).map(|_| ()).expect_err("the files are bad");
    assert_eq!(error.kind(), Kind::Config, "{error}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("{}: tls.", file.display())), "{text}");
    assert!(text.contains(what), "{what:?} is missing: {text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn each_fault_of_the_files_is_told_with_the_files_name() {
    let ca = Ca::new();
    let (own, other) = (ca.issue_client("us"), ca.issue_client("others"));
    let files = Files::of(&own);
    let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));
    let both = |cert: &Path, key: &Path, file: &Path, what: &str| assert_refused(Some(cert), Some(key), file, what);

    assert_refused(Some(&cert), None, &cert, "needs tls.key_file");
    assert_refused(None, Some(&key), &key, "needs tls.cert_file");
    let missing = files.path("missing.pem");
    both(&missing, &key, &missing, "no such file");
    both(&cert, &missing, &missing, "no such file");
    let empty = files.write("empty.pem", "\n");
    both(&empty, &key, &empty, "empty");
    both(&cert, &empty, &empty, "is empty");
    both(&key, &cert, &key, "no certificate");
    both(&cert, &cert, &cert, "mixed up");
    let words = files.write("words.pem", "let me in");
    both(&cert, &words, &words, "holds no private key");
    let not_ours = files.write("other.pem", other.key_pem());
    both(
        &cert,
        &not_ours,
        &not_ours,
        &format!("does not fit the certificate in {}", cert.display()),
    );
    let garbled = files.write(
        "garbled.pem",
        "-----BEGIN PRIVATE KEY-----\n!!!\n-----END PRIVATE KEY-----\n",
    );
    both(&cert, &garbled, &garbled, "not a PEM file of a private key");
    let nonsense = files.write(
        "nonsense.pem",
        "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n",
    );
    both(&cert, &nonsense, &nonsense, "cannot be used");
    let encrypted = files.write(
        "encrypted.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\naGVsbG8=\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    both(&cert, &encrypted, &encrypted, "the key is encrypted");
    let old = files.write(
        "old.pem",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\naGVsbG8=\n-----END RSA PRIVATE KEY-----\n",
    );
    both(&cert, &old, &old, "the key is encrypted");
    let expired = ca.issue_expired_client("us");
    let (cert, key) = (
        files.write("expired.pem", expired.certificate_pem()),
        files.write("expired_key.pem", expired.key_pem()),
    );
    both(&cert, &key, &cert, "expired on 2001-01-01");
}

#[test]
fn half_an_identity_is_a_mistake_of_the_file_that_names_the_line() {
    let loaded = |text: &str| Config::builder().embedded("test.toml", text).load().map(|_| ());
    let error = loaded("[default.tls]\ncert_file = \"/cert.pem\"").unwrap_err();
    let expected = "test.toml:2:13: default.tls.cert_file = \"/cert.pem\": needs tls.key_file beside it, the file of its private key";
    assert_eq!(error.to_string(), expected);
    let error = loaded("[default.tls]\nkey_file = \"/key.pem\"").unwrap_err();
    assert!(error.to_string().contains("needs tls.cert_file beside it"), "{error}");
    // The other half may be written elsewhere.
    assert!(loaded("[default.tls]\ncert_file = \"/c\"\n[a.tls]\nkey_file = \"/k\"").is_err());
    assert!(loaded("[default.tls]\ncert_file = \"none\"\n[a.tls]\nkey_file = \"/k\"\ncert_file = \"/c\"").is_ok());
}

#[tokio::test]
async fn two_certificates_share_neither_a_connection_nor_a_session() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let clients = Ca::new();
    let (one, two) = (
        Files::of(&clients.issue_client("one")),
        Files::of(&clients.issue_client("two")),
    );
    let toml = format!(
        "[default.tls]\nca_file = {}\n[one.tls]\ncert_file = {}\nkey_file = {}\n[two.tls]\ncert_file = {}\nkey_file = {}\n",
        quoted(trust.path()),
        quoted(one.path("cert.pem")),
        quoted(one.path("key.pem")),
        quoted(two.path("cert.pem")),
        quoted(two.path("key.pem")),
    );
    let server = demanding(&ca, clients, &TLS13, Alpn::H1).await;
    let registry = registry(&toml);
    for name in ["one", "two", "one", "two"] {
        let client = registry.client(name).unwrap();
        assert_eq!(get(&client, server.url("/")).await.unwrap(), "hello");
    }
    let seen = server.seen();
    assert_eq!(
        (seen.accepted, seen.resumed_handshakes),
        (4, 2),
        "each has its own session"
    );
}

#[tokio::test]
async fn who_we_are_is_shown_where_nothing_is_verified_too() {
    let clients = Ca::new();
    let files = Files::of(&clients.issue_client("us"));
    let server = demanding(&Ca::new(), clients, &TLS13, Alpn::H1).await;
    let toml = format!(
        "[default.tls]\ninsecure_skip_verify = true\ncert_file = {}\nkey_file = {}",
        quoted(files.path("cert.pem")),
        quoted(files.path("key.pem"))
    );
    let environment = Environment::empty().with("HTTPUTIL_ENV", "test");
    let registry = registry_in(&toml, &environment, &ScriptedResolver::new());
    let client = registry.client("default").unwrap();
    assert_eq!(get(&client, server.url("/")).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_rejected_request_is_sent_once() {
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    for (version, alpn) in ways() {
        let server = demanding(&ca, Ca::new(), version, alpn).await;
        let client = client_of(&trust, |_| {});
        failure(&client, server.url("/")).await;
        assert_eq!(server.accepted(), 1, "{version:?} {alpn:?}");
        assert_eq!(client.stats().resends, 0);
    }
}

#[tokio::test]
async fn a_server_that_does_not_ask_gets_no_certificate() {
    let ca = Ca::new();
    let server = Server::builder()
        .tls(ServerTls::new(ca.issue(["127.0.0.1"])).build())
        .start()
        .await;
    let files = Files::of(&Ca::new().issue_client("us"));
    let client = files.client(&Trust::of([&ca]));
    assert_eq!(get(&client, server.url("/")).await.unwrap(), "hello");
}
