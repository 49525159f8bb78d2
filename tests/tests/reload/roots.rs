//! The platform's roots, in a process of its own: where they are is said by a variable.

use std::path::{Path, PathBuf};
use std::process::Command;

use httputil::{Client, CloseReason, Kind, ProfileChange, Registry};
use httputil_tests::ca::Ca;
use httputil_tests::server::Server;
use httputil_tests::tls::ServerTls;

use crate::common::get;
use crate::scene::{Folder, config, registry, stats};

/// Set for the process that the test is about.
const ROOTS: &str = "SSL_CERT_FILE";
const FLAG: &str = "RELOAD_ROOTS_TEST";

#[tokio::test]
async fn the_platforms_roots_are_read_again() {
    if std::env::var_os(FLAG).is_some() {
        return in_a_process_of_its_own(PathBuf::from(std::env::var_os(ROOTS).unwrap())).await;
    }
    let folder = Folder::new();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "roots::the_platforms_roots_are_read_again"])
        .env_remove("SSL_CERT_DIR")
        .env(ROOTS, folder.path("roots.pem"))
        .env(FLAG, "1");
    let output = tokio::task::spawn_blocking(move || child.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

async fn in_a_process_of_its_own(roots: PathBuf) {
    let (ours, other) = (Ca::new(), Ca::new());
    let trust = |authorities: &[&Ca]| {
        let pem: String = authorities.iter().map(|ca| ca.pem()).collect();
        std::fs::write(&roots, pem).unwrap();
    };
    let tls = ServerTls::new(ours.issue(["localhost"])).build();
    let server = Server::builder().tls(tls).start().await;
    let url = server.url_for("localhost", "/");
    let registry = registry("");
    let client = registry.client("default").unwrap();
    trust(&[&ours]);
    assert_eq!(get(&client, &url).await, "hello");

    // The same roots in another order are the same, and so is nothing at all.
    trust(&[&other, &ours]);
    assert_eq!(reloaded(&registry), Some(ProfileChange::Transport));
    assert_eq!(get(&client, &url).await, "hello");
    for unchanged in [vec![&ours, &other], Vec::new()] {
        trust(&unchanged);
        assert_eq!(reloaded(&registry), Some(ProfileChange::Unchanged));
        assert_eq!(get(&client, &url).await, "hello");
    }
    assert_eq!(server.accepted(), 2);

    // Nothing that was made under a root that has gone is used any more, and no session of then is taken up.
    trust(&[&other]);
    assert_eq!(reloaded(&registry), Some(ProfileChange::Transport));
    assert_untrusted(&client, &url).await;
    assert_eq!(stats(&registry, "default").closed_for(CloseReason::Reloaded), 2);
    trust(&[&ours]);
    reloaded(&registry);
    assert_eq!(get(&client, &url).await, "hello");
    // Where a file of our own says who is trusted, the platform has no say.
    let lines = format!("tls.ca_file = '{}'", file_of(&roots, &ours).display());
    registry.reload(config(&lines)).unwrap();
    assert_eq!(get(&client, &url).await, "hello");
    trust(&[&other]);
    let report = registry.reload(config(&lines)).unwrap();
    assert_eq!(report.profile("default"), Some(ProfileChange::Unchanged));
    // Where it has its say again, that is what it says now.
    assert_eq!(reloaded(&registry), Some(ProfileChange::Transport));
    assert_untrusted(&client, &url).await;
}

fn reloaded(registry: &Registry) -> Option<ProfileChange> {
    registry.reload(config("")).unwrap().profile("default")
}

async fn assert_untrusted(client: &Client, url: &str) {
    let error = client.get(url).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Tls, "{error}");
}

/// A file beside the roots that holds this authority.
fn file_of(roots: &Path, ca: &Ca) -> PathBuf {
    let path = roots.with_file_name("ours.pem");
    std::fs::write(&path, ca.pem()).unwrap();
    path
}
