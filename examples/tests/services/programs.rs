//! The binaries beside servers that variables tell them of: they ask these, and start none of their own.

use std::path::Path;
use std::process::{Output, Stdio};

#[cfg(unix)]
use httputil_tests::gate::Gate;
use httputil_tests::{PATIENCE, within};
use reqwest::StatusCode;
use services::peers::{
    AiPeer, AuditSink, Collector, Content, MtlsManner, MtlsPeer, NimPeer, S3Peer, TlsFiles, Transformer, Webhook,
};
use tempfile::TempDir;
#[cfg(unix)]
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// A folder to run programs in, where there is no configuration.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(TempDir::new().unwrap())
    }

    fn command(&self, program: &str, variables: &[(String, String)], arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.0).env_clear();
        for (key, value) in variables {
            command.env(format!("HTTPUTIL_{}", key.replace('.', "__").to_uppercase()), value);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn run(&self, program: &str, variables: &[(String, String)], arguments: &[&str]) -> Output {
        let mut command = self.command(program, variables, arguments);
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
        within(PATIENCE, output).await.expect("the program starts")
    }

    /// What it says, if all went well.
    async fn well(&self, program: &str, variables: &[(String, String)], arguments: &[&str]) -> String {
        let output = self.run(program, variables, arguments).await;
        let (said, warned) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{said}{warned}");
        assert!(!said.contains("started") && !warned.contains("started"), "{said}");
        said
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn set<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    values.into_iter().map(owned).collect()
}

/// A list of one region, whose bucket is called `there`.
fn region(peer: &S3Peer) -> String {
    let at = peer.location("there");
    format!(
        "[{{ name = \"there\", at = {{ endpoint = \"{}\", region = \"{}\", bucket = \"there\", access_key = \"{}\", \
         secret_key = \"{}\" }} }}]",
        at.endpoint,
        at.region,
        at.access_key,
        at.secret_key.expose()
    )
}

#[tokio::test]
async fn the_server_of_models_may_be_a_variable_s_and_its_protocol_too() {
    let (place, peer) = (Place::new(), AiPeer::start(Some("a key")).await);
    let url = peer.url();
    for (provider, path) in [("openai", "/v1"), ("anthropic", "/v1"), ("ollama", "")] {
        let endpoint = format!("{url}{path}");
        let variables = set([
            ("ai.settings.endpoint", endpoint.as_str()),
            ("ai.settings.provider", provider),
            ("ai.settings.api_key", "a key"),
        ]);
        let said = place
            .well(env!("CARGO_BIN_EXE_ai_prompt"), &variables, &["what is it?"])
            .await;
        assert!(said.contains("You said: what is it?"), "{provider}: {said}");
    }
    assert_eq!(peer.asked().len(), 3);
}

#[tokio::test]
async fn the_audit_s_endpoint_and_spool_may_be_variables() {
    let (place, sink) = (Place::new(), AuditSink::start().await);
    let variables = set([
        ("audit.settings.endpoint", sink.url().as_str()),
        ("audit.settings.spool", "spool"),
    ]);
    place
        .well(env!("CARGO_BIN_EXE_audit_webhooks"), &variables, &["--events", "7"])
        .await;
    assert_eq!(sink.batches().concat().len(), 7);
    assert!(place.0.path().join("spool").is_dir());
}

#[tokio::test]
async fn webhooks_may_be_a_variable_s() {
    let (place, hook) = (Place::new(), Webhook::start(Some("a key".into()), StatusCode::OK).await);
    let targets = format!(
        "[{{ name = \"hook\", url = \"{}\", signing_key = \"a key\" }}]",
        hook.url()
    );
    let variables = set([("events.settings.targets", targets.as_str())]);
    let said = place
        .well(env!("CARGO_BIN_EXE_event_webhooks"), &variables, &["--events", "7"])
        .await;
    assert_eq!(hook.deliveries().len(), 7, "{said}");
}

#[tokio::test]
async fn replicas_may_be_a_variable_s() {
    let (place, peer) = (Place::new(), NimPeer::start(None).await);
    let variables = set([("nim.base_url", peer.url().as_str())]);
    let said = place
        .well(env!("CARGO_BIN_EXE_nim"), &variables, &["--chat-only"])
        .await;
    assert_eq!(peer.server.requests(), 3, "{said}");
}

#[tokio::test]
async fn the_transformer_and_its_store_may_be_variables() {
    let (place, store, transformer) = (Place::new(), S3Peer::start().await, Transformer::start(None).await);
    store.put("photos", "a", Content::Bytes("quiet".into()), []);
    let mut variables = store.settings("object_lambda.settings.from", "photos");
    variables.extend(set([("object_lambda.settings.webhook", transformer.url().as_str())]));
    let program = env!("CARGO_BIN_EXE_object_lambda");
    assert_eq!(place.well(program, &variables, &["--key", "a"]).await, "QUIET");
    let output = place.run(program, &variables, &[]).await;
    assert_eq!(text(&output.stderr), "which object? name its --key\n");
}

#[tokio::test]
async fn buckets_may_be_variables() {
    let (place, from, to) = (Place::new(), S3Peer::start().await, S3Peer::start().await);
    from.put("old", "a", Content::Bytes("1".into()), []);
    let mut variables = from.settings("s3_migration.settings.from", "old");
    variables.extend(to.settings("s3_migration.settings.to", "new"));
    let program = env!("CARGO_BIN_EXE_s3_migration");
    place.well(program, &variables, &[]).await;
    assert_eq!(to.keys("new"), ["a"]);

    let mut variables = from.settings("rdma_fallback.settings.store", "old");
    let program = env!("CARGO_BIN_EXE_rdma_fallback");
    let said = place.well(program, &variables, &["list"]).await;
    assert_eq!(said.trim(), "1 a");
    assert_eq!(place.well(program, &variables, &["get", "a"]).await, "1");
    let output = place.run(program, &variables, &[]).await;
    assert_eq!(text(&output.stderr), "what is to be done there? see --help\n");

    variables = from.settings("replication.settings.from", "old");
    variables.push(("replication.settings.regions".to_owned(), region(&to)));
    let program = env!("CARGO_BIN_EXE_replication");
    place.well(program, &variables, &["a"]).await;
    assert_eq!(to.keys("there"), ["a"]);
    let output = place.run(program, &variables, &[]).await;
    assert_eq!(text(&output.stderr), "which objects? name their keys\n");
}

#[cfg(unix)]
#[tokio::test]
async fn an_interrupted_migration_ends_what_is_under_way_and_begins_nothing() {
    let (place, from, to) = (Place::new(), S3Peer::start().await, S3Peer::start().await);
    for key in ["a", "b", "c"] {
        from.put("old", key, Content::Made(300_000), []);
    }
    let gate = Gate::new();
    to.hold(&gate);
    let mut variables = from.settings("s3_migration.settings.from", "old");
    variables.extend(to.settings("s3_migration.settings.to", "new"));
    variables.extend(set([
        ("s3_migration.settings.at_once", "1"),
        ("s3_migration.settings.part_bytes", "100000"),
    ]));
    let mut command = place.command(env!("CARGO_BIN_EXE_s3_migration"), &variables, &[]);
    let mut program = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut warned = BufReader::new(program.stderr.take().unwrap()).lines();
    gate.arrived(1).await;
    let id = program.id().unwrap().to_string();
    let told = Command::new("kill").args(["-INT", &id]).status().await.unwrap();
    assert!(told.success());
    let line = within(PATIENCE, warned.next_line()).await.unwrap().unwrap();
    assert_eq!(line, "What is under way is ended; once more gives it up.");
    gate.open();
    let line = within(PATIENCE, warned.next_line()).await.unwrap().unwrap();
    assert_eq!(line, "stopped; another run copies the rest");
    assert!(!within(PATIENCE, program.wait()).await.unwrap().success());
    assert_eq!((to.keys("new").len(), to.uploads()), (1, 0));
}

#[tokio::test]
async fn the_peer_may_be_a_variable_s_and_who_we_are_a_flag_s() {
    let (place, peer) = (Place::new(), MtlsPeer::start(MtlsManner::default()).await);
    let files = TlsFiles::within(place.0.path());
    files.write("ca.pem", peer.authority()).unwrap();
    files.write_identity(&peer.issue("storage")).unwrap();
    let path = |path: &Path| path.display().to_string();
    let [ca, certificate, key] = ["ca.pem", "cert.pem", "key.pem"].map(|name| path(&files.path(name)));
    let arguments = [
        "--ca-file",
        &ca,
        "--cert-file",
        &certificate,
        "--key-file",
        &key,
        "/who",
    ];
    let program = env!("CARGO_BIN_EXE_mtls");
    let variables = set([("mtls.base_url", peer.url().as_str())]);
    let said = place.well(program, &variables, &arguments).await;
    assert!(said.contains("storage"), "{said}");
    assert_eq!(peer.served().len(), 1);
    let output = place.run(program, &[], &arguments).await;
    assert_eq!(text(&output.stderr), "which peer? set --base-url, or mtls.base_url\n");
}

#[tokio::test]
async fn the_collector_may_be_a_variable_s_and_its_format_too() {
    let (place, collector) = (Place::new(), Collector::start().await);
    let variables = set([
        ("telemetry.settings.endpoint", collector.zipkin().as_str()),
        ("telemetry.settings.format", "zipkin"),
    ]);
    let program = env!("CARGO_BIN_EXE_telemetry_export");
    place.well(program, &variables, &["--requests", "3"]).await;
    assert_eq!(collector.json().len(), 6, "told as Zipkin wants it");
    let otlp = collector.otlp();
    place
        .well(
            program,
            &variables,
            &["--requests", "3", "--endpoint", otlp.as_str(), "--format", "otlp"],
        )
        .await;
    assert_eq!((collector.spans().len(), collector.json().len()), (12, 6));
}

#[tokio::test]
async fn what_could_not_be_delivered_is_told_with_its_reason() {
    let (place, sink) = (Place::new(), AuditSink::start().await);
    sink.answer_next([StatusCode::UNAUTHORIZED; 2]);
    let variables = set([
        ("audit.settings.endpoint", sink.url().as_str()),
        ("audit.settings.spool", "spool"),
    ]);
    let program = env!("CARGO_BIN_EXE_audit_webhooks");
    let output = place.run(program, &variables, &["--events", "1"]).await;
    let warned = text(&output.stderr);
    assert!(warned.contains("the endpoint answered 401 Unauthorized"), "{warned}");

    let (here, there) = (S3Peer::start().await, S3Peer::start().await);
    here.put("photos", "a", Content::Bytes("1".into()), []);
    // More often than the profile and the service try a piece before its object waits.
    there.answer_next([StatusCode::SERVICE_UNAVAILABLE; 9]);
    let mut variables = here.settings("replication.settings.from", "photos");
    variables.push(("replication.settings.regions".to_owned(), region(&there)));
    let program = env!("CARGO_BIN_EXE_replication");
    let output = place.run(program, &variables, &["a"]).await;
    let warned = text(&output.stderr);
    assert!(warned.contains("503 Service Unavailable"), "{warned}");

    let hook = Webhook::start(Some("another key".into()), StatusCode::OK).await;
    let target = hook.url();
    let output = place
        .run(
            env!("CARGO_BIN_EXE_event_webhooks"),
            &[],
            &["--target", target.as_str(), "--events", "1"],
        )
        .await;
    let warned = text(&output.stderr);
    assert!(warned.contains("the target answered 401 Unauthorized"), "{warned}");
}
