//! A proxy's credentials appear nowhere but on the wire to it: not in an error, not in `Debug`, not in the log.

use std::error::Error as StdError;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use httputil::Client;
use httputil_tests::ca::Ca;
use httputil_tests::proxy::Proxy;
use httputil_tests::script::{Script, Step};
use httputil_tests::server::Server;
use httputil_tests::tcp::ClosedPort;
use httputil_tests::tls::{Alpn, ServerTls};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::scene::{Trust, client_through};

/// `user:canary`, and the same as `Basic` has it.
const SECRETS: [&str; 2] = ["canary", "dXNlcjpjYW5hcnk"];

/// Writes down all that is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = writeln!(self.0.lock().unwrap(), "{field}={value:?}");
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Everything that can be seen of a request and its client.
async fn seen(client: &Client, url: &str) -> String {
    let mut seen = format!("{client:?} {:?} {:?}", client.stats(), client.host_stats());
    match client.get(url).send().await {
        Ok(response) => {
            let _ = write!(seen, "{response:?}");
            seen.push_str(&response.text().await.unwrap());
        }
        Err(error) => {
            let _ = write!(seen, "{error} {error:?}");
            let mut next = error.source();
            while let Some(source) = next {
                let _ = write!(seen, " {source} {source:?}");
                next = source.source();
            }
        }
    }
    seen
}

#[tokio::test]
async fn credentials_are_in_no_error_no_debug_and_no_log() {
    let log = Log::default();
    // While there is only one subscriber, tracing asks that of whichever thread first comes by an event whether anybody
    // wants it, and other tests' threads have none. With two it asks them all.
    let _another = tracing::Dispatch::new(Log::default());
    let listening = tracing::subscriber::set_default(log.clone());
    let ca = Ca::new();
    let trust = Trust::of([&ca]);
    let tls = || ServerTls::new(ca.issue(["127.0.0.1"])).alpn(Alpn::Both).build();
    let (plain, encrypted) = (
        Server::builder().start().await,
        Server::builder().tls(tls()).start().await,
    );
    let (open, locked) = (
        Proxy::builder().start().await,
        Proxy::builder().login("user", "else").start().await,
    );
    let (over_tls, closed) = (Proxy::builder().tls(tls()).start().await, ClosedPort::new());
    let lying = Script::start([vec![
        Step::ReadHead,
        Step::write("HTTP/1.1 200 OK\r\n\r\nlies"),
        Step::Close,
    ]])
    .await;
    let user = "user:canary@";
    let lying = format!("http://{user}{}", lying.addr());
    let proxies = [
        open.url_as("http", user),
        open.url_as("socks5", user),
        locked.url_as("http", user),
        locked.url_as("socks5h", user),
        over_tls.url_as("https", user),
        format!("http://{user}{}", closed.addr()),
        format!("socks5://{user}{}", closed.addr()),
        lying,
    ];
    let mut all = String::new();
    for proxy in &proxies {
        let client = client_through(proxy, |profile| profile.transport.tls.ca_file = Some(trust.path()));
        for url in [plain.url("/"), encrypted.url("/"), "http://nowhere.test/".to_owned()] {
            all.push_str(&seen(&client, &url).await);
        }
    }
    drop(listening);
    let log = log.0.lock().unwrap();
    assert!(all.contains("407") && log.contains("dial failed"), "{log}");
    for secret in SECRETS {
        assert!(!all.contains(secret), "{secret} in {all}");
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    let told = open
        .asked()
        .iter()
        .filter(|asked| asked.header("proxy-authorization").is_some())
        .count();
    assert!(told > 0, "the proxy got them");
}
