//! `base_url = "unix:/path"`: requests over a Unix socket, pooled and counted like all others.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use httputil::{Client, Config, Kind, Registry};
use httputil_tests::gate::Gate;
use httputil_tests::server::handlers::{self, Echoed};
use httputil_tests::server::{Builder, Server};
use httputil_tests::unix::UnixDoor;
use httputil_tests::{PATIENCE, within};
use tempfile::TempDir;

use crate::scene::{assert_balanced, assert_says, client, eventually};
use crate::tower_door;

async fn behind_a_door(builder: Builder) -> (Server, UnixDoor) {
    let server = builder.handler(handlers::echo).start().await;
    let door = UnixDoor::to(server.addr());
    (server, door)
}

fn client_of(base_url: &str) -> Client {
    client(|profile| profile.policy.base_url = vec![base_url.to_owned()])
}

async fn echoed(client: &Client, url: &str) -> Echoed {
    let response = within(PATIENCE, client.get(url).send()).await.unwrap();
    within(PATIENCE, response.json()).await.unwrap()
}

async fn failure(client: &Client, url: &str) -> httputil::Error {
    let sent = within(PATIENCE, client.get(url).send()).await;
    sent.map(|answer| answer.status()).expect_err("the request fails")
}

#[tokio::test]
async fn relative_urls_go_over_the_socket_and_its_connection_is_used_again() {
    let (server, door) = behind_a_door(Server::builder()).await;
    let client = client_of(&door.base_url());
    for (url, target) in [
        ("/v1/x?y=z", "/v1/x?y=z"),
        ("v1/x", "/v1/x"),
        ("", "/"),
        ("/", "/"),
        ("?q", "/?q"),
    ] {
        let seen = echoed(&client, url).await;
        assert_eq!(
            (seen.target.as_str(), seen.header("host")),
            (target, Some("localhost")),
            "{url}"
        );
        let seen = tower_door::echoed(&client, if url.is_empty() { "/" } else { url }).await;
        assert_eq!(
            seen.map(|seen| seen.target),
            if url.starts_with('/') || url.is_empty() {
                Some(target.to_owned())
            } else {
                None
            }
        );
    }
    assert_eq!(server.accepted(), 1);
    let stats = client.stats();
    assert_eq!((stats.dialled, stats.open, stats.idle), (1, 1, 1));
    assert_balanced(&stats);
    let hosts: Vec<String> = client.host_stats().into_iter().map(|host| host.host).collect();
    assert_eq!(hosts, [door.base_url()]);
    client.close_idle_connections();
    server.until_closed(1).await;
    eventually("the pool to be empty", || client.stats().open == 0).await;
}

#[tokio::test]
async fn http_2_is_spoken_over_a_socket_where_it_is_known_of() {
    let (server, door) = behind_a_door(Server::builder().h2()).await;
    let client = client(|profile| {
        profile.policy.base_url = vec![door.base_url()];
        profile.transport.http2.prior_knowledge = true;
    });
    for _ in 0..2 {
        let seen = echoed(&client, "/v1/x").await;
        assert_eq!(
            (seen.version.as_str(), seen.target.as_str()),
            ("HTTP/2.0", "http://localhost/v1/x")
        );
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn the_socket_is_capped_like_a_host() {
    let gate = Gate::new();
    let server = Server::builder()
        .handler(handlers::hold(&gate, handlers::echo))
        .start()
        .await;
    let door = UnixDoor::to(server.addr());
    let client = client(|profile| {
        profile.policy.base_url = vec![door.base_url()];
        profile.transport.pool.max_connections_per_host = Some(1);
    });
    let (first, second) = (
        tokio::spawn(client.get("/1").send()),
        tokio::spawn(client.get("/2").send()),
    );
    eventually("one to wait for the other", || client.stats().waiting == 1).await;
    gate.open();
    for sent in [first, second] {
        within(PATIENCE, sent).await.unwrap().unwrap().bytes().await.unwrap();
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_server_that_closes_its_idle_connection_costs_no_request() {
    let (server, door) = behind_a_door(Server::builder()).await;
    let client = client_of(&door.base_url());
    echoed(&client, "/").await;
    server.close_idle();
    server.until_closed(1).await;
    assert_eq!(echoed(&client, "/again").await.target, "/again");
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn a_profile_of_a_file_leads_to_its_socket() {
    let (server, door) = behind_a_door(Server::builder()).await;
    let toml = format!("[agent]\nbase_url = \"{}\"", door.base_url());
    let config = Config::builder().embedded("test.toml", toml).load().unwrap();
    let client = Registry::builder()
        .config(config)
        .build()
        .unwrap()
        .client("agent")
        .unwrap();
    assert_eq!(echoed(&client, "/v1").await.target, "/v1");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn no_proxy_stands_before_a_socket() {
    let (server, door) = behind_a_door(Server::builder()).await;
    let nobody = httputil_tests::tcp::ClosedPort::new();
    let toml = format!(
        "[default]\nbase_url = \"{}\"\nproxy.url = \"http://{}\"",
        door.base_url(),
        nobody.addr()
    );
    let client = crate::scene::registry(&toml).client("default").unwrap();
    assert_eq!(echoed(&client, "/v1").await.target, "/v1");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn absolute_urls_go_where_they_say() {
    let (inner, door) = behind_a_door(Server::builder()).await;
    let outer = Server::builder().handler(handlers::echo).start().await;
    let client = client_of(&door.base_url());
    assert_eq!(
        echoed(&client, &outer.url_for("127.0.0.1", "/out")).await.target,
        "/out"
    );
    assert_eq!((inner.accepted(), outer.accepted()), (0, 1));
}

#[tokio::test]
async fn a_built_request_keeps_its_way_and_no_other_client_takes_it() {
    let (server, door) = behind_a_door(Server::builder()).await;
    let client = client_of(&door.base_url());
    let build = || client.get("/v1").query(&[("a", "b")]).build().unwrap();
    let response = within(PATIENCE, client.execute(build())).await.unwrap();
    let seen: Echoed = within(PATIENCE, response.json()).await.unwrap();
    assert_eq!(seen.target, "/v1?a=b");

    let (_other, other_door) = behind_a_door(Server::builder()).await;
    for stranger in [
        client_of(&other_door.base_url()),
        client_of("http://127.0.0.1:9"),
        crate::scene::client(|_| {}),
    ] {
        let error = within(PATIENCE, stranger.execute(build()))
            .await
            .map(|_| ())
            .unwrap_err();
        assert_says(
            &error,
            Kind::Request,
            &["a Unix socket is reached through relative URLs"],
        );
        // Nor does it help to write such a URL by hand.
        let error = failure(&stranger, build().url().as_str()).await;
        assert_says(
            &error,
            Kind::Request,
            &["a Unix socket is reached through relative URLs"],
        );
    }
    assert_eq!(server.requests(), 1);
}

async fn assert_fails(path: &Path, what: &str) {
    let base = format!("unix:{}", path.display());
    let client = client_of(&base);
    let error = failure(&client, "/v1").await;
    assert_says(&error, Kind::Connect, &[&base, what]);
    assert!(error.is_retryable() && !error.to_string().contains('\n'));
    assert_balanced(&client.stats());
    assert_eq!(client.stats().dial_failures_total(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_socket_is_told_with_its_path() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    assert_fails(&path("missing.sock"), "no such file").await;
    std::fs::write(path("file"), "").unwrap();
    assert_fails(&path("file"), "is not a socket").await;
    assert_fails(folder.path(), "is not a socket").await;
    drop(UnixListener::bind(path("left.sock")).unwrap());
    assert_fails(&path("left.sock"), "nobody listens").await;
}

#[tokio::test]
async fn a_socket_that_we_may_not_write_to_says_so() {
    use std::os::unix::fs::PermissionsExt as _;
    let (server, door) = behind_a_door(Server::builder()).await;
    std::fs::set_permissions(door.path(), std::fs::Permissions::from_mode(0o000)).unwrap();
    let client = client_of(&door.base_url());
    match within(PATIENCE, client.get("/").send()).await {
        Err(error) => assert_says(&error, Kind::Connect, &[&door.base_url(), "permission denied"]),
        // Nothing is forbidden to root.
        Ok(_) => assert_eq!(server.accepted(), 1),
    }
}

#[tokio::test]
async fn a_full_backlog_is_the_servers_fault_by_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("full.sock");
    let listener = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    listener.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    listener.listen(0).unwrap();
    // The queue's one place.
    let _place = UnixStream::connect(&path).unwrap();
    assert_fails(&path, "backlog is full").await;
}

#[test]
fn a_path_that_no_socket_can_have_is_a_mistake_of_the_settings() {
    for base_url in ["unix:app.sock", "unix:", &format!("unix:/{}", "x".repeat(200))] {
        let config = crate::scene::config(|profile| profile.policy.base_url = vec![base_url.to_owned()]);
        let error = Client::new(config).map(|_| ()).expect_err("it is no path");
        assert!(error.is_config() && error.to_string().contains("base_url"), "{error}");
    }
}

#[tokio::test]
async fn a_socket_that_is_to_be_warm_is_connected_to_before_the_first_request_needs_it() {
    let (server, door) = behind_a_door(Server::builder()).await;
    let toml = format!("[default]\nbase_url = '{0}'\npool.warm = ['{0}']", door.base_url());
    let config = Config::builder().embedded("test.toml", toml).load().unwrap();
    let client = Registry::builder()
        .config(config)
        .build()
        .unwrap()
        .client("default")
        .unwrap();
    eventually("the connection to be there", || client.stats().idle == 1).await;
    assert_eq!(echoed(&client, "/x").await.target, "/x");
    assert_eq!((server.accepted(), client.stats().dialled), (1, 1));
    assert_balanced(&client.stats());
}
