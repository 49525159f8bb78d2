//! Secrets in every place that a profile or a request has for one, and nowhere else: not in what is shown, nor in any log.

use std::cell::RefCell;
use std::error::Error as _;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, Once};

use http::{HeaderValue, Method};
use httputil::{Client, Config, Registry};
use httputil_tests::ca::Ca;
use httputil_tests::proxy::Proxy;
use httputil_tests::server::{Server, handlers};
use httputil_tests::tcp::ClosedPort;
use httputil_tests::tls::{Alpn, ServerTls};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::common::{Door, Place};

/// The word that each secret holds, and what Basic makes of it behind `me:` (both places of a triple that it can have).
const CANARY: &str = "canary";
const ENCODED: [&str; 2] = ["Y2FuYXJ5", "bWU6Y2FuYXJ5"];

/// All that anybody logs by tracing, at every level: ours and h2's, too.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn write(&self, record: impl FnOnce(&mut Line<'_>)) {
        record(&mut Line(&mut self.0.lock().unwrap()));
    }
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = writeln!(self.0, "{field}={value:?}");
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.write(|line| {
            line.0.push_str(span.metadata().target());
            span.record(line);
        });
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.write(|line| values.record(line));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.write(|line| {
            line.0.push_str(event.metadata().target());
            event.record(line);
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

thread_local! {
    /// All that is logged by the crate `log` on this thread, which bears the clients and the servers of its test: rustls is one
    /// that does. (hyper tells only who builds with `--cfg hyper_unstable_tracing`.)
    static HEARD: RefCell<Option<String>> = const { RefCell::new(None) };
}

struct Ear;

impl log::Log for Ear {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        HEARD.with_borrow_mut(|heard| {
            if let Some(heard) = heard {
                let _ = writeln!(heard, "{} {}", record.target(), record.args());
            }
        });
    }

    fn flush(&self) {}
}

/// Listens to `log` on this thread from now on.
fn listen() {
    static EAR: Once = Once::new();
    EAR.call_once(|| {
        log::set_logger(&Ear).expect("nobody else listens");
        log::set_max_level(log::LevelFilter::Trace);
    });
    HEARD.set(Some(String::new()));
}

/// What an error says of itself, whoever asks.
fn words(error: &httputil::Error) -> String {
    let mut words = format!("{error} {error:#} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(words, " {error} {error:?}");
        source = error.source();
    }
    words
}

fn assert_no_canary(of: &str, text: &str) {
    for secret in [CANARY, ENCODED[0], ENCODED[1]] {
        if let Some(at) = text.find(secret) {
            let from = text[..at].char_indices().rev().nth(300).map_or(0, |(from, _)| from);
            panic!("{of} tells {secret}: …{}", &text[from..at + secret.len()]);
        }
    }
}

#[tokio::test]
async fn what_is_secret_is_told_to_whom_it_is_for_and_shown_and_logged_nowhere() {
    let log = Log::default();
    // With one subscriber alone, tracing asks whichever thread first comes by an event whether anybody wants it.
    let _another = tracing::Dispatch::new(Log::default());
    let _listening = tracing::subscriber::set_default(log.clone());
    listen();
    let (ca, folder) = (Ca::new(), tempfile::tempdir().unwrap());
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (root, token) = (file("ca.pem", &ca.pem()), file("token", CANARY));
    let tls = |alpn| ServerTls::new(ca.issue(["127.0.0.1"])).alpn(alpn).build();
    let plain = Place::start().await;
    let over_http1 = Place::start_as(Server::builder().tls(tls(Alpn::H1))).await;
    let over_http2 = Place::start_as(Server::builder().tls(tls(Alpn::Both))).await;
    let (proxy, closed) = (Proxy::builder().login("me", CANARY).start().await, ClosedPort::new());
    let issuer = format!("{{\"access_token\":\"{CANARY}\",\"token_type\":\"bearer\"}}");
    let issuer = Server::builder().handler(handlers::fixed(issuer)).start().await;
    let mut names = vec!["default", "basic", "bearer", "proxied"];
    if cfg!(feature = "oauth2") {
        names.extend(["granted", "denied"]);
    }
    for place in [&plain, &over_http1, &over_http2] {
        place.sends("/from", 307, "/ill");
        place.sends("/away", 302, format!("http://{}/", closed.addr()));
        place.answers("/ill", 503);
        place.answers("/who", 401);
    }
    for place in [&plain, &over_http1, &over_http2] {
        let mut text = format!(
            "[default]\nbase_url = '{}'\ntls.ca_file = '{root}'\nheaders.x-api-key = '{CANARY}'\ncookies = true\n\
             retry.max_attempts = 1\n\
             [basic]\nauth.basic = {{ username = 'me', password = '{CANARY}' }}\n\
             [bearer]\nauth.bearer = {{ file = '{token}' }}\n\
             [proxied]\nauth.bearer = '{CANARY}'\nproxy = {{ url = '{}', username = 'me', password = '{CANARY}' }}\n",
            place.url(""),
            proxy.url(),
        );
        if cfg!(feature = "oauth2") {
            for (name, url, way) in [
                ("granted", issuer.url("/"), "basic"),
                ("denied", place.url("/who"), "body"),
            ] {
                let _ = write!(
                    text,
                    "[{name}.auth.oauth2]\ntoken_url = '{url}'\nclient_id = 'me'\nclient_secret = '{CANARY}'\n\
                     client_auth = '{way}'\n"
                );
            }
        }
        let config = Config::builder().embedded("test.toml", text).load().unwrap();
        let registry = Registry::builder().config(config.clone()).build().unwrap();
        for &name in &names {
            let client = registry.client(name).unwrap();
            let explained = config.explain(name).unwrap();
            assert_no_canary(
                name,
                &format!("{config:?} {explained} {explained:?} {registry:?} {client:?}"),
            );
            let before = place.seen().len();
            ask(&client, &closed).await;
            assert!(place.seen().len() > before, "{name}");
            let told = format!("{:?}", place.seen());
            assert!(told.contains(CANARY), "{name}: it is told to whom it is for");
            let stats = format!("{:?} {:?} {:?}", client.stats(), client.host_stats(), registry.stats());
            assert_no_canary(name, &stats);
        }
    }
    let log = log.0.lock().unwrap().clone();
    for target in ["httputil", "h2::"] {
        assert!(log.contains(target), "nothing of {target} was listened to");
    }
    assert_no_canary("the log", &log);
    let heard = HEARD.take().unwrap();
    assert!(heard.contains("rustls"), "nothing of rustls was listened to");
    assert_no_canary("what others log", &heard);
}

/// What goes well, what is sent on, what fails, and what is refused, with secrets of the request's own.
async fn ask(client: &Client, closed: &ClosedPort) {
    let mut own = http::HeaderMap::new();
    for name in ["cookie", "x-own"] {
        let mut value = HeaderValue::from_static(CANARY);
        value.set_sensitive(true);
        own.insert(name, value);
    }
    let mine = format!("http://me:{CANARY}@{}/", closed.addr());
    for door in Door::BOTH {
        for path in ["/", "/from", "/ill", "/away", "/who", &mine] {
            for own in [http::HeaderMap::new(), own.clone()] {
                if let Err(error) = door.send(client, Method::GET, path, own, "").await {
                    assert_no_canary(path, &words(&error));
                }
            }
        }
    }
    let failed = client
        .get("/")
        .header("x-bad", format!("{CANARY}\n"))
        .send()
        .await
        .unwrap_err();
    assert_no_canary("a header that is none", &words(&failed));
}
