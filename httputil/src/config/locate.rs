//! The file rule: which file configures a program that was started here.
//!
//! Pure with regard to the process: a folder comes in, the main file (or none) goes out. The derive has a copy of this
//! rule; one table of folders in the tests runs against both.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Located {
    /// No file; the defaults and the variables alone count.
    Nothing,
    /// The main file.
    File(PathBuf),
    /// Two files in one folder, so that it's unclear which is meant.
    Both(PathBuf, PathBuf),
}

/// In `start` and each parent, `httputil.toml`, else `config/httputil.toml`, up to and including the first folder that
/// holds `Cargo.lock` or `.git`; if none does, only in `start`. A parent that anyone can write to is passed over, its
/// markers too: the file decides proxy, authorities and credentials.
pub(crate) fn locate(start: &Path) -> Located {
    let folders: Vec<&Path> = start
        .ancestors()
        .filter(|folder| *folder == start || !anyone_can_write(folder))
        .collect();
    let last = folders
        .iter()
        .position(|folder| is_there(&folder.join("Cargo.lock")) || is_there(&folder.join(".git")));
    for folder in &folders[..=last.unwrap_or(0)] {
        let plain = folder.join("httputil.toml");
        let nested_in = folder.join("config");
        let nested = nested_in.join("httputil.toml");
        let nested_counts = *folder == start || !anyone_can_write(&nested_in);
        match (is_there(&plain), nested_counts && is_there(&nested)) {
            (true, true) => return Located::Both(plain, nested),
            (true, false) => return Located::File(plain),
            (false, true) => return Located::File(nested),
            (false, false) => {}
        }
    }
    Located::Nothing
}

/// A dangling link is there: reading it then says what is wrong, instead of silently using another file.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn anyone_can_write(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|metadata| world_writable(&metadata))
}

#[cfg(unix)]
fn world_writable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o002 != 0
}

#[cfg(not(unix))]
fn world_writable(_: &Metadata) -> bool {
    false
}
