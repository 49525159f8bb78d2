//! What the watched files hold at one moment.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Config;
use crate::error::{Origin, Problem};
use crate::files;

/// The files of a configuration; nothing for one that cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    files: BTreeMap<PathBuf, Option<Held>>,
    /// Those that the configuration is read from, and whether each is the main file that was read.
    own: BTreeMap<PathBuf, bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    hash: u64,
    ends_line: bool,
    /// Nothing but empty lines and comments.
    is_blank: bool,
}

impl Held {
    fn of(path: &Path) -> Option<Held> {
        let bytes = files::read(path).ok()?;
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let is_idle = |line: &[u8]| line.trim_ascii().first().is_none_or(|first| *first == b'#');
        Some(Held {
            hash: hasher.finish(),
            ends_line: bytes.ends_with(b"\n"),
            is_blank: bytes.split(|byte| *byte == b'\n').all(is_idle),
        })
    }
}

impl Snapshot {
    /// Of all files, or only of certificates, keys and revocation lists.
    pub(super) fn of(config: &Config, all: bool) -> Snapshot {
        let main = config.files().first();
        let (own, named) = if all {
            (config.own_files(), config.named_files())
        } else {
            (BTreeSet::new(), config.tls_files())
        };
        let own: BTreeMap<PathBuf, bool> = own
            .into_iter()
            .map(|path| (path.clone(), Some(&path) == main))
            .collect();
        let paths = own.keys().cloned().chain(named);
        let files = paths.map(|path| {
            let held = Held::of(&path);
            (path, held)
        });
        Snapshot {
            files: files.collect(),
            own,
        }
    }

    /// The same files now.
    pub(super) fn again(&self) -> Snapshot {
        let files = self.files.keys().map(|path| (path.clone(), Held::of(path)));
        Snapshot {
            files: files.collect(),
            own: self.own.clone(),
        }
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// What shows that a file is not whole, by what it held `before`: it would load, and take away what was there.
    pub(super) fn doubts(&self, before: &Snapshot) -> Vec<Problem> {
        let own = self.files.iter().filter_map(|(path, now)| {
            let is_main = *self.own.get(path)?;
            let before = before.files.get(path).copied().flatten()?;
            let why = match now {
                None if is_main => "is gone or can't be read; the configuration that it held stays in force",
                Some(now) if now.is_blank && !before.is_blank => {
                    "is empty, and was not; what it held stays in force (to take it away, remove the file or restart)"
                }
                Some(now) if before.ends_line && !now.ends_line => {
                    "its last line has no end, and had one; it may be half-written, so what it held stays in force"
                }
                _ => return None,
            };
            Some(Problem::at(Origin::WholeFile(Arc::new(path.clone())), why))
        });
        own.collect()
    }
}
