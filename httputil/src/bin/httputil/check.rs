//! `httputil check`: every mistake, of every environment.

use std::path::{Path, PathBuf};

use httputil::Problem;

use crate::args::CheckArgs;
use crate::output::Outcome;
use crate::report::{Checked, Report, of_path};
use crate::source::SourceArgs;

pub(crate) fn run(args: &CheckArgs, source: &SourceArgs) -> Result<Outcome, Outcome> {
    if let (Some(config), [_, ..]) = (&source.config, args.files.as_slice()) {
        let config = of_path(config);
        let why = format_args!("--config {config} beside files that are named to be checked; name it as one of them");
        return Err(Outcome::failed(why));
    }
    let (missing, there): (Vec<&PathBuf>, Vec<&PathBuf>) =
        (args.files.iter()).partition(|file| file.symlink_metadata().is_err());
    let given: Vec<&Path> = if args.files.is_empty() {
        source.config.as_deref().into_iter().collect()
    } else {
        there.into_iter().map(PathBuf::as_path).collect()
    };
    let mut report = Report::default();
    if args.files.is_empty() && given.is_empty() {
        let main = source.builder(None, source.env.as_deref())?.main_file();
        for environment in environments(main.as_deref(), source) {
            check(None, main.as_deref(), environment.as_deref(), source, &mut report)?;
        }
        if main.is_none() && report.is_sound() && !is_switched_off() {
            let none = "no httputil.toml and no config/httputil.toml here or in the folders above, to the project's root; \
                        `httputil init` writes one";
            let passed_over = report.file_passed_over().map(ToString::to_string);
            return Err(Outcome::failed(passed_over.as_deref().unwrap_or(none)));
        }
    }
    for file in given {
        match of_environment(file) {
            Some((main, environment)) => check(Some(&main), None, environment.as_deref(), source, &mut report)?,
            None => {
                for environment in environments(Some(file), source) {
                    check(Some(file), None, environment.as_deref(), source, &mut report)?;
                }
            }
        }
    }
    // Told beside what is wrong with the others; alone it is nothing that could be checked.
    if let (Some(file), true) = (missing.first(), report.is_sound()) {
        return Err(Outcome::failed(format_args!("{}: no such file", of_path(file))));
    }
    for file in missing {
        check(Some(file), None, None, source, &mut report)?;
    }
    Ok(report.outcome(args.format))
}

/// Checks one configuration: with this main file, or the one that is found.
fn check(
    file: Option<&Path>,
    found: Option<&Path>,
    environment: Option<&str>,
    source: &SourceArgs,
    report: &mut Report,
) -> Result<(), Outcome> {
    let loaded = source.builder(file, environment)?.load();
    let (problems, warnings): (Vec<Problem>, Vec<Problem>) = match &loaded {
        Ok(config) => (Vec::new(), config.warnings()),
        Err(error) => (error.problems().to_vec(), Vec::new()),
    };
    report.add(Checked {
        main: file.or(found).map(Path::to_owned),
        files: loaded
            .as_ref()
            .map(|config| config.files().to_vec())
            .unwrap_or_default(),
        environment: environment.map(str::to_owned),
        profiles: loaded.map_or(0, |config| config.profiles().len()),
        problems,
        warnings,
    });
    Ok(())
}

/// The environments in which a main file is checked: as the process has it, and each that has a file beside it.
fn environments(main: Option<&Path>, source: &SourceArgs) -> Vec<Option<String>> {
    if source.env.is_some() {
        return vec![source.env.clone()];
    }
    let folder = match main.and_then(Path::parent) {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let entries = main.and_then(|_| folder.read_dir().ok()).into_iter().flatten();
    let mut environments: Vec<String> = entries
        .filter_map(|entry| environment_of(&entry.ok()?.path()))
        .filter(|environment| environment != "local")
        .collect();
    environments.sort();
    std::iter::once(None)
        .chain(environments.into_iter().map(Some))
        .collect()
}

/// The main file beside the file of an environment, and the environment.
fn of_environment(file: &Path) -> Option<(PathBuf, Option<String>)> {
    let environment = environment_of(file)?;
    let main = file.with_file_name("httputil.toml");
    main.is_file()
        .then(|| (main, Some(environment).filter(|name| name != "local")))
}

/// The `<env>` of `httputil.<env>.toml`, if it can be one.
fn environment_of(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_str()?;
    let environment = name.strip_prefix("httputil.")?.strip_suffix(".toml")?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    let begins = environment.starts_with(|first: char| first.is_ascii_lowercase());
    (begins && environment.bytes().all(fits) && environment != "schema").then(|| environment.to_owned())
}

/// Whether the process is told to have no file.
fn is_switched_off() -> bool {
    std::env::var_os("HTTPUTIL_CONFIG").is_some_and(|path| path == "none")
}
