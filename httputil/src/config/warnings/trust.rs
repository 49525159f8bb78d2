//! Trust that was loosened.

use std::path::Path;

use crate::config::layer::{Layer, name_beside, quoted, wrong_value};
use crate::config::merge::Chain;
use crate::config::names::{DEFAULT, GLOBAL};
use crate::config::problems::Problems;
use crate::config::secrets::Elsewhere;
use crate::config::tree::{Node, Table, Value};
use crate::error::{Problem, ShownPath};
use crate::files::is_open_to_all;
use crate::settings::Profile;

const OPEN: &str = "everybody on this machine can read it; take the right away: chmod o-r";

pub(super) fn within(profile: &Profile, chain: &Chain<'_>, found: &mut Problems) {
    let tls = &profile.transport.tls;
    let mut warn = |key: &str, value: &str, message: &str| {
        if let Some((table, node)) = chain.written(key).next() {
            found.add(|| wrong_value(node.origin.clone(), table, key, value, message));
        }
    };
    if tls.insecure_skip_verify {
        let message = "certificates are NOT verified: anyone on the way can read and change this traffic";
        warn("tls.insecure_skip_verify", "true", message);
    }
    if let Some(file) = tls.key_file.as_deref().filter(|file| is_open_to_all(file)) {
        warn("tls.key_file", &quoted(&file.display().to_string()), OPEN);
    }
    let key = "tls.server_name";
    let table = chain.written(key).next().map(|(table, _)| table);
    if let (Some(name), Some(DEFAULT | GLOBAL)) = (&tls.server_name, table) {
        let message = "every host is asked for this name and verified by it; write it in the profile of that host";
        warn(key, &quoted(name), message);
    }
}

/// Secrets that are kept in files, in force or not.
pub(super) fn open_files(layers: &[Layer], found: &mut Problems) {
    for layer in layers {
        for (name, entry) in &layer.tables {
            if let Some(table) = entry.node.as_table() {
                open_files_of(name, "", table, found);
            }
        }
    }
}

fn open_files_of(name: &str, above: &str, table: &Table, found: &mut Problems) {
    for (key, entry) in table {
        let path = if above.is_empty() {
            key.clone()
        } else {
            format!("{above}.{key}")
        };
        let Node { origin, value } = &entry.node;
        match value {
            Value::Table(table) => open_files_of(name, &path, table, found),
            Value::Elsewhere(Elsewhere::File(file)) if is_open_to_all(Path::new(file)) => found.add(|| {
                let key = name_beside(origin, name, &path);
                Problem::at(
                    origin.clone(),
                    format!("{key}the file {}: {OPEN}", ShownPath(Path::new(file))),
                )
            }),
            _ => {}
        }
    }
}
