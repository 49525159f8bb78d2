//! The README keeps its word: its commands run, its TOML loads, its variables mean something. (Its Rust is compiled as a
//! documentation test of this package.)

use std::path::{Path, PathBuf};
use std::process::Command;

use httputil::{Config, Environment, Origin};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// The lines of all code blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let text = readme();
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(&format!("```{language}\n")) {
        let block = &rest[at + language.len() + 4..];
        let end = block.find("```").expect("every block ends");
        found.push(block[..end].to_owned());
        rest = &block[end..];
    }
    assert!(!found.is_empty(), "the README has a block of {language}");
    found
}

/// The README's commands, without their comments.
fn commands() -> Vec<String> {
    let without_comment = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
    blocks("sh")
        .iter()
        .flat_map(|block| block.lines())
        .map(without_comment)
        .filter(|line| !line.is_empty())
        .collect()
}

fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(arguments).current_dir(root());
    // The folder that this test was built into, wherever the user keeps it.
    if let Some(target) = std::env::current_exe().unwrap().ancestors().nth(3) {
        cargo.env("CARGO_TARGET_DIR", target);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HTTPUTIL_") {
            cargo.env_remove(name);
        }
    }
    cargo
}

#[test]
fn the_first_command_shows_the_tour_and_a_variable_changes_it() {
    assert_eq!(commands()[0], "cargo run --bin tour");
    let tour = cargo(&["run", "--quiet", "--offline", "--bin", "tour"])
        .output()
        .unwrap();
    let shown = String::from_utf8(tour.stdout).unwrap();
    assert!(
        tour.status.success(),
        "{shown}{}",
        String::from_utf8_lossy(&tour.stderr)
    );
    for service in ["SpanExporter", "AuditWebhook", "Nim"] {
        assert!(shown.contains(service), "{shown}");
    }
    for service in SERVICES {
        assert!(shown.contains(&format!("  {service:<14} yes ")), "{service}: {shown}");
    }
    assert!(shown.contains("SpanExporter   HTTP/2"), "{shown}");

    let mut changed = cargo(&["run", "--quiet", "--offline", "--bin", "tour"]);
    let changed = changed
        .env("HTTPUTIL_TELEMETRY__HTTP2__ENABLED", "false")
        .output()
        .unwrap();
    let shown = String::from_utf8(changed.stdout).unwrap();
    assert!(
        changed.status.success(),
        "{shown}{}",
        String::from_utf8_lossy(&changed.stderr)
    );
    assert!(shown.contains("SpanExporter   HTTP/1.1"), "{shown}");

    let mut mistaken = cargo(&["run", "--quiet", "--offline", "--bin", "tour"]);
    let mistaken = mistaken
        .env("HTTPUTIL_TELEMETRY__HTTP2__ENABLE", "false")
        .output()
        .unwrap();
    assert!(!mistaken.status.success());
    let said = String::from_utf8(mistaken.stderr).unwrap();
    assert!(said.contains("HTTPUTIL_TELEMETRY__HTTP2__ENABLED"), "{said}");
}

/// In the order of the tour.
const SERVICES: [&str; 10] = [
    "ai",
    "audit",
    "events",
    "object_lambda",
    "s3_migration",
    "nim",
    "replication",
    "mtls",
    "telemetry",
    "rdma_fallback",
];

#[test]
fn the_tour_shows_one_service_where_it_is_asked_to_and_names_all_for_one_that_there_is_not() {
    let tour = |arguments: &[&str]| {
        let run = ["run", "--quiet", "--offline", "--bin", "tour", "--"];
        cargo(&[&run, arguments].concat()).output().unwrap()
    };
    let one = tour(&["--service", "nim"]);
    let shown = String::from_utf8(one.stdout).unwrap();
    assert!(one.status.success(), "{shown}{}", String::from_utf8_lossy(&one.stderr));
    assert!(shown.contains("  nim            yes "), "{shown}");
    assert!(!shown.contains("SpanExporter") && !shown.contains("  ai "), "{shown}");

    let none = tour(&["--service", "nym"]);
    assert!(!none.status.success() && none.stdout.is_empty());
    let said = String::from_utf8(none.stderr).unwrap();
    let wanted = format!("no service is called \"nym\"; there are {}\n", SERVICES.join(", "));
    assert_eq!(said, wanted);

    // What is not so fails it, and the service is named.
    let broken = tour(&["--service", "audit", "--set", "audit.settings.spool_bytes=10"]);
    assert!(!broken.status.success());
    let shown = String::from_utf8(broken.stdout).unwrap();
    assert!(
        shown.contains("audit          NOT PROVEN: ") && shown.contains("audit          NO "),
        "{shown}"
    );
    assert!(
        String::from_utf8(broken.stderr)
            .unwrap()
            .ends_with("not proven: audit\n")
    );
}

#[test]
fn the_second_command_is_the_gate_s() {
    assert_eq!(commands()[1], "cargo test --workspace");
    let gate = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(gate.lines().any(|line| line.starts_with("cargo test --workspace")));
}

#[test]
fn the_toml_loads_and_says_what_the_text_says() {
    for block in blocks("toml") {
        let config = Config::builder()
            .embedded("README.md", block)
            .env(&Environment::empty())
            .load()
            .unwrap();
        let telemetry = config.profile("telemetry").unwrap();
        assert_eq!(telemetry.policy.timeout, Some(std::time::Duration::from_secs(10)));
        assert_eq!(telemetry.transport.pool.max_idle_per_host, 4);
        let endpoint: url::Url = config.setting("telemetry", "endpoint").unwrap().unwrap();
        assert_eq!(endpoint.as_str(), "http://127.0.0.1:4318/v1/traces");
    }
}

#[test]
fn every_variable_of_the_text_is_one_that_counts() {
    let mut all = Environment::empty();
    let mut seen = 0;
    for command in commands() {
        // Without `export` a line that sets one would do nothing when it is pasted.
        let set = command.strip_prefix("export ");
        let word = set.unwrap_or(&command).split(' ').next();
        let Some((name, value)) = word.and_then(|word| word.split_once('=')) else {
            continue;
        };
        assert!(set.is_some() || command.contains("cargo run"), "{command}");
        all = all.with(name, value);
        seen += 1;
        for environment in [Environment::empty().with(name, value), all.clone()] {
            let config = Config::builder()
                .file(root().join("config/httputil.toml"))
                .env(&environment)
                .load()
                .unwrap();
            if name == "HTTPUTIL_TELEMETRY__TIMEOUT" {
                assert_eq!(
                    config.origin("telemetry", "timeout").unwrap(),
                    Origin::Variable(name.into())
                );
            }
        }
    }
    assert!(seen >= 4, "{seen} variables");
}
