//! Where the configuration file is: the folder rule, and nothing else.
//!
//! ```text
//! /home/ann/shop            Cargo.lock      ← the last folder that is searched
//! /home/ann/shop/config     httputil.toml   ← found here
//! /home/ann/shop/crates/api                 ← start
//! ```
//!
//! In the starting folder and each parent, `httputil.toml`, else `config/httputil.toml`, up to and including the first
//! folder that holds `Cargo.lock` or `.git`; if none does, only the starting folder. A parent folder that anyone can write
//! to is passed over, with all that lies in it: the file decides proxy, CA and credentials. Run time has a twin of this
//! file; one table of folder cases runs against both, so this one uses nothing but `std`.

use std::ffi::OsStr;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const NAME: &str = "httputil.toml";

/// What the search came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No file, which is no mistake.
    Nothing,
    /// This file.
    File(PathBuf),
}

/// Why there is no one answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// Both `httputil.toml` and `config/httputil.toml` are in this folder.
    Both(PathBuf),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error::Both(folder) = self;
        write!(
            f,
            "{}: both {NAME} and config/{NAME} are there; keep one",
            folder.display()
        )
    }
}

/// Finds the file from `start`, an absolute path. `config_var` is the value of `HTTPUTIL_CONFIG`, which counts at
/// compile time only if it is the absolute path of an existing file.
pub(crate) fn locate(start: &Path, config_var: Option<&OsStr>) -> Result<Found, Error> {
    if let Some(path) = config_var.map(Path::new)
        && path.is_absolute()
        && path.is_file()
    {
        return Ok(Found::File(path.to_owned()));
    }
    for folder in folders(start) {
        let (plain, inner) = (folder.join(NAME), folder.join("config").join(NAME));
        // Beside a parent's own permissions those of its `config` count too.
        let inner_counts = folder == start || !anyone_can_write(&folder.join("config"));
        let inner_is = if inner_counts { look(&inner) } else { Presence::Absent };
        match (look(&plain), inner_is) {
            (Presence::There, Presence::There) => return Err(Error::Both(folder.to_owned())),
            (Presence::There | Presence::Unknown, _) => return Ok(Found::File(plain)),
            (Presence::Absent, Presence::There | Presence::Unknown) => return Ok(Found::File(inner)),
            (Presence::Absent, Presence::Absent) => {}
        }
    }
    Ok(Found::Nothing)
}

/// The folders to search, in order: `start` and its parents to the first that bounds a project, else `start` alone.
/// Parents that anyone can write to are left out, so what lies in them neither configures nor bounds.
pub(crate) fn folders(start: &Path) -> Vec<&Path> {
    let mut folders: Vec<&Path> = start
        .ancestors()
        .filter(|folder| *folder == start || !anyone_can_write(folder))
        .collect();
    let bound = folders
        .iter()
        .position(|folder| is_there(&folder.join("Cargo.lock")) || is_there(&folder.join(".git")));
    folders.truncate(bound.unwrap_or(0) + 1);
    folders
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
    match path.symlink_metadata() {
        Ok(_) => Presence::There,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Presence::Absent,
        Err(_) => Presence::Unknown,
    }
}

fn is_there(path: &Path) -> bool {
    look(path) == Presence::There
}

#[cfg(unix)]
fn anyone_can_write(folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o002 != 0)
}

#[cfg(not(unix))]
fn anyone_can_write(_folder: &Path) -> bool {
    false
}
