//! Whoever copies a service is told what it needs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Which all of them use.
const COMMON: [&str; 5] = ["httputil", "httputil-tests", "reqwest", "serde", "tokio"];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The crates of this package, as its manifest calls them.
fn crates() -> Vec<String> {
    let manifest = read("Cargo.toml");
    let (_, dependencies) = manifest.split_once("\n[dependencies]\n").unwrap();
    let lines = dependencies.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter(|line| !line.starts_with('#'));
    let names = names.filter_map(|line| Some(line.split_once(['.', ' ', '='])?.0.to_owned()));
    names.collect()
}

/// What a crate is called in code.
fn path(name: &str) -> String {
    let name = if name == "md-5" { "md5" } else { name };
    format!("{}::", name.replace('-', "_"))
}

/// Whether a line of code names the crate, and no module of the same name.
fn names(line: &str, name: &str) -> bool {
    let path = path(name);
    line.match_indices(&path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || before == '_' || before == ':')
    })
}

/// A row of the table for a module, as its code has it.
fn row(module: &str, crates: &[String]) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(module);
    let mut used = BTreeSet::new();
    let mut with_s3 = false;
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            with_s3 |= line.contains("crate::s3");
            used.extend(crates.iter().filter(|name| names(line, name)).map(String::as_str));
        }
    }
    let own = used.into_iter().filter(|name| !COMMON.contains(name));
    let used: Vec<String> = own.map(|name| format!("`{name}`")).collect();
    let and_s3 = if with_s3 { ", and `s3`" } else { "" };
    format!("//! | `{module}`{and_s3} | {} |", used.join(", "))
}

#[test]
fn the_crates_that_each_module_needs_are_told() {
    let (library, crates) = (read("src/lib.rs"), crates());
    for module in [
        "ai",
        "audit",
        "events",
        "mtls",
        "nim",
        "object_lambda",
        "rdma_fallback",
        "replication",
        "s3",
        "s3_migration",
        "telemetry",
    ] {
        let row = row(module, &crates);
        assert!(
            library.contains(&row),
            "the table of examples/src/lib.rs lacks this row:\n{row}"
        );
    }
}
