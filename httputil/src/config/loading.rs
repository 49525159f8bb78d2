//! Collects the layers: finds and reads the files, takes variables and values in code in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::builder::{ConfigBuilder, Main};
use super::environment::{self, Known};
use super::excerpt::Source;
use super::layer::{Layer, LayerKind, quoted, shown_key};
use super::locate::{Located, locate, passed_over};
use super::names::{self, DEFAULT};
use super::overrides::{Override, into_tables};
use super::problems::Problems;
use super::{file, suggest, toml_text, walk};
use crate::error::{Origin, Problem, ShownPath};
use crate::files;

/// Environments that need no file of their own, though others have one.
const USUAL: [&str; 4] = ["development", "test", "staging", "production"];

/// A configuration on its way.
pub(super) struct Loading<'a> {
    builder: &'a ConfigBuilder,
    pub(super) problems: Problems,
    pub(super) layers: Vec<Layer>,
    pub(super) files: Vec<PathBuf>,
    /// The texts of the layers, to show lines of.
    pub(super) sources: Vec<Source>,
    /// Files that would have counted, but for where they are.
    pub(super) passed_over: Vec<Problem>,
    /// How many of the layers are of files that count in every environment: what was built in, and the main file.
    base: usize,
    /// Whether every file could be read, so that a profile that is in none of them is surely missing.
    pub(super) complete: bool,
}

impl<'a> Loading<'a> {
    pub(super) fn of(builder: &'a ConfigBuilder) -> Loading<'a> {
        Loading {
            builder,
            problems: Problems::default(),
            layers: Vec::new(),
            files: Vec::new(),
            sources: Vec::new(),
            passed_over: Vec::new(),
            base: 0,
            complete: true,
        }
    }

    /// `HTTPUTIL_ENV`, if it is set to a possible name.
    pub(super) fn environment_name(&mut self) -> Option<String> {
        let name = environment::environment_name(&self.builder.environment)?;
        match names::refuse_environment(&name) {
            None => Some(name),
            Some(why) => {
                self.refuse_environment(&name, why);
                None
            }
        }
    }

    fn refuse_environment(&mut self, name: &str, why: &str) {
        let origin = Origin::Variable(Arc::from("HTTPUTIL_ENV"));
        self.problems.add(|| Problem::with_value(origin, "", quoted(name), why));
    }

    pub(super) fn read_files(&mut self, environment: Option<&str>) {
        for (name, text) in &self.builder.embedded {
            self.add_text(text, &Arc::new(PathBuf::from(name)), None);
        }
        let Some((main, named)) = self.main_file() else { return };
        if named {
            self.add_named_file(&main);
        } else {
            self.add_file(&main);
        }
        self.base = self.layers.len();
        let folder = match main.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let sibling =
            |name: &str| Some(main.with_file_name(format!("httputil.{name}.toml"))).filter(|path| *path != main);
        if let Some(name) = environment {
            match sibling(name) {
                Some(path) if is_there(&path) => self.add_file(&path),
                _ => self.expect_usual(name, &main, folder),
            }
        }
        if let Some(local) = sibling("local").filter(|path| is_there(path)) {
            self.add_file(&local);
        }
    }

    /// The path of the main file and whether the variable names it, or nothing if there is none or it is unclear which it
    /// is.
    pub(super) fn main_file(&mut self) -> Option<(PathBuf, bool)> {
        let start = match &self.builder.main {
            Main::Nowhere => return None,
            Main::Exactly(path) => return Some((path.clone(), false)),
            Main::SearchFrom(start) => start,
        };
        match environment::config_file(&self.builder.environment) {
            Some(none) if none == "none" => return None,
            Some(path) => return Some((start.join(path), true)),
            None => {}
        }
        // Parents are found by taking the path apart, so it must have all of them.
        let start = std::path::absolute(start).unwrap_or_else(|_| start.clone());
        let located = locate(&start);
        for (file, folder) in passed_over(&start, &located) {
            let message = format!(
                "passed over, since everybody can write to {}; take the right away (chmod o-w), or name the file in \
                 HTTPUTIL_CONFIG",
                ShownPath(&folder)
            );
            let problem = Problem::at(Origin::WholeFile(self.shown(&file)), message);
            if !self.passed_over.contains(&problem) {
                self.passed_over.push(problem);
            }
        }
        match located {
            Located::Nothing => None,
            Located::File(path) => Some((path, false)),
            Located::Both(plain, nested) => {
                let nested = self.shown(&nested);
                let message = format!(
                    "{} is there as well, so it's unclear which counts; remove one",
                    ShownPath(&nested)
                );
                let origin = Origin::WholeFile(self.shown(&plain));
                self.problems.add(|| Problem::at(origin, message));
                self.complete = false;
                None
            }
        }
    }

    /// Where other environments have files and this one has none, only a usual name is believed.
    fn expect_usual(&mut self, name: &str, main: &Path, folder: &Path) {
        if USUAL.contains(&name) {
            return;
        }
        let files = folder.read_dir().into_iter().flatten().filter_map(Result::ok);
        let others: BTreeSet<String> = files
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|file| main.file_name().is_none_or(|main| main != file.as_str()))
            .filter_map(|file| Some(file.strip_prefix("httputil.")?.strip_suffix(".toml")?.to_owned()))
            .filter(|other| names::refuse_environment(other).is_none())
            .collect();
        if others.is_empty() {
            return;
        }
        let known = || others.iter().map(String::as_str).chain(USUAL);
        // `prod` is short for `production`, and no spelling of it.
        let short = || known().find(|other| name.len() > 1 && other.starts_with(name));
        let main = self.shown(main);
        let near = suggest::nearest(name, known()).or_else(short);
        let hint = near.map_or_else(
            || {
                let others: Vec<&str> = others.iter().map(String::as_str).collect();
                format!("; there are files for {}", others.join(", "))
            },
            |near| format!("; did you mean {near}?"),
        );
        self.refuse_environment(
            name,
            &format!("there is no httputil.{name}.toml beside {}{hint}", ShownPath(&main)),
        );
    }

    fn add_file(&mut self, path: &Path) {
        self.read_file(path, |problem| problem);
    }

    /// Adds the file that `HTTPUTIL_CONFIG` names; that it can't be read is a mistake of the variable.
    fn add_named_file(&mut self, path: &Path) {
        let named = environment::config_file(&self.builder.environment);
        let is_text = named.is_some_and(|named| files::is_no_path(&named.to_string_lossy()));
        self.read_file(path, |problem| {
            let value = path.to_string_lossy();
            let message = if value.contains("://") || value.contains(":/") && value.contains('@') {
                // A URL may hold a password.
                "expected the path of a file, found a URL".to_owned()
            } else if is_text {
                "expected the path of a file, found a text".to_owned()
            } else {
                problem.to_string()
            };
            Problem::at(Origin::Variable(Arc::from("HTTPUTIL_CONFIG")), message)
        });
    }

    fn read_file(&mut self, path: &Path, problem: impl FnOnce(Problem) -> Problem) {
        let shown = self.shown(path);
        match file::read(path, &shown) {
            Ok(text) => {
                self.files.push(path.to_owned());
                self.add_text(&text, &shown, path.parent());
            }
            Err(refused) => {
                self.complete = false;
                self.problems.add(|| problem(refused));
            }
        }
    }

    fn add_text(&mut self, text: &str, shown: &Arc<PathBuf>, folder: Option<&Path>) {
        self.sources.push(Source::new(Arc::clone(shown), folder, text));
        match toml_text::parse_document(text, shown) {
            Ok(tables) => {
                self.layers.push(Layer {
                    kind: LayerKind::File,
                    folder: folder.map(Path::to_owned),
                    tables,
                });
            }
            Err(broken) => {
                self.complete = false;
                for problem in broken.problems {
                    self.problems.add(|| problem);
                }
                if let Some(tables) = broken.rest {
                    let (kind, folder) = (LayerKind::File, folder.map(Path::to_owned));
                    // What it lacks may be in the lines that are wrong, so that nothing but its keys is looked at.
                    walk::check(&mut Layer { kind, folder, tables }, &mut self.problems);
                }
            }
        }
    }

    fn shown(&self, path: &Path) -> Arc<PathBuf> {
        let below = self
            .builder
            .shown_from
            .as_ref()
            .and_then(|folder| path.strip_prefix(folder).ok())
            // The folder itself.
            .map(|below| if below == Path::new("") { Path::new(".") } else { below });
        Arc::new(below.unwrap_or(path).to_owned())
    }

    /// The profiles that the files make, and `default`.
    pub(super) fn profile_names(&self) -> BTreeSet<String> {
        let names = self.layers.iter().flat_map(|layer| layer.tables.keys()).cloned();
        names
            .filter(|name| !names::special(name))
            .chain([DEFAULT.to_owned()])
            .collect()
    }

    /// Profiles that only a file for an environment makes, and whose name is nearly that of another one: what such a file
    /// says of `[telemetri]` would not reach `[telemetry]`. No mistakes, since there may be such a profile.
    pub(super) fn misspelt_profiles(&self) -> Vec<Problem> {
        let (base, beside) = self.layers.split_at(self.base.min(self.layers.len()));
        let known: BTreeSet<&str> = base
            .iter()
            .flat_map(|layer| layer.tables.keys())
            .map(String::as_str)
            .collect();
        // `s3` and `s4` are two.
        let letters = |name: &str| name.replace(|next: char| next.is_ascii_digit(), "");
        let mut found = Vec::new();
        for (name, entry) in beside
            .iter()
            .filter(|layer| layer.kind == LayerKind::File)
            .flat_map(|layer| &layer.tables)
        {
            // Of so few letters each makes another name.
            if known.contains(name.as_str()) || names::special(name) || name.len() < 4 {
                continue;
            }
            let near = suggest::nearest(name, known.iter().copied()).filter(|near| letters(near) != letters(name));
            if let Some(near) = near.filter(|near| !names::special(near)) {
                let message = format!(
                    "[{name}]: a profile that only this file makes; did you mean {near}? (if not, write [{name}] in the \
                     main file, too)"
                );
                found.push(Problem::at(entry.key.clone(), message));
            }
        }
        found
    }

    pub(super) fn add_overrides(&mut self, profiles: &BTreeSet<String>) {
        let known = Known {
            profiles,
            complete: self.complete,
        };
        let variables = environment::tables(&self.builder.environment, &known, &mut self.problems);
        let mut overrides = Vec::new();
        for (key, value) in &self.builder.values {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            let origin = Origin::Code(Arc::from(key.as_str()));
            if path.len() < 2 {
                self.problems
                    .add(|| Problem::at(origin, "expected a profile and a key, such as \"telemetry.timeout\""));
            } else if known.has(&path[0]) {
                overrides.push(Override {
                    path,
                    origin,
                    value: value.clone(),
                });
            } else {
                let names = profiles.iter().map(String::as_str);
                let hint = names::did_you_mean(&path[0], names.chain([names::GLOBAL, names::REGISTRY]));
                self.problems
                    .add(|| Problem::at(origin, format!("no profile is called {}{hint}", shown_key(&path[0]))));
            }
        }
        let code = into_tables(overrides, &mut self.problems);
        for (kind, (tables, aside)) in [(LayerKind::Variables, variables), (LayerKind::Code, code)] {
            let checked = |tables, problems: &mut Problems| {
                let folder = None;
                let mut layer = Layer { kind, folder, tables };
                walk::check(&mut layer, problems);
                layer
            };
            let mut layer = checked(tables, &mut self.problems);
            for tables in aside {
                checked(tables, &mut self.problems);
            }
            // Where a file could not be read, a value for a profile of that file is sound, but makes no profile.
            layer
                .tables
                .retain(|name, _| profiles.contains(name) || names::special(name));
            self.layers.push(layer);
        }
    }
}

/// A dangling link is there, and reading it says so.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
