//! Whether the profiles that a service names exist: the file is read as the program will read it.
//!
//! A profile counts if the main file or a `httputil.<env>.toml` beside it has its table; `httputil.local.toml` does
//! not count, for it is nowhere but on one desk. Every file read is tracked by the compiler, so that an edit rebuilds.
//! Nothing is read for crates that are not the user's own (from a registry, a git checkout, a vendor folder), and
//! where there is no file there is no check.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use toml::de::DeTable;

use crate::check::{RESERVED, is_name};
use crate::errors::Errors;
use crate::locate::{Found, folders, locate};
use crate::model::Service;
use crate::nearest::nearest;
use crate::toml_words::plain_words;

/// The largest file that is read while compiling.
const LARGEST: u64 = 4 << 20;

/// Where the compiler is at work.
pub(crate) struct Place {
    /// The crate's folder; without it nothing is checked.
    pub(crate) folder: Option<PathBuf>,
    /// `HTTPUTIL_CONFIG`.
    pub(crate) config_var: Option<OsString>,
}

impl Place {
    /// The crate being compiled, as cargo describes it.
    pub(crate) fn of_this_build() -> Place {
        Place {
            folder: std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from),
            config_var: std::env::var_os("HTTPUTIL_CONFIG"),
        }
    }
}

/// Checks every profile that the service names; returns the files that the answer depends on, beside the variable that may
/// name one. Nothing where nothing is ever checked.
pub(crate) fn check(service: &Service, place: &Place, errors: &mut Errors) -> Option<Vec<PathBuf>> {
    let folder = place.folder.as_deref().filter(|folder| folder.is_absolute())?;
    if service.unchecked || is_foreign(folder) {
        return None;
    }
    Some(check_within(folder, service, place, errors))
}

fn check_within(folder: &Path, service: &Service, place: &Place, errors: &mut Errors) -> Vec<PathBuf> {
    let main = match locate(folder, place.config_var.as_deref()) {
        Ok(Found::File(main)) => main,
        Ok(Found::Nothing) => return Vec::new(),
        Err(error) => {
            let message = error.to_string();
            if first_time(&message) {
                errors.at(service.profile.span, message);
            }
            return Vec::new();
        }
    };
    let shown = shown(&main);
    let mut files = environment_files(&main);
    files.insert(0, main);
    let mut known = Vec::new();
    for (index, file) in files.iter().enumerate() {
        known.push(match read(file) {
            Ok(names) => names,
            Err((message, is_readable)) => {
                // All services of the crate read this file; one of them says so, and none is judged by half of it.
                if first_time(&message) {
                    errors.at(
                        service.profile.span,
                        format!("{message}; no profile can be checked until it is mended"),
                    );
                }
                if !is_readable {
                    // Tracking it would be one more error, and this one builds again anyway.
                    files.remove(index);
                }
                return files;
            }
        });
    }
    let known = Known {
        files: &files,
        profiles: known,
    };
    for profile in service.profiles() {
        if profile.valid && !known.has(&profile.name) {
            let name = &profile.name;
            let hint = known.hint(name);
            let all = known.listed();
            errors.at(
                profile.span,
                format!("no profile `{name}` in {shown}; {hint} (it has: {all})"),
            );
        }
    }
    files
}

/// The profiles of each file, the main one first.
struct Known<'a> {
    files: &'a [PathBuf],
    profiles: Vec<Names>,
}

impl Known<'_> {
    fn has(&self, name: &str) -> bool {
        name == "default" || self.profiles.iter().any(|names| names.tables.contains(name))
    }

    /// What to do about a name that no file has.
    fn hint(&self, name: &str) -> String {
        let by_file = || self.files.iter().zip(&self.profiles).enumerate();
        // What is in a file of an environment only is said to be there.
        let whose = |index: usize, file: &Path| match index {
            0 => String::new(),
            _ => format!(" of {}", shown(file)),
        };
        if let Some((index, (file, _))) = by_file().find(|(_, (_, names))| names.lists.contains(name)) {
            return format!("write `[{name}]` instead of `[[{name}]]`{}", whose(index, file));
        }
        let all = by_file().flat_map(|(_, (_, names))| names.tables.iter().map(String::as_str));
        let Some(meant) = nearest(name, all.chain(["default"])) else {
            return format!("add a table `[{name}]` to it");
        };
        let found = by_file().find(|(_, (_, names))| names.tables.contains(meant));
        let whose = found.map(|(index, (file, _))| whose(index, file)).unwrap_or_default();
        format!("did you mean `{meant}`{whose}?")
    }

    /// All names: those of the main file, then of each further file what it adds.
    fn listed(&self) -> String {
        let mut listed = BTreeSet::new();
        let mut parts = Vec::new();
        for (index, (file, names)) in self.files.iter().zip(&self.profiles).enumerate() {
            let mut new: BTreeSet<&str> = names.tables.iter().map(String::as_str).collect();
            if index == 0 {
                new.insert("default");
            }
            new.retain(|name| listed.insert(*name));
            let new = new.into_iter().collect::<Vec<_>>().join(", ");
            match index {
                0 => parts.push(new),
                _ if new.is_empty() => {}
                _ => parts.push(format!("{}: {new}", shown(file))),
            }
        }
        parts.join("; ")
    }
}

/// Whether cargo put this crate here: its user can change neither the crate nor, for it, the file.
fn is_foreign(folder: &Path) -> bool {
    // A git checkout is marked at its root only, so every folder of the project is looked at.
    folder.join(".cargo-checksum.json").exists()
        || folders(folder)
            .into_iter()
            .any(|folder| folder.join(".cargo-ok").exists())
}

/// The `httputil.<env>.toml` files that a run can read beside the main file, sorted.
fn environment_files(main: &Path) -> Vec<PathBuf> {
    let Some(entries) = main.parent().and_then(|folder| folder.read_dir().ok()) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let environment = name.strip_prefix("httputil.")?.strip_suffix(".toml")?;
            is_environment(environment).then(|| main.with_file_name(&name))
        })
        .filter(|file| file != main && file.is_file())
        .collect();
    files.sort();
    files
}

/// Whether `HTTPUTIL_ENV` can be this: other files of the kind are read by no run.
fn is_environment(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(fits)
        && !["local", "schema"].contains(&name)
}

/// The profiles of a file.
type Names = Arc<InFile>;

/// What a file has at its top that may be called as a profile is.
#[derive(Default)]
struct InFile {
    /// The profiles.
    tables: BTreeSet<String>,
    /// What stands there as `[[name]]`, which is none.
    lists: BTreeSet<String>,
}

/// What tells that a file is not the one that was read.
type Stamp = (Option<SystemTime>, u64);

/// The file's profiles, or why they can't be had, and whether at least its bytes could be read.
///
/// A crate may have hundreds of services, and each looks here, so a file is read once. (An editor's process sees many
/// builds, and a file change between them.)
fn read(file: &Path) -> Result<Names, (String, bool)> {
    static READ: Mutex<BTreeMap<PathBuf, (Stamp, Names)>> = Mutex::new(BTreeMap::new());
    let shown = shown(file);
    let unreadable = |reason: &dyn std::fmt::Display| (format!("{shown}: {reason}"), false);
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err(unreadable(&"not a file of at most 4 MiB"));
    }
    let stamp = (metadata.modified().ok(), metadata.len());
    let mut known = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, names)) = known
        .get(file)
        .filter(|(known, _)| *known == stamp && stamp.0.is_some())
    {
        return Ok(Arc::clone(names));
    }
    let bytes = std::fs::read(file).map_err(|error| unreadable(&error))?;
    let text = String::from_utf8(bytes).map_err(|_| (format!("{shown}: not UTF-8"), true))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let table = DeTable::parse(text).map_err(|error| {
        let (line, column) = position(text, error.span().map_or(0, |span| span.start));
        let rest = text
            .get(error.span().map_or(0, |span| span.start)..)
            .unwrap_or_default();
        let reason = plain_words(error.message(), rest);
        (format!("{shown}:{line}:{column}: not TOML: {reason}"), true)
    })?;
    let mut names = InFile::default();
    for (key, value) in table.get_ref() {
        let name = key.get_ref().as_ref();
        let value = value.get_ref();
        if !is_name(name) || RESERVED.contains(&name) {
            continue;
        }
        if value.is_table() {
            names.tables.insert(name.to_owned());
        } else if value.is_array() {
            names.lists.insert(name.to_owned());
        }
    }
    let names = Arc::new(names);
    known.insert(file.to_owned(), (stamp, Arc::clone(&names)));
    Ok(names)
}

/// Line and column, from 1, columns in characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// The path as people in the project call it: `httputil.toml`, `config/httputil.toml`.
fn shown(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match file.parent().and_then(Path::file_name) {
        Some(folder) if folder == "config" => format!("config/{name}"),
        _ => name.into_owned(),
    }
}

/// Whether this is said for the first time in this process, which compiles one crate. (An editor's process lives longer
/// and may not repeat it; its builds do.)
fn first_time(message: &str) -> bool {
    static SAID: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());
    let mut hasher = DefaultHasher::new();
    message.hash(&mut hasher);
    SAID.lock().is_ok_and(|mut said| said.insert(hasher.finish()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::read;

    #[test]
    fn a_file_is_read_once_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("httputil.toml");
        fs::write(&file, "[telemetry]\n").unwrap();
        let first = read(&file).unwrap();
        assert!(first.tables.contains("telemetry"));
        assert!(Arc::ptr_eq(&first, &read(&file).unwrap()), "it was parsed again");
        fs::write(&file, "[telemetry]\n[audit]\n").unwrap();
        assert!(read(&file).unwrap().tables.contains("audit"));
    }
}
