//! What annotated structs cost the build of their crate: 200 services in one crate, and in another the same structs without
//! the derive. Prints a row of Markdown; more than 5 ms a struct fails.
//!
//! Both are checked in turns, by the compiler as cargo runs it for a check, and the fastest of each counts, in the
//! processors' time where the system tells it. What else the machine does only ever adds to that, so where the bound is not
//! held after a few rounds, there are more of them before it fails.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const STRUCTS: u32 = 200;
const MOST: Duration = Duration::from_millis(5);

/// Rounds in any case, so that neither crate is measured in a bad moment only.
const FEWEST_ROUNDS: usize = 5;
const MOST_ROUNDS: usize = 25;

/// A service with one field of each kind; without the derive, its settings are plain fields.
fn source(is_derived: bool) -> String {
    let mut text = "//! Services.\n".to_owned();
    for number in 0..STRUCTS {
        let (derive, setting, default) = if is_derived {
            (
                "#[derive(httputil::PooledClient)]\n#[pooled_client(profile = \"telemetry\")]\n",
                "#[pooled_client(setting)]\n",
                "#[pooled_client(default)]\n",
            )
        } else {
            ("", "", "")
        };
        let _ = write!(
            text,
            "/// A service.\n{derive}pub struct Service{number} {{\n\
             /// Its client.\npub client: httputil::Client,\n\
             /// Where to.\n{setting}pub endpoint: String,\n\
             /// How many at once.\n{setting}pub batch: Option<usize>,\n\
             /// How many so far.\n{default}pub exported: u64,\n\
             /// Who sends.\npub resource: String,\n}}\n"
        );
    }
    text
}

/// A workspace of the two crates.
fn write(root: &Path) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a member");
    let put = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
    };
    put(
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"derived\", \"plain\"]\n",
    );
    fs::copy(workspace.join("Cargo.lock"), root.join("Cargo.lock")).expect("the lock file");
    fs::copy(workspace.join("config/httputil.toml"), root.join("httputil.toml")).expect("the profiles");
    for (name, is_derived) in [("derived", true), ("plain", false)] {
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\nhttputil = {{ path = '{}' }}\n",
            workspace.join("httputil").display()
        );
        put(&format!("{name}/Cargo.toml"), &manifest);
        put(&format!("{name}/src/lib.rs"), &source(is_derived));
    }
}

/// How long it takes to check a crate whose dependencies have been.
fn check(root: &Path, name: &str) -> Duration {
    let source = root.join(name).join("src/lib.rs");
    let text = fs::read(&source).expect("the source");
    fs::write(&source, text).expect("a newer one");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["check", "--offline", "--quiet", "--package", name])
        .current_dir(root)
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("derive-projects"),
        )
        .env("CARGO_INCREMENTAL", "0")
        .env_remove("RUSTFLAGS")
        .env_remove("HTTPUTIL_CONFIG");
    let (began, spent) = (Instant::now(), spent_by_children());
    let status = cargo.status().expect("cargo can be run");
    assert!(status.success(), "{name} does not build");
    match (spent_by_children(), spent) {
        (Some(after), Some(before)) => after.saturating_sub(before),
        _ => began.elapsed(),
    }
}

/// The processors' time of the processes that were started here and have ended, in hundredths of a second: `proc(5)`.
fn spent_by_children() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(13)?.parse::<u64>().ok()? + fields.get(14)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(10 * ticks))
}

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path());
    // The dependencies, once.
    check(folder.path(), "derived");
    check(folder.path(), "plain");
    let (mut derived, mut plain, mut each) = (Duration::MAX, Duration::MAX, Duration::MAX);
    for round in 1..=MOST_ROUNDS {
        plain = plain.min(check(folder.path(), "plain"));
        derived = derived.min(check(folder.path(), "derived"));
        each = derived.saturating_sub(plain) / STRUCTS;
        if round >= FEWEST_ROUNDS && each <= MOST {
            break;
        }
    }
    println!("| {STRUCTS} structs | derived | plain | a struct |\n|---|---|---|---|");
    println!("| `cargo check` | {derived:.2?} | {plain:.2?} | {each:.2?} |");
    assert!(each <= MOST, "an annotated struct costs {each:.2?}, more than {MOST:?}");
}
