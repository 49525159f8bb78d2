//! `httputil init`: a file to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use httputil::Config;

use crate::args::InitArgs;
use crate::output::Outcome;
use crate::report::of_path;

/// The tests load it, with its comments and without.
const STARTER: &str = include_str!("starter.toml");

pub(crate) fn run(args: &InitArgs) -> Result<Outcome, Outcome> {
    let file = if args.path.is_dir() {
        args.path.join("httputil.toml")
    } else if args.path.extension().is_none() {
        // Nobody would read a file of that name.
        return Err(Outcome::failed(format_args!(
            "{}: no such folder; make it first, or name a file such as httputil.toml",
            of_path(&args.path)
        )));
    } else {
        args.path.clone()
    };
    if let Some(other) = other_main_file(&file) {
        return Err(Outcome::failed(format_args!(
            "{} is there already, and beside it {} would make it unclear which counts",
            of_path(&other),
            of_path(&file)
        )));
    }
    write_new(&file, STARTER)?
        .ok_or_else(|| Outcome::failed(format_args!("{} is there already and stays as it is", of_path(&file))))?;
    let schema = file.with_file_name("httputil.schema.json");
    let said = match write_new(&schema, &Config::schema())? {
        Some(()) => format!("wrote {} and {}\n", of_path(&file), of_path(&schema)),
        None => format!(
            "wrote {}; {} was there already and stays as it is\n",
            of_path(&file),
            of_path(&schema)
        ),
    };
    Ok(Outcome::said(said))
}

/// Of `httputil.toml` and `config/httputil.toml` only one may be there.
fn other_main_file(file: &Path) -> Option<PathBuf> {
    let name = file.file_name().filter(|name| *name == "httputil.toml")?;
    let mut others = vec![file.with_file_name("config").join(name)];
    // A relative path may have no parent to look at.
    let file = std::path::absolute(file).ok()?;
    let folder = file.parent()?;
    if folder.file_name().is_some_and(|name| name == "config") {
        others.extend(folder.parent().map(|parent| parent.join(name)));
    }
    others.into_iter().find(|other| other.symlink_metadata().is_ok())
}

/// Writes a file that is not there yet; `None` if it is.
fn write_new(path: &Path, text: &str) -> Result<Option<()>, Outcome> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(Outcome::failed(format_args!("{}: {error}", of_path(path)))),
    }
}
