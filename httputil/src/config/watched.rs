//! The files that a configuration depends on: those that it was read from or would be, and those that it names.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::environment;
use super::excerpt::Source;
use super::loaded::Config;
use super::secrets::Elsewhere;
use super::tree::{Node, Table, Value};

impl Config {
    /// Whether it is the same one, not only one that says the same.
    pub(crate) fn is(&self, other: &Config) -> bool {
        Arc::ptr_eq(&self.loaded, &other.loaded)
    }

    /// Certificates, keys and revocation lists.
    pub(crate) fn tls_files(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        for profile in self.loaded.profiles.values() {
            let tls = &profile.transport.tls;
            let single = [&tls.ca_file, &tls.extra_ca_file, &tls.cert_file, &tls.key_file];
            files.extend(single.into_iter().flatten().chain(&tls.crl_files).cloned());
        }
        files
    }

    /// Whether both were read from the same texts, with the same secrets beside them.
    pub(crate) fn says_as(&self, other: &Config) -> bool {
        let (mine, others) = (&self.loaded, &other.loaded);
        let texts = mine.sources.iter().map(Source::text);
        mine.files == others.files
            && texts.eq(others.sources.iter().map(Source::text))
            && mine.profiles == others.profiles
            && mine.registry == others.registry
    }

    /// The main file and its siblings, whether they are there or not.
    pub(crate) fn own_files(&self) -> BTreeSet<PathBuf> {
        let mut files: BTreeSet<PathBuf> = self.files().iter().cloned().collect();
        if let Some(main) = self.files().first().cloned().or_else(|| self.loaded.source.main_file()) {
            let name = environment::environment_name(self.environment());
            for sibling in name.iter().map(String::as_str).chain(["local"]) {
                files.insert(main.with_file_name(format!("httputil.{sibling}.toml")));
            }
            files.insert(main);
        }
        files
    }

    /// Certificates, keys, revocation lists, and secrets that are kept in files.
    pub(crate) fn named_files(&self) -> BTreeSet<PathBuf> {
        let mut files = self.tls_files();
        for layer in &self.loaded.layers {
            add_secrets(&layer.tables, &mut files);
        }
        files
    }
}

fn add_secrets(table: &Table, files: &mut BTreeSet<PathBuf>) {
    for entry in table.values() {
        add_secrets_of(&entry.node, files);
    }
}

fn add_secrets_of(node: &Node, files: &mut BTreeSet<PathBuf>) {
    match &node.value {
        Value::Elsewhere(Elsewhere::File(path)) => drop(files.insert(PathBuf::from(path))),
        Value::Table(table) => add_secrets(table, files),
        Value::List(nodes) => nodes.iter().for_each(|node| add_secrets_of(node, files)),
        _ => {}
    }
}
