//! A configuration that cannot be followed changes nothing at all.

use httputil::{Kind, ProfileChange};
use httputil_tests::server::Server;

use crate::common::get;
use crate::scene::{Folder, config, echoed, quoted, registry};

#[tokio::test]
async fn a_file_that_cannot_be_used_leaves_every_profile_as_it_was() {
    let folder = Folder::new();
    let server = Server::builder().start().await;
    let registry = registry("user_agent = 'one'\n[search]\n[telemetry]\n[unused]");
    let [client, search, telemetry] = ["default", "search", "telemetry"].map(|name| registry.client(name).unwrap());
    for client in [&client, &search, &telemetry] {
        get(client, &server.url("/")).await;
    }
    let empty = folder.write("empty.pem", "");
    let missing = folder.path("missing.pem");
    let bad = format!(
        "user_agent = 'two'\ntcp.nodelay = false\n[search]\ntls.ca_file = {}\n[telemetry]\ntls.crl_files = [{}]",
        quoted(&empty),
        quoted(&missing)
    );
    let error = registry.reload(config(&bad)).unwrap_err();
    assert_eq!((error.kind(), error.problems().len()), (Kind::Config, 2), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("empty.pem") && message.contains("missing.pem"),
        "{message}"
    );
    // Every profile has its settings and connections; the configuration in force is the earlier one.
    for client in [&client, &search, &telemetry] {
        let seen = echoed(client, &server.url("/echo")).await;
        assert_eq!(seen.header("user-agent"), Some("one"));
    }
    assert_eq!(server.accepted(), 3);
    assert!(registry.config().profiles().contains(&"unused".to_owned()));
    assert_eq!((registry.stats().reloads, registry.stats().reloads_refused), (0, 1));
    // Mended, it is followed.
    let report = registry
        .reload(config("user_agent = 'two'\n[search]\n[telemetry]"))
        .unwrap();
    assert_eq!(report.profile("unused"), Some(ProfileChange::Removed { clients: 0 }));
    let seen = echoed(&client, &server.url("/echo")).await;
    assert_eq!(seen.header("user-agent"), Some("two"));
}
