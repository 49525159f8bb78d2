//! What `check` found, for people, for programs, and for GitHub's workflows.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use httputil::{Origin, Problem};
use serde_json::json;

use crate::json::{of_origin, pretty};
use crate::output::Outcome;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line a problem, with the file's line below it.
    Text,
    /// One object.
    Json,
    /// An annotation a problem.
    Github,
}

/// One configuration that was checked.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The main file, if there is one.
    pub(crate) main: Option<PathBuf>,
    /// The files that were read, if all is well.
    pub(crate) files: Vec<PathBuf>,
    /// The environment, if it is not the process's.
    pub(crate) environment: Option<String>,
    pub(crate) profiles: usize,
    pub(crate) problems: Vec<Problem>,
    /// What is no mistake and hardly meant.
    pub(crate) warnings: Vec<Problem>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Report {
    checked: Vec<Checked>,
    /// Each once: what is wrong in the main file is wrong in every environment.
    problems: Vec<Problem>,
    /// The same of warnings, which leave the exit code alone.
    warnings: Vec<Problem>,
}

impl Report {
    pub(crate) fn add(&mut self, checked: Checked) {
        add_new(&mut self.problems, &checked.problems);
        add_new(&mut self.warnings, &checked.warnings);
        self.checked.push(checked);
    }

    /// A file that would have counted, but for where it is.
    pub(crate) fn file_passed_over(&self) -> Option<&Problem> {
        let mut warnings = self.warnings.iter();
        warnings.find(|warning| matches!(warning.origin(), Some(Origin::WholeFile(_))))
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn outcome(&self, format: Format) -> Outcome {
        let text = match format {
            Format::Text => self.text(),
            Format::Json => self.json(),
            Format::Github => self.github(),
        };
        if self.is_sound() {
            Outcome::said(text)
        } else {
            Outcome::mistakes(text)
        }
    }

    fn text(&self) -> String {
        let bold = Style::new().bold();
        let (red, yellow) = (
            AnsiColor::Red.on_default().bold(),
            AnsiColor::Yellow.on_default().bold(),
        );
        let mut text = String::new();
        for (problem, is_warning) in self.all() {
            let line = problem.to_string();
            let origin = problem.origin().map(Origin::to_string).unwrap_or_default();
            let rest = line.strip_prefix(&origin).unwrap_or(&line);
            let colour = if is_warning { yellow } else { red };
            if is_warning {
                let _ = write!(text, "{yellow}warning{yellow:#}: ");
            }
            let _ = writeln!(text, "{bold}{origin}{bold:#}{rest}");
            if let Some(excerpt) = problem.excerpt() {
                let (shown, underline) = excerpt.split_once('\n').unwrap_or((&excerpt, ""));
                let _ = writeln!(text, "  {shown}\n  {colour}{underline}{colour:#}");
            }
        }
        for checked in &self.checked {
            let _ = writeln!(text, "{}: {}", what(checked), verdict(checked));
        }
        text
    }

    /// The mistakes, then the warnings, and whether it is one.
    fn all(&self) -> impl Iterator<Item = (&Problem, bool)> {
        let problems = self.problems.iter().map(|problem| (problem, false));
        problems.chain(self.warnings.iter().map(|warning| (warning, true)))
    }

    fn json(&self) -> String {
        let problem = |(problem, is_warning): (&Problem, bool)| {
            let mut fields = problem.origin().map_or_else(|| json!({}), of_origin);
            fields["severity"] = if is_warning { "warning" } else { "error" }.into();
            fields["message"] = problem.message().into();
            fields["text"] = problem.to_string().into();
            if let Some(found) = problem.found() {
                fields["found"] = found.into();
            }
            if let Some(excerpt) = problem.excerpt() {
                fields["excerpt"] = excerpt.into();
            }
            fields
        };
        let checked = |checked: &Checked| {
            json!({
                "main": checked.main.as_deref().map(shown),
                "files": checked.files.iter().map(|file| shown(file)).collect::<Vec<_>>(),
                "environment": checked.environment,
                "profiles": checked.profiles,
                "sound": checked.problems.is_empty(),
            })
        };
        pretty(&json!({
            "sound": self.is_sound(),
            "checked": self.checked.iter().map(checked).collect::<Vec<_>>(),
            "problems": self.all().filter(|(_, is_warning)| !is_warning).map(problem).collect::<Vec<_>>(),
            "warnings": self.all().filter(|(_, is_warning)| *is_warning).map(problem).collect::<Vec<_>>(),
        }))
    }

    /// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>
    fn github(&self) -> String {
        let mut text = String::new();
        for (problem, is_warning) in self.all() {
            let place = match problem.origin() {
                Some(Origin::File { path, line, column, .. }) => {
                    format!(" file={},line={line},col={column}", property(&of_path(path)))
                }
                Some(Origin::WholeFile(path)) => format!(" file={}", property(&of_path(path))),
                _ => " title=httputil".to_owned(),
            };
            let message = match problem.origin() {
                Some(Origin::File { .. } | Origin::WholeFile(_)) => problem.message().to_owned(),
                _ => problem.to_string(),
            };
            let severity = if is_warning { "warning" } else { "error" };
            let _ = writeln!(text, "::{severity}{place}::{}", data(&message));
        }
        text
    }
}

fn what(checked: &Checked) -> String {
    let files: Vec<String> = checked.files.iter().map(|file| shown(file)).collect();
    let what = match (&checked.main, files.is_empty()) {
        (_, false) => files.join(", "),
        (Some(main), true) => shown(main),
        (None, true) => "variables".to_owned(),
    };
    match &checked.environment {
        Some(environment) => format!("{what} (HTTPUTIL_ENV={environment})"),
        None => what,
    }
}

/// The path from here. What was meant as a URL, by `HTTPUTIL_CONFIG`, may hold a password, and a text any secret.
fn shown(file: &std::path::Path) -> String {
    let text = file.to_string_lossy();
    if text.contains(":/") && text.contains('@') {
        return "HTTPUTIL_CONFIG".to_owned();
    }
    let here = std::env::current_dir().unwrap_or_default();
    of_path(file.strip_prefix(here).unwrap_or(file))
}

/// The path as messages show it.
pub(crate) fn of_path(path: &std::path::Path) -> String {
    Origin::WholeFile(Arc::new(path.to_owned())).to_string()
}

fn verdict(checked: &Checked) -> String {
    let verdict = match (checked.problems.len(), checked.profiles) {
        (0, 1) => "no mistake in 1 profile".to_owned(),
        (0, profiles) => format!("no mistake in {profiles} profiles"),
        (1, _) => "1 mistake".to_owned(),
        (mistakes, _) => format!("{mistakes} mistakes"),
    };
    match checked.warnings.len() {
        0 => verdict,
        1 => format!("{verdict}, 1 warning"),
        warnings => format!("{verdict}, {warnings} warnings"),
    }
}

/// Adds what is not there yet.
fn add_new(list: &mut Vec<Problem>, others: &[Problem]) {
    for problem in others {
        if !list.contains(problem) {
            list.push(problem.clone());
        }
    }
}

/// Escapes as GitHub reads it after `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The same before `::`.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
