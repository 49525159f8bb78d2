//! What the watched files hold at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::error::{Human, Origin, Problem};
use crate::files;

/// The files of a configuration, each as it is, or in words why it cannot be read.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    files: BTreeMap<PathBuf, Result<Held, String>>,
    /// Those that the configuration is read from, and whether each is the main file that was read.
    own: BTreeMap<PathBuf, bool>,
}

/// What a file holds. Not `Debug`: it may be a secret.
#[derive(Clone, PartialEq, Eq)]
struct Held(Arc<[u8]>);

impl Held {
    fn of(path: &Path) -> Result<Held, String> {
        let bytes = files::read(path).map_err(|refused| refused.to_string())?;
        Ok(Held(bytes.into()))
    }

    fn ends_line(&self) -> bool {
        self.0.ends_with(b"\n")
    }

    /// Nothing but empty lines and comments.
    fn is_blank(&self) -> bool {
        let is_idle = |line: &[u8]| line.trim_ascii().first().is_none_or(|first| *first == b'#');
        self.0.split(|byte| *byte == b'\n').all(is_idle)
    }

    /// Whether it is no more than how the other one begins. What holds a part of a PEM block could not be used anyway, and that
    /// says more.
    fn begins(&self, other: &Held) -> bool {
        let marks = |mark: &[u8]| self.0.windows(mark.len()).filter(|window| *window == mark).count();
        self.0.len() < other.0.len()
            && other.0.starts_with(&self.0)
            && !self.is_blank()
            && marks(b"-----BEGIN ") == marks(b"-----END ")
    }

    /// The lines that say something, of a configuration.
    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.0.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        lines.filter(|line| line.first().is_some_and(|first| *first != b'#'))
    }

    /// Whether it may be how another text begins that has been changed at its head: of what the other one holds its end is
    /// not there, or a whole table. Where as many lines are there, the last of them was changed.
    fn may_begin_anew(&self, other: &Held) -> bool {
        let is_head = |line: &&[u8]| line.starts_with(b"[") && line.ends_with(b"]");
        let is_other_end = self.lines().last() != other.lines().last();
        let is_shorter = if self.ends_line() {
            self.lines().count() < other.lines().count()
        } else {
            self.0.len() < other.0.len()
        };
        let heads: BTreeSet<&[u8]> = self.lines().filter(is_head).collect();
        is_other_end && is_shorter || other.lines().filter(is_head).any(|head| !heads.contains(head))
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
        let files = self.files.iter().map(|(path, before)| {
            let now = Held::of(path);
            // Kept once, however often it is looked at.
            (path.clone(), if now == *before { before.clone() } else { now })
        });
        Snapshot {
            files: files.collect(),
            own: self.own.clone(),
        }
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> + Clone {
        self.files.keys().map(PathBuf::as_path)
    }

    /// What shows that a file is not whole, by what it held `before`: it would load, and take away what was there.
    pub(super) fn doubts(&self, before: &Snapshot) -> Vec<Problem> {
        self.compare(before, |path, now, before| {
            let is_main = *self.own.get(path)?;
            match now {
                Err(_) if is_main => {
                    Some("is gone or can't be read; the configuration that it held stays in force".to_owned())
                }
                Ok(now) if now.is_blank() && !before.is_blank() => Some(
                    "is empty, and was not; what it held stays in force (to take it away, remove the file or restart)"
                        .to_owned(),
                ),
                Ok(now) if before.ends_line() && !now.ends_line() => Some(
                    "its last line has no end, and had one; it may be half-written, so what it held stays in force"
                        .to_owned(),
                ),
                _ => None,
            }
        })
    }

    /// Files that are no more than how they began `before`, or of a configuration how it may begin now. That may be meant, or
    /// be the half of what is being written: it is to be believed only after it has been so for a while, `waits`.
    pub(super) fn beginnings(&self, before: &Snapshot, waits: Duration) -> Vec<Problem> {
        self.compare(before, |path, now, before| {
            let now = now.as_ref().ok()?;
            let what = if now.begins(before) {
                "holds only the beginning of what it held"
            } else if self.own.contains_key(path) && now.may_begin_anew(before) {
                "lacks the end, or a table, of what it held"
            } else {
                return None;
            };
            Some(format!(
                "{what}, and may be half-written; that stays in force, until the file has been so for {}",
                Human(waits)
            ))
        })
    }

    /// What there is to say of files that could be read `before`.
    fn compare(
        &self,
        before: &Snapshot,
        say: impl Fn(&PathBuf, &Result<Held, String>, &Held) -> Option<String>,
    ) -> Vec<Problem> {
        let said = self.files.iter().filter_map(|(path, now)| {
            let before = before.files.get(path)?.as_ref().ok()?;
            let why = say(path, now, before)?;
            Some(Problem::at(Origin::WholeFile(Arc::new(path.clone())), why))
        });
        said.collect()
    }
}
