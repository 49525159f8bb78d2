//! Collects what is wrong, so that everything is said at once.

use crate::error::{Error, Origin, Problem};

/// Nobody reads more, and a file of garbage must not make a message of the same size.
const MOST: usize = 200;

/// The problems found so far.
#[derive(Default)]
pub(crate) struct Problems {
    list: Vec<Problem>,
    more: usize,
}

impl Problems {
    /// Adds one. It is made only while there is room: looking for a suggestion costs time.
    pub(crate) fn add(&mut self, problem: impl FnOnce() -> Problem) {
        if self.list.len() < MOST {
            let problem = problem();
            if !self.list.contains(&problem) {
                self.list.push(problem);
            }
        } else {
            self.more += 1;
        }
    }

    /// Takes over what another one found, in the order of the lines where it is about a file.
    pub(crate) fn append(&mut self, mut other: Problems) {
        other.list.sort_by_key(|problem| match problem.origin() {
            Some(Origin::File { line, column, .. }) => (*line, *column),
            _ => (0, 0),
        });
        self.more += other.more;
        for problem in other.list {
            self.add(|| problem);
        }
    }

    /// Whether one of them stands there.
    pub(crate) fn are_about(&self, origin: &Origin) -> bool {
        self.list.iter().any(|problem| problem.origin() == Some(origin))
    }

    /// Whether one of them names one of these words.
    pub(crate) fn mention(&self, words: &[&str]) -> bool {
        self.list.iter().any(|problem| {
            let text = problem.to_string();
            words.iter().any(|word| text.contains(word))
        })
    }

    /// Takes those of keys that this version does not know.
    pub(crate) fn take_unknown_keys(&mut self) -> Vec<Problem> {
        self.list
            .extract_if(.., |problem| problem.is_of_unknown_key())
            .collect()
    }

    /// All of them; nothing is an error.
    pub(crate) fn into_list(self) -> Vec<Problem> {
        self.list
    }

    /// One error of all of them, or nothing if there are none.
    pub(crate) fn into_result(mut self) -> Result<(), Error> {
        if self.more > 0 {
            self.list.push(Problem::new(format!("and {} more problems", self.more)));
        }
        if self.list.is_empty() {
            Ok(())
        } else {
            Err(Error::config(self.list))
        }
    }
}
