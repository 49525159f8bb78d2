//! Files that are followed though the program says no word of watching.

use std::sync::mpsc::channel;
use std::time::Duration;

use httputil::{CloseReason, Config, Registry};
use httputil_tests::PATIENCE;
use httputil_tests::ca::Ca;
use httputil_tests::server::Server;
use httputil_tests::tls::ServerTls;
use tokio::task::JoinSet;

use crate::common::{get, url};
use crate::scene::{Folder, quoted, stats};

fn registry(main: &std::path::Path) -> Registry {
    let config = Config::builder().file(main).load().unwrap();
    Registry::builder().config(config).build().unwrap()
}

/// Until it is so, looking again and again.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let looking = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect(what);
}

fn agent(registry: &Registry) -> String {
    registry.config().profile("telemetry").unwrap().policy.user_agent
}

fn text(watch: bool, agent: &str) -> String {
    format!("[registry]\nwatch = {watch}\n[telemetry]\nuser_agent = '{agent}'\nretry.max_attempts = 1\n")
}

#[tokio::test]
async fn a_configuration_that_wishes_it_is_followed_without_a_word_of_the_programs() {
    let folder = Folder::new();
    let main = folder.write("httputil.toml", &text(true, "one"));
    let registry = registry(&main);
    assert!(registry.config().registry().watch);
    folder.write("httputil.toml", &text(true, "two"));
    until("the change is followed", || agent(&registry) == "two").await;
    folder.write("httputil.local.toml", "[telemetry]\nuser_agent = 'three'\n");
    until("a file that comes later is followed", || agent(&registry) == "three").await;
    folder.write("httputil.toml", "[telemetry");
    until("a mistake is told", || registry.stats().reloads_refused == 1).await;
    assert_eq!(agent(&registry), "three");
    assert_eq!(registry.stats().reloads, 2, "nothing is reloaded that has not changed");
}

#[tokio::test]
async fn what_changes_at_the_moment_of_a_reload_is_followed_too() {
    let one = async || {
        let folder = Folder::new();
        let main = folder.write("httputil.toml", &text(true, "one"));
        let registry = registry(&main);
        folder.write("httputil.toml", &text(true, "two"));
        let followed = async {
            while agent(&registry) != "two" {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, followed)
            .await
            .expect("the change is followed");
        folder.write("httputil.local.toml", "[telemetry]\nuser_agent = 'three'\n");
        until("a file that comes just then is followed", || {
            agent(&registry) == "three"
        })
        .await;
    };
    (0..24).map(|_| one()).collect::<JoinSet<_>>().join_all().await;
}

#[tokio::test]
async fn a_reload_switches_it_on_and_the_file_itself_switches_it_off() {
    let folder = Folder::new();
    let ca = Ca::new();
    let ca_file = folder.ca("ca.pem", &ca);
    let tls = format!("[telemetry.tls]\nca_file = {}\n", quoted(&ca_file));
    let main = folder.write("httputil.toml", &format!("{}{tls}", text(false, "one")));
    let registry = registry(&main);
    let client = registry.client("telemetry").unwrap();
    folder.write("httputil.toml", &format!("{}{tls}", text(true, "two")));
    registry.reload(registry.config().load_again().unwrap()).unwrap();
    assert_eq!(agent(&registry), "two");
    folder.write("httputil.toml", &format!("{}{tls}", text(false, "three")));
    until("the change is followed", || agent(&registry) == "three").await;
    // From now on only what the authorities' file holds is: when its change has been seen, the other one would have been.
    let reloads = registry.stats().reloads;
    folder.write("httputil.toml", &format!("{}{tls}", text(true, "four")));
    folder.ca("ca.pem", &Ca::new());
    until("the file of authorities is followed", || {
        registry.stats().reloads > reloads
    })
    .await;
    assert_eq!(agent(&registry), "three");
    drop(client);
}

#[tokio::test]
async fn certificates_are_followed_whatever_the_key_says_and_broken_ones_change_nothing() {
    let folder = Folder::new();
    let (old, new) = (Ca::new(), Ca::new());
    let server = Server::builder()
        .tls(ServerTls::new(old.issue(["localhost"])).build())
        .start()
        .await;
    let ca_file = folder.ca("ca.pem", &old);
    let main = folder.write(
        "httputil.toml",
        &format!(
            "[telemetry]\nretry.max_attempts = 1\ntls.ca_file = {}\n",
            quoted(&ca_file)
        ),
    );
    let registry = registry(&main);
    let client = registry.client("telemetry").unwrap();
    get(&client, &url(&server, "/")).await;
    folder.write("ca.pem", "-----BEGIN CERTIFICATE-----\nbroken\n");
    until("what cannot be used is told", || registry.stats().reloads_refused == 1).await;
    get(&client, &url(&server, "/")).await;
    assert_eq!(server.accepted(), 1);
    folder.ca("ca.pem", &new);
    until("the new authority counts", || {
        stats(&registry, "telemetry").closed_for(CloseReason::Reloaded) == 1
    })
    .await;
    client.get(url(&server, "/")).send().await.unwrap_err();
}

#[tokio::test]
async fn a_guard_of_the_programs_hears_of_each_change_though_the_key_is_on() {
    let folder = Folder::new();
    let main = folder.write("httputil.toml", &text(true, "0"));
    let registry = registry(&main);
    let (sender, outcomes) = channel();
    let watch = registry
        .watch()
        .on_reload(move |outcome| drop(sender.send(outcome)))
        .start()
        .unwrap();
    let told = tokio::task::spawn_blocking(move || {
        for round in 1..=3 {
            folder.write("httputil.toml", &text(true, &round.to_string()));
            let report = outcomes.recv_timeout(PATIENCE).unwrap().unwrap();
            assert!(!report.is_nothing(), "{report}");
        }
        folder
    });
    let folder = told.await.unwrap();
    drop(watch);
    folder.write("httputil.toml", &text(true, "last"));
    until("the key counts again", || agent(&registry) == "last").await;
}

#[tokio::test]
async fn the_files_of_a_configuration_that_was_put_in_force_meanwhile_are_those_that_are_followed() {
    let folder = Folder::new();
    let registry = registry(&folder.write("httputil.toml", &text(true, "one")));
    std::fs::create_dir(folder.path("other")).unwrap();
    let other = folder.write("other/httputil.toml", &text(true, "other"));
    registry.reload(Config::builder().file(&other).load().unwrap()).unwrap();
    folder.write("other/httputil.toml", &text(true, "two"));
    until("the other file is followed", || agent(&registry) == "two").await;
}
