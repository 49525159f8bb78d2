//! The file rule: which file configures a program that was started here.
//!
//! Pure with regard to the process: a folder comes in, the main file (or none) goes out. The derive has a copy of this
//! rule; one table of folders in the tests runs against both.

use std::fs::Metadata;
use std::io::{self, ErrorKind};
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
        let inner = if nested_counts { look(&nested) } else { Presence::Absent };
        match (look(&plain), inner) {
            (Presence::There, Presence::There) => return Located::Both(plain, nested),
            (Presence::There | Presence::Unknown, _) => return Located::File(plain),
            (Presence::Absent, Presence::There | Presence::Unknown) => return Located::File(nested),
            (Presence::Absent, Presence::Absent) => {}
        }
    }
    Located::Nothing
}

/// The files that [`locate`] would have come to before it came to an end, had they not been where anyone can write; each with
/// the folder that is open.
pub(crate) fn passed_over(start: &Path, located: &Located) -> Vec<(PathBuf, PathBuf)> {
    let found = match located {
        Located::Nothing => None,
        Located::File(file) | Located::Both(file, _) => Some(file),
    };
    let folders: Vec<&Path> = start.ancestors().collect();
    let last = folders
        .iter()
        .position(|folder| is_there(&folder.join("Cargo.lock")) || is_there(&folder.join(".git")));
    let mut passed = Vec::new();
    for folder in &folders[..=last.unwrap_or(0)] {
        let (plain, nested_in) = (folder.join("httputil.toml"), folder.join("config"));
        let nested = nested_in.join("httputil.toml");
        if *folder != start {
            for (file, inner) in [(&plain, *folder), (&nested, nested_in.as_path())] {
                let open = [*folder, inner].into_iter().find(|folder| anyone_can_write(folder));
                if let Some(open) = open.filter(|_| is_there(file)) {
                    passed.push((file.clone(), open.to_owned()));
                }
            }
        }
        if found.is_some_and(|found| *found == plain || *found == nested) {
            break;
        }
    }
    passed
}

/// Whether a file is at its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    There,
    Absent,
    /// Its folder can't be looked into.
    Unknown,
}

/// A dangling link is there, and what can't be looked at may be: reading it then says what is wrong, instead of silently
/// using another file or none.
fn look(path: &Path) -> Presence {
    presence(path.symlink_metadata())
}

fn presence<T>(looked: io::Result<T>) -> Presence {
    match looked {
        Ok(_) => Presence::There,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Presence::Absent,
        Err(_) => Presence::Unknown,
    }
}

fn is_there(path: &Path) -> bool {
    look(path) == Presence::There
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_absent_is_passed_over() {
        let failed = |kind: ErrorKind| presence::<()>(Err(kind.into()));
        assert_eq!(presence(Ok(())), Presence::There);
        assert_eq!(failed(ErrorKind::NotFound), Presence::Absent);
        assert_eq!(failed(ErrorKind::NotADirectory), Presence::Absent);
        assert_eq!(failed(ErrorKind::PermissionDenied), Presence::Unknown);
        assert_eq!(failed(ErrorKind::Other), Presence::Unknown);
    }
}
