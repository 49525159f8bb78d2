//! `inherits` → each profile's ancestors, in the order in which they apply.

use std::collections::{BTreeMap, BTreeSet};

use super::layer::{Layer, shown_key};
use super::names::{DEFAULT, GLOBAL, did_you_mean};
use super::problems::Problems;
use super::tree::{Node, Value, find};
use crate::error::Problem;

/// More is surely generated nonsense, and bounds the work for a hostile file.
const MOST: usize = 64;

/// The ancestors of each profile, weakest first: parents before their children, each once, a later parent after an
/// earlier one.
pub(crate) fn lineages(
    layers: &[Layer],
    profiles: &BTreeSet<String>,
    complete: bool,
    problems: &mut Problems,
) -> BTreeMap<String, Vec<String>> {
    let mut found = Problems::default();
    let parents: BTreeMap<&str, &Node> = profiles
        .iter()
        .filter_map(|name| {
            let written = layers
                .iter()
                .rev()
                .find_map(|layer| find(&layer.tables, &format!("{name}.inherits")));
            written.map(|node| (name.as_str(), node))
        })
        .collect();
    let mut search = Search {
        parents,
        profiles,
        complete,
        problems: &mut found,
    };
    let lineages = profiles
        .iter()
        .map(|name| {
            let mut ancestors = Vec::new();
            search.visit(name, &mut Vec::new(), &mut ancestors);
            ancestors.pop();
            (name.clone(), ancestors)
        })
        .collect();
    problems.append(found);
    lineages
}

struct Search<'a> {
    parents: BTreeMap<&'a str, &'a Node>,
    profiles: &'a BTreeSet<String>,
    complete: bool,
    problems: &'a mut Problems,
}

impl<'a> Search<'a> {
    /// Adds the ancestors of `name` to `done`, then itself. `open` is the way from the profile that was asked about.
    fn visit(&mut self, name: &'a str, open: &mut Vec<&'a str>, done: &mut Vec<String>) {
        if let Some(&inherits) = self.parents.get(name)
            && let Value::List(parents) = &inherits.value
        {
            open.push(name);
            for parent in parents {
                let Some(text) = parent.as_text() else { continue };
                if let Some(start) = open.iter().position(|each| *each == text) {
                    self.report_loop(&open[start..]);
                } else if done.len() + open.len() > MOST {
                    let message = format!("{name}.inherits: more than {MOST} ancestors");
                    self.problems.add(|| Problem::at(parent.origin.clone(), message));
                    break;
                } else if done.iter().any(|each| each == text) {
                    // It applies already, and before whatever inherits from it.
                } else if text == DEFAULT || text == GLOBAL {
                    let message = format!("{name}.inherits: [{text}] applies to every profile anyway, leave it out");
                    self.problems.add(|| Problem::at(parent.origin.clone(), message));
                } else if let Some(known) = self.profiles.get(text) {
                    self.visit(known, open, done);
                } else if self.complete {
                    let hint = did_you_mean(
                        text,
                        self.profiles
                            .iter()
                            .map(String::as_str)
                            .filter(|near| ![DEFAULT, name].contains(near)),
                    );
                    let message = format!("{name}.inherits: no profile is called {}{hint}", shown_key(text));
                    self.problems.add(|| Problem::at(parent.origin.clone(), message));
                }
            }
            open.pop();
        }
        done.push(name.to_owned());
    }

    /// Says it the same way from wherever it was met, so that one loop is one problem.
    fn report_loop(&mut self, members: &[&'a str]) {
        let Some(first) = (0..members.len()).min_by_key(|index| members[*index]) else {
            return;
        };
        let around: Vec<&str> = members[first..].iter().chain(&members[..=first]).copied().collect();
        let Some(inherits) = self.parents.get(around[0]) else {
            return;
        };
        let origin = inherits.origin.clone();
        self.problems.add(|| {
            Problem::at(
                origin,
                format!(
                    "{}.inherits: profiles inherit in a circle: {}",
                    around[0],
                    around.join(" → ")
                ),
            )
        });
    }
}
