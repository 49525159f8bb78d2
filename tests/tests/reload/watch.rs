//! Files that change under a registry that watches them.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use httputil::{CloseReason, Config, Environment, Error, Kind, ProfileChange, Registry, ReloadReport, Watch};
use httputil_tests::PATIENCE;
use httputil_tests::ca::{Ca, Identity};
use httputil_tests::server::Server;
use httputil_tests::tls::ServerTls;

use crate::common::{get, url};
use crate::scene::{Folder, echoed, quoted};

type Outcome = Result<ReloadReport, Error>;

/// A registry that follows a main file, and what came of each change.
struct Watched {
    registry: Registry,
    outcomes: Receiver<Outcome>,
    watch: Option<Watch>,
}

impl Watched {
    fn of(main: &Path) -> Watched {
        Watched::with(Config::builder().file(main))
    }

    fn with(builder: httputil::ConfigBuilder) -> Watched {
        let registry = Registry::builder().config(builder.load().unwrap()).build().unwrap();
        let (sender, outcomes): (Sender<Outcome>, _) = channel();
        let watch = registry
            .watch()
            .settles(Duration::from_millis(20))
            .on_reload(move |outcome| drop(sender.send(outcome)))
            .start()
            .unwrap();
        Watched {
            registry,
            outcomes,
            watch: Some(watch),
        }
    }

    /// What came of the next change.
    async fn next(&mut self) -> Outcome {
        let outcomes = std::mem::replace(&mut self.outcomes, channel().1);
        let (outcome, outcomes) = tokio::task::spawn_blocking(move || (outcomes.recv_timeout(PATIENCE), outcomes))
            .await
            .unwrap();
        self.outcomes = outcomes;
        outcome.expect("the change was seen")
    }

    async fn refusal(&mut self) -> String {
        let error = self.next().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        error.to_string()
    }
}

fn agent(name: &str) -> String {
    format!("[telemetry]\nuser_agent = '{name}'\n")
}

#[tokio::test]
async fn a_file_is_followed_whether_it_is_written_in_place_or_renamed_over() {
    let folder = Folder::new();
    let server = Server::builder().start().await;
    let main = folder.write("httputil.toml", &agent("one"));
    let mut watched = Watched::of(&main);
    let client = watched.registry.client("telemetry").unwrap();
    get(&client, &server.url("/")).await;
    for (round, name) in ["two", "three", "four", "five"].into_iter().enumerate() {
        if round % 2 == 0 {
            folder.write("httputil.toml", &agent(name));
        } else {
            std::fs::rename(folder.write("httputil.toml.new", &agent(name)), &main).unwrap();
        }
        let report = watched.next().await.unwrap();
        assert_eq!(report.profile("telemetry"), Some(ProfileChange::Policy));
        let seen = echoed(&client, &server.url("/echo")).await;
        assert_eq!((seen.header("user-agent"), seen.connection), (Some(name), 0));
    }
}

#[tokio::test]
async fn a_file_beside_the_main_one_is_followed_from_when_it_comes_until_it_goes() {
    let folder = Folder::new();
    let main = folder.write("httputil.toml", &agent("main"));
    let environment = Environment::empty()
        .with("HTTPUTIL_ENV", "staging")
        .with("HTTPUTIL_TELEMETRY__TIMEOUT", "7s");
    let mut watched = Watched::with(
        Config::builder()
            .file(&main)
            .env(&environment)
            .set("telemetry.timeouts.pool_wait", "3s"),
    );
    let name = |watched: &Watched| {
        let policy = watched.registry.config().profile("telemetry").unwrap().policy;
        // The variables and values are those that it was loaded with.
        assert_eq!(
            (policy.timeout, policy.pool_wait),
            (Some(Duration::from_secs(7)), Duration::from_secs(3))
        );
        policy.user_agent
    };
    for beside in ["httputil.staging.toml", "httputil.local.toml"] {
        let path = folder.write(beside, &agent(beside));
        watched.next().await.unwrap();
        assert_eq!(name(&watched), beside);
        std::fs::remove_file(path).unwrap();
        watched.next().await.unwrap();
        assert_eq!(name(&watched), "main");
    }
}

/// As Kubernetes mounts a volume: the files are links through `..data`, which is a link that is renamed over.
#[cfg(unix)]
#[tokio::test]
async fn the_swap_of_a_folder_behind_a_link_is_seen() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    let publish = |version: &str| {
        std::fs::create_dir(folder.path(version)).unwrap();
        folder.write(&format!("{version}/httputil.toml"), &agent(version));
        symlink(version, folder.path("..data_tmp")).unwrap();
        std::fs::rename(folder.path("..data_tmp"), folder.path("..data")).unwrap();
    };
    publish("..v1");
    let main = folder.path("httputil.toml");
    symlink("..data/httputil.toml", &main).unwrap();
    let mut watched = Watched::of(&main);
    for (old, new) in [("..v1", "..v2"), ("..v2", "..v3")] {
        publish(new);
        std::fs::remove_dir_all(folder.path(old)).unwrap();
        watched.next().await.unwrap();
        let profile = watched.registry.config().profile("telemetry").unwrap();
        assert_eq!(profile.policy.user_agent, new);
    }
}

#[tokio::test]
async fn a_file_that_is_not_whole_changes_nothing_and_is_reported() {
    let folder = Folder::new();
    let main = folder.write("httputil.toml", &agent("one"));
    let mut watched = Watched::of(&main);
    let client = watched.registry.client("telemetry").unwrap();
    let broken = [
        ("", "is empty, and was not"),
        ("# only a comment is left\n\n", "is empty, and was not"),
        ("[telemetry]\nuser_agent = 'tw", "httputil.toml:2"),
        ("[telemetry]", "its last line has no end"),
        ("[telemetry]\nuser_agnet = 'two'\n", "did you mean user_agent?"),
    ];
    for (text, why) in broken {
        folder.write("httputil.toml", text);
        let message = watched.refusal().await;
        assert!(message.contains(why), "{message}");
        assert_eq!(
            watched
                .registry
                .config()
                .profile("telemetry")
                .unwrap()
                .policy
                .user_agent,
            "one"
        );
        assert!(watched.registry.client("telemetry").is_ok());
    }
    std::fs::rename(&main, folder.path("elsewhere.toml")).unwrap();
    let message = watched.refusal().await;
    assert!(message.contains("no such file"), "{message}");
    assert_eq!(watched.registry.stats().reloads_refused, 6);
    // Whole again, it is followed.
    folder.write("httputil.toml", &agent("two"));
    let report = watched.next().await.unwrap();
    assert_eq!(report.profile("telemetry"), Some(ProfileChange::Policy));
    drop(client);
}

/// A file in one piece, then its beginning: caught half-written, or meant.
#[tokio::test]
async fn the_beginning_of_a_file_counts_only_when_it_stays() {
    let folder = Folder::new();
    let head = "[telemetry]\nuser_agent = 'one'\n";
    for whole in [
        format!("{head}[telemetry.egress]\ndeny_private = true\n"),
        format!("{head}[telemetry.egress]\ndeny_private = true"),
    ] {
        let main = folder.write("httputil.toml", &whole);
        let mut watched = Watched::of(&main);
        let denies = |watched: &Watched| {
            let profile = watched.registry.config().profile("telemetry").unwrap();
            profile.transport.egress.deny_private
        };
        folder.write("httputil.toml", head);
        let message = watched.refusal().await;
        assert!(message.contains("only the beginning of what it held"), "{message}");
        assert!(message.contains("until the file has been so for 500 ms"), "{message}");
        assert!(denies(&watched));
        // It was being written: what has become of it counts at once, and nothing of its beginning.
        folder.write("httputil.toml", &format!("{whole}\n[search]\n"));
        let report = watched.next().await.unwrap();
        assert_eq!(report.profile("search"), Some(ProfileChange::Added));
        assert!(denies(&watched));
        // It was meant.
        folder.write("httputil.toml", head);
        watched.refusal().await;
        assert!(denies(&watched));
        watched.next().await.unwrap();
        assert!(!denies(&watched));
    }
}

/// In one step: writing in place empties it first, and a busy machine may see that.
fn replace(folder: &Folder, text: &str) {
    std::fs::rename(folder.write("httputil.toml.new", text), folder.path("httputil.toml")).unwrap();
}

/// Caught half-written with another head, or meant.
#[tokio::test]
async fn a_changed_file_without_its_end_or_a_table_counts_only_when_it_stays() {
    let folder = Folder::new();
    let head = "[telemetry]\nuser_agent = 'one'\n";
    let tail = "[telemetry.egress]\ndeny_private = true\n";
    let long =
        "# a comment that is longer than all that follows it, as somebody has written it at the head of the file\n";
    for beginning in [
        "[telemetry]\nuser_agent = 'eleven'\n".to_owned(),
        format!("{long}[telemetry]\nuser_agent = 'eleven'\n"),
        "[telemetry]\n".to_owned(),
        // Its last line is the same.
        "[telemetry]\negress = { deny_private = false }\n[search.egress]\ndeny_private = true\n".to_owned(),
    ] {
        let main = folder.write("httputil.toml", &format!("{head}{tail}"));
        let mut watched = Watched::of(&main);
        let denies = |watched: &Watched| {
            let profile = watched.registry.config().profile("telemetry").unwrap();
            profile.transport.egress.deny_private
        };
        replace(&folder, &beginning);
        let message = watched.refusal().await;
        assert!(
            message.contains("lacks the end, or a table, of what it held") || message.contains("only the beginning"),
            "{message}"
        );
        assert!(denies(&watched), "{beginning}");
        // The rest has come, and counts at once.
        replace(&folder, &format!("{head}timeout = '7s'\n{tail}"));
        watched.next().await.unwrap();
        assert!(denies(&watched));
        // It was meant.
        replace(&folder, &beginning);
        watched.refusal().await;
        assert!(denies(&watched));
        watched.next().await.unwrap();
        assert!(!denies(&watched), "{beginning}");
    }
}

#[tokio::test]
async fn what_only_changes_the_last_line_or_takes_one_out_before_it_counts_at_once() {
    let folder = Folder::new();
    let text = |lines: &str| format!("[telemetry]\ntimeout = '11s'\n{lines}");
    let main = folder.write("httputil.toml", &text("description = 'it'\nuser_agent = 'long'\n"));
    let mut watched = Watched::of(&main);
    for lines in ["description = 'it'\nuser_agent = 'it'\n", "user_agent = 'it'\n"] {
        replace(&folder, &text(lines));
        watched.next().await.unwrap();
    }
    // And what the program itself reloads is believed as it is.
    let head = Config::builder().embedded("head", "[telemetry]\n").load().unwrap();
    let report = watched.registry.reload(head).unwrap();
    assert_eq!(report.profile("telemetry"), Some(ProfileChange::Policy));
}

#[tokio::test]
async fn the_beginning_of_a_bundle_of_certificates_counts_only_when_it_stays() {
    let folder = Folder::new();
    let (first, second) = (Ca::new(), Ca::new());
    let file = folder.write("ca.pem", &format!("{}{}", first.pem(), second.pem()));
    let text = format!("[telemetry]\ntls.ca_file = {}\n", quoted(&file));
    let mut watched = Watched::of(&folder.write("httputil.toml", &text));
    let client = watched.registry.client("telemetry").unwrap();
    folder.ca("ca.pem", &first);
    let message = watched.refusal().await;
    assert!(message.contains("only the beginning of what it held"), "{message}");
    let report = watched.next().await.unwrap();
    assert_eq!(report.profile("telemetry"), Some(ProfileChange::Transport));
    drop(client);
}

/// Two ways in which a file cannot be read are two.
#[cfg(unix)]
#[tokio::test]
async fn a_file_that_cannot_be_read_for_another_reason_is_reported_again() {
    let folder = Folder::new();
    let main = folder.write("httputil.toml", &agent("main"));
    let beside = folder.write("httputil.staging.toml", &agent("beside"));
    let environment = Environment::empty().with("HTTPUTIL_ENV", "staging");
    let mut watched = Watched::with(Config::builder().file(&main).env(&environment));
    std::fs::remove_file(&beside).unwrap();
    std::fs::create_dir(&beside).unwrap();
    while !watched
        .next()
        .await
        .is_err_and(|error| error.to_string().contains("is a folder"))
    {}
    std::fs::remove_dir(&beside).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", &beside).unwrap();
    while !watched
        .next()
        .await
        .is_err_and(|error| error.to_string().contains("no such file"))
    {}
}

#[tokio::test]
async fn that_a_file_which_was_searched_for_is_gone_takes_nothing_away() {
    let folder = Folder::new();
    let main = folder.write("httputil.toml", &agent("one"));
    let mut watched = Watched::with(Config::builder().search_from(folder.path("")));
    std::fs::remove_file(&main).unwrap();
    let message = watched.refusal().await;
    assert!(message.contains("is gone"), "{message}");
    assert!(watched.registry.client("telemetry").is_ok());
    std::fs::write(&main, agent("two")).unwrap();
    watched.next().await.unwrap();
    assert_eq!(
        watched
            .registry
            .config()
            .profile("telemetry")
            .unwrap()
            .policy
            .user_agent,
        "two"
    );
}

/// Without waiting for the next look of its own accord: whatever of the way to the file is left tells of the rest.
#[tokio::test]
async fn a_file_whose_folders_were_taken_away_and_made_anew_is_seen() {
    let folder = Folder::new();
    let make = |name: &str| {
        std::fs::create_dir_all(folder.path("a/b/conf")).unwrap();
        folder.write("a/b/conf/httputil.toml", &agent(name))
    };
    let mut watched = Watched::of(&make("one"));
    for (taken, name) in [("a/b/conf", "two"), ("a/b", "three"), ("a", "four")] {
        std::fs::remove_dir_all(folder.path(taken)).unwrap();
        let message = watched.refusal().await;
        assert!(message.contains("no such file"), "{message}");
        let main = make(name);
        watched.next().await.unwrap();
        std::fs::write(&main, agent("last")).unwrap();
        let report = watched.next().await.unwrap();
        assert_eq!(report.profile("telemetry"), Some(ProfileChange::Policy), "{taken}");
    }
}

#[tokio::test]
async fn a_certificate_that_changes_in_its_file_starts_anew_and_a_broken_one_does_not() {
    let folder = Folder::new();
    let (trusted, other) = (Ca::new(), Ca::new());
    let file = folder.ca("ca.pem", &trusted);
    let text = format!(
        "[telemetry]\nretry.max_attempts = 1\ntls.ca_file = {}\n[search]\n",
        quoted(&file)
    );
    let main = folder.write("httputil.toml", &text);
    let server = Server::builder()
        .tls(ServerTls::new(trusted.issue(["localhost"])).build())
        .start()
        .await;
    let mut watched = Watched::of(&main);
    let client = watched.registry.client("telemetry").unwrap();
    get(&client, &url(&server, "/")).await;

    for text in ["", "-----BEGIN CERTIFICATE-----\nMIIB"] {
        folder.write("ca.pem", text);
        let message = watched.refusal().await;
        assert!(message.contains("ca.pem"), "{message}");
        get(&client, &url(&server, "/")).await;
        assert_eq!(server.accepted(), 1);
    }
    folder.ca("ca.pem", &other);
    let report = watched.next().await.unwrap();
    assert_eq!(report.profile("telemetry"), Some(ProfileChange::Transport));
    assert_eq!(report.profile("search"), Some(ProfileChange::Unchanged));
    let error = client.get(url(&server, "/")).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Tls, "{error}");
    folder.ca("ca.pem", &trusted);
    watched.next().await.unwrap();
    get(&client, &url(&server, "/")).await;
    assert_eq!(server.seen().resumed_handshakes, 0);
    assert_eq!(client.stats().closed_for(CloseReason::Reloaded), 1);
}

/// The server asks who we are: what it is shown is what the files hold.
#[tokio::test]
async fn a_clients_certificate_that_was_renewed_is_shown_on_new_connections() {
    let folder = Folder::new();
    let (ca, clients) = (Ca::new(), Ca::new());
    let (unknown, known) = (Ca::new().issue_client("nobody"), clients.issue_client("us"));
    let show = |identity: &Identity| {
        folder.write("client.key", identity.key_pem());
        folder.write("client.pem", identity.certificate_pem());
    };
    let server = Server::builder()
        .tls(
            ServerTls::new(ca.issue(["localhost"]))
                .demand_client_of(clients)
                .build(),
        )
        .start()
        .await;
    show(&unknown);
    let text = format!(
        "[telemetry]\nretry.max_attempts = 1\n[telemetry.tls]\nca_file = {}\ncert_file = {}\nkey_file = {}\n",
        quoted(&folder.ca("ca.pem", &ca)),
        quoted(&folder.path("client.pem")),
        quoted(&folder.path("client.key")),
    );
    let mut watched = Watched::of(&folder.write("httputil.toml", &text));
    let client = watched.registry.client("telemetry").unwrap();
    client.get(url(&server, "/")).send().await.unwrap_err();
    show(&known);
    // A look between the two files finds a key that is not the certificate's.
    while watched.next().await.is_err() {}
    get(&client, &url(&server, "/")).await;
    show(&unknown);
    while watched.next().await.is_err() {}
    server.until_open(0).await;
    client.get(url(&server, "/")).send().await.unwrap_err();
}

#[tokio::test]
async fn a_secret_in_a_file_is_followed() {
    let folder = Folder::new();
    let file = folder.write("password", "first\n");
    let text = format!(
        "[telemetry.proxy]\nurl = 'http://127.0.0.1:1'\nusername = 'us'\npassword = {{ file = {} }}\n",
        quoted(&file)
    );
    let mut watched = Watched::of(&folder.write("httputil.toml", &text));
    folder.write("password", "second\n");
    let report = watched.next().await.unwrap();
    assert_eq!(report.profile("telemetry"), Some(ProfileChange::Transport));
    let proxy = watched.registry.config().profile("telemetry").unwrap().transport.proxy;
    assert_eq!(proxy.password.unwrap().expose(), "second");
}

#[tokio::test]
async fn nothing_is_followed_any_more_when_the_guard_is_dropped_and_it_keeps_no_registry() {
    let folder = Folder::new();
    let main = folder.write("httputil.toml", &agent("one"));
    let mut watched = Watched::of(&main);
    folder.write("httputil.toml", &agent("two"));
    watched.next().await.unwrap();
    drop(watched.watch.take());
    // The thread is gone, and its end of the channel with it.
    folder.write("httputil.toml", &agent("three"));
    assert!(watched.outcomes.recv().is_err());
    assert_eq!(
        watched
            .registry
            .config()
            .profile("telemetry")
            .unwrap()
            .policy
            .user_agent,
        "two"
    );
}
