//! Variables, and values set in code, that a file is stronger than: a key is looked up table by table, and only then layer by
//! layer, so `HTTPUTIL_DEFAULT__TIMEOUT` says nothing to a profile with a time-out of its own.

use crate::config::Config;
use crate::config::layer::{LayerKind, name_beside};
use crate::config::names::{DEFAULT, GLOBAL, REGISTRY};
use crate::config::problems::Problems;
use crate::config::tree::{Node, Table, Value};
use crate::error::{Origin, Problem};

/// Profiles beyond these are counted only.
const MANY: usize = 3;

pub(super) fn between(config: &Config, found: &mut Problems) {
    let overrides = config
        .loaded
        .layers
        .iter()
        .filter(|layer| layer.kind != LayerKind::File);
    for layer in overrides {
        for (table, entry) in layer.tables.iter().filter(|(table, _)| *table != REGISTRY) {
            let mut leaves = Vec::new();
            if let Some(below) = entry.node.as_table() {
                collect(below, "", &mut leaves);
            }
            for (path, node) in leaves {
                warn_of(config, layer.kind, table, &path, node, found);
            }
        }
    }
}

fn collect<'a>(table: &'a Table, above: &str, leaves: &mut Vec<(String, &'a Node)>) {
    for (key, entry) in table {
        let path = if above.is_empty() {
            key.clone()
        } else {
            format!("{above}.{key}")
        };
        match &entry.node.value {
            Value::Table(below) => collect(below, &path, leaves),
            _ => leaves.push((path, &entry.node)),
        }
    }
}

fn warn_of(config: &Config, kind: LayerKind, table: &str, path: &str, node: &Node, found: &mut Problems) {
    let (mut deaf, mut hearing, mut stronger) = (Vec::new(), 0, None);
    for (name, ancestors) in &config.loaded.lineages {
        let hears =
            table == GLOBAL || table == DEFAULT || table == name || ancestors.iter().any(|above| above == table);
        let Some(chain) = config.chain(name).ok().filter(|_| hears) else {
            continue;
        };
        match chain.written(path).next() {
            Some((of, first)) if matches!(first.origin, Origin::File { .. }) => {
                deaf.push(name.as_str());
                stronger.get_or_insert((of, first.origin.clone()));
            }
            first => hearing += usize::from(first.is_some_and(|(_, first)| std::ptr::eq(first, node))),
        }
    }
    let Some((of, origin)) = stronger else { return };
    found.add(|| {
        let key = name_beside(&node.origin, table, path);
        let message = if of == GLOBAL {
            format!("has no effect: global.{path} ({origin}) overrides every profile")
        } else {
            let effect = if hearing == 0 {
                "has no effect"
            } else {
                "does not reach every profile"
            };
            let which = deaf[0];
            let names = match deaf.len() {
                more if more > MANY => format!("{} and {} more have", deaf[..MANY].join(", "), more - MANY),
                1 => format!("{which} has"),
                _ => format!("{} have", deaf.join(", ")),
            };
            format!(
                "{effect}: {names} a value of more weight ({of}.{path}, {origin}); set {} for that",
                kind.spell(which, path)
            )
        };
        Problem::at(node.origin.clone(), format!("{key}{message}"))
    });
}
