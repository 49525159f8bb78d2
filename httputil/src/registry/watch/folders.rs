//! Having the system tell when something happens where the files are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::error::ShownPath;

/// Links that are followed from one path, at most.
const HOPS: usize = 8;

/// The folders that are watched.
pub(super) struct Folders {
    watcher: RecommendedWatcher,
    /// Which folder it was that was watched at a path.
    known: BTreeMap<PathBuf, Folder>,
}

/// What tells a folder from another one at the same path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Folder {
    number: u64,
    created: Option<SystemTime>,
}

impl Folder {
    /// The one that is there now.
    fn at(path: &Path) -> Option<Folder> {
        let metadata = path.metadata().ok()?;
        #[cfg(unix)]
        let number = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let number = 0;
        Some(Folder {
            number,
            created: metadata.created().ok(),
        })
    }
}

impl Folders {
    /// `wake` is called from a thread of the watcher's when something may have changed.
    pub(super) fn new(wake: impl Fn() + Send + 'static) -> notify::Result<Folders> {
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let is_change = event.map_or(true, |event| match event.kind {
                // Our own reading, for one.
                EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
                _ => true,
            });
            if is_change {
                wake();
            }
        });
        Ok(Folders {
            watcher: watcher?,
            known: BTreeMap::new(),
        })
    }

    /// Watches where these files are, and where the links on the way to them lie. Said again it is the same, but for a folder
    /// that has been made anew since, which is another one.
    pub(super) fn watch<'a>(&mut self, files: &(impl Iterator<Item = &'a Path> + Clone)) {
        // Below a folder that is watched only now, more may have been made just before.
        while self.watch_what_is_there(files.clone()) {}
    }

    /// Whether there was anything to watch that was not watched yet.
    fn watch_what_is_there<'a>(&mut self, files: impl Iterator<Item = &'a Path>) -> bool {
        let mut folders = BTreeSet::new();
        for file in files {
            add(file, &mut folders);
        }
        let mut is_more = false;
        for folder in folders {
            // One that is not there is found when its parent tells of it.
            let Some(found) = Folder::at(&folder) else {
                self.known.remove(&folder);
                continue;
            };
            if self.known.get(&folder) == Some(&found) {
                continue;
            }
            match self.watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.known.insert(folder, found);
                    is_more = true;
                }
                Err(error) => tracing::debug!(folder = %ShownPath(&folder), "not watched: {error}"),
            }
        }
        is_more
    }
}

fn add(file: &Path, folders: &mut BTreeSet<PathBuf>) {
    let Ok(mut path) = std::path::absolute(file) else {
        return;
    };
    for _ in 0..HOPS {
        if let Some(folder) = path.parent() {
            folders.insert(folder.to_owned());
            // A folder may be a link itself, and swapped; or be made anew, with those above it: the nearest that is there tells.
            folders.extend(
                folder
                    .ancestors()
                    .skip(1)
                    .find(|above| above.is_dir())
                    .map(Path::to_owned),
            );
            folders.extend(folder.canonicalize());
        }
        match path.read_link() {
            Ok(target) => path = path.with_file_name("").join(target),
            Err(_) => return,
        }
    }
}
