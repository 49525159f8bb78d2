//! Mistakes that show only when a client is made, with the place of the key that they are about.
//!
//! Whoever makes a client knows settings and no configuration: its problems begin with the key, `telemetry.auth.bearer: …`
//! or, of a file that a key names, `tls.ca_file: …`.

use super::layer::name_beside;
use super::loaded::Config;
use super::schema::schema;
use crate::error::{Error, Origin, Problem, ShownPath};

impl Config {
    /// The error with the places of the keys that it is about; `profile` is whose client could not be made.
    pub(crate) fn placed(&self, profile: &str, error: Error) -> Error {
        self.with_places(profile, error, |mut problem, table| {
            // The place says of a value that was inherited only whose it is.
            if table != profile {
                problem = problem.and(&format!(" (profile {profile})"));
            }
            problem
        })
    }

    /// The same, for what is told of many profiles at once: that they inherit the same mistake need not be said of each.
    pub(crate) fn placed_of_many(&self, profile: &str, error: Error) -> Error {
        self.with_places(profile, error, |problem, _| problem)
    }

    fn with_places(&self, profile: &str, mut error: Error, finish: impl Fn(Problem, &str) -> Problem) -> Error {
        let placed = error
            .problems()
            .iter()
            .map(|problem| match self.place(profile, problem) {
                Some((problem, table)) => finish(problem, &table),
                None => problem.clone(),
            });
        let placed = self.underlined(placed.collect());
        error.problems_mut().clone_from_slice(&placed);
        error
    }

    /// The problem at the place of its key, and the table of that, if it has none and the key is written.
    pub(super) fn place(&self, profile: &str, problem: &Problem) -> Option<(Problem, String)> {
        let (key, why) = problem.message().split_once(": ")?;
        let key = key
            .strip_prefix(profile)
            .and_then(|key| key.strip_prefix('.'))
            .unwrap_or(key);
        let why = match problem.origin() {
            None => why.to_owned(),
            Some(Origin::WholeFile(path)) => format!("the file {}: {why}", ShownPath(path)),
            Some(_) => return None,
        };
        if schema().key(key).is_none() && !key.starts_with("headers.") {
            return None;
        }
        let chain = self.chain(profile).ok()?;
        let (table, node) = chain.written(key).next()?;
        let name = name_beside(&node.origin, table, key);
        Some((
            Problem::at(node.origin.clone(), format!("{name}{why}")),
            table.to_owned(),
        ))
    }
}
