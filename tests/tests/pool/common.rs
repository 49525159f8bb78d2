//! What the tests of the pool share.

use std::sync::Arc;

use httputil::settings::Transport;
use httputil::{Client, ClientConfig, Config, Environment, PoolStats, Registry};
use httputil_tests::ca::Ca;
use httputil_tests::h2_script::{Frame, H2Script, Kind};
use httputil_tests::resolver::ScriptedResolver;
use httputil_tests::server::{Builder, Server};
use httputil_tests::tls::{Alpn, ServerTls};
use httputil_tests::{PATIENCE, one_attempt};
use tokio::task::JoinSet;

/// The three ways to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    H1,
    H1Tls,
    H2Tls,
}

impl Way {
    pub(crate) const ALL: [Way; 3] = [Way::H1, Way::H1Tls, Way::H2Tls];

    /// A server that speaks so, and the settings of a client that trusts it.
    pub(crate) async fn start(self, builder: Builder, ca: &TrustedCa) -> Server {
        match self {
            Way::H1 => builder.start().await,
            Way::H1Tls => builder.tls(ca.server(Alpn::H1)).start().await,
            Way::H2Tls => builder.tls(ca.server(Alpn::Both)).start().await,
        }
    }
}

/// A URL of the server by the name that its certificate bears.
pub(crate) fn url(server: &Server, path: &str) -> String {
    server.url_for("localhost", path)
}

/// A CA and its certificate as a file.
pub(crate) struct TrustedCa {
    ca: Ca,
    file: tempfile::NamedTempFile,
}

impl TrustedCa {
    pub(crate) fn new() -> TrustedCa {
        let ca = Ca::new();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), ca.pem()).unwrap();
        TrustedCa { ca, file }
    }

    pub(crate) fn server(&self, alpn: Alpn) -> Arc<rustls::ServerConfig> {
        self.server_for(["localhost"], alpn)
    }

    /// A server whose certificate bears these names.
    pub(crate) fn server_for<const N: usize>(&self, names: [&str; N], alpn: Alpn) -> Arc<rustls::ServerConfig> {
        ServerTls::new(self.ca.issue(names)).alpn(alpn).build()
    }

    /// The documented defaults, trusting this CA.
    pub(crate) fn config(&self) -> ClientConfig {
        let mut config = one_attempt();
        config.profile_mut().transport.tls.ca_file = Some(self.path().to_owned());
        config
    }

    /// The file.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.file.path()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.config()).unwrap()
    }

    /// A registry that trusts this CA, asks this resolver, and follows these lines, which begin in `[default]`.
    pub(crate) fn registry(&self, lines: &str, resolver: &ScriptedResolver) -> Registry {
        let toml = format!(
            "[default]\nretry.max_attempts = 1\nbreaker.enabled = false\ntls.ca_file = '{}'\n{lines}",
            self.path().display()
        );
        let config = Config::builder()
            .embedded("test.toml", toml)
            .env(&Environment::empty())
            .load()
            .unwrap();
        Registry::builder()
            .config(config)
            .resolver(Arc::new(resolver.clone()))
            .build()
            .unwrap()
    }
}

/// A client with the documented defaults.
pub(crate) fn client() -> Client {
    Client::new(one_attempt()).unwrap()
}

/// A client that speaks HTTP/2 without asking, over one connection to a host unless `change` says otherwise.
pub(crate) fn h2_client(change: impl FnOnce(&mut Transport)) -> Client {
    let mut config = one_attempt();
    let transport = &mut config.profile_mut().transport;
    transport.http2.prior_knowledge = true;
    transport.http2.max_connections_per_host = 1;
    change(transport);
    Client::new(config).unwrap()
}

/// Waits until the client has read everything that the server has written to a connection so far: it has answered a ping.
pub(crate) async fn until_read(server: &H2Script, connection: usize) {
    let answers = server.frames().count(connection, Kind::Ping);
    server.connection(connection).inject(Frame::ping(*b"are you?"));
    server.frames().until(connection, Kind::Ping, answers + 1).await;
}

/// Sends a `GET` and reads the answer to its end.
pub(crate) async fn get(client: &Client, url: &str) -> String {
    client.get(url).send().await.unwrap().text().await.unwrap()
}

/// Waits until the client's pool says so. Statistics have no event of their own, so this looks again after every turn
/// of the runtime, within the kit's patience.
pub(crate) async fn until(client: &Client, what: &str, holds: impl Fn(&PoolStats) -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds(&client.stats()) {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "waited for {what}: {:?}", client.stats());
}

/// The conservation law of a pool at rest.
pub(crate) fn assert_accounted(stats: &PoolStats) {
    assert_eq!(stats.dials_in_progress, 0, "{stats:?}");
    assert_eq!(
        stats.dials_started,
        stats.dial_failures_total() + stats.dialled,
        "{stats:?}"
    );
    assert_eq!(stats.dialled, stats.open + stats.closed_total(), "{stats:?}");
}

/// Waits until the pool is at rest: nothing in use, dialled or waited for. Then its books must hold.
pub(crate) async fn assert_at_rest(client: &Client) {
    until(client, "the pool to be at rest", |stats| {
        (stats.in_use, stats.waiting, stats.dials_in_progress) == (0, 0, 0)
    })
    .await;
    assert_accounted(&client.stats());
}

/// Stops the client and waits until nothing of its pool is left. Then its books must hold.
pub(crate) async fn assert_all_gone(client: &Client) {
    client.stop();
    until(client, "all to be closed", |stats| {
        (stats.open, stats.waiting, stats.dials_in_progress) == (0, 0, 0)
    })
    .await;
    assert_accounted(&client.stats());
}

/// Eight requests at once, again and again.
pub(crate) async fn load(client: &Client, url: &str) -> JoinSet<()> {
    let mut load = JoinSet::new();
    for _ in 0..8 {
        let (client, url) = (client.clone(), url.to_owned());
        load.spawn(async move {
            loop {
                get(&client, &url).await;
            }
        });
    }
    let before = client.stats().requests;
    until(client, "the load to be under way", move |stats| {
        stats.requests > before + 100
    })
    .await;
    load
}

/// A `GET` in a task of its own, read to its end.
pub(crate) fn spawn_get(client: &Client, url: &str) -> tokio::task::JoinHandle<Result<String, httputil::Error>> {
    let request = client.get(url);
    tokio::spawn(async move { Ok(request.send().await?.text().await.expect("the body ends well")) })
}

/// Lets time pass for idle connections, and no turn of a runtime of one thread: what has come for them by then, only a
/// look into their sockets shows. Those that were in use less than a millisecond ago are spared it.
pub(crate) fn be_idle_for_long_enough_to_be_peeked_at() {
    std::thread::sleep(std::time::Duration::from_millis(2));
}
