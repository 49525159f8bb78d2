//! Broken files and variables, each with the exact messages that it gets. See `corpus/*.txt`.
//!
//! A case is `== what is wrong`, then parts: `-- file NAME`, `-- env` (`NAME=value` lines), `-- set` (`key=value`
//! lines), `-- expect` (the messages; none means that all is well).

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::scenario::Scenario;

const FILES: [(&str, &str); 6] = [
    ("keys", include_str!("corpus/keys.txt")),
    ("values", include_str!("corpus/values.txt")),
    ("variables", include_str!("corpus/variables.txt")),
    ("profiles", include_str!("corpus/profiles.txt")),
    ("contradictions", include_str!("corpus/contradictions.txt")),
    ("syntax", include_str!("corpus/syntax.txt")),
];

struct Case {
    name: String,
    scenario: Scenario,
    expected: String,
}

fn parse(text: &str) -> Vec<Case> {
    let cases = text.split("\n== ").skip(1);
    cases
        .map(|case| {
            let mut parts = case.split("\n-- ");
            let name = parts.next().unwrap_or_default().trim().to_owned();
            let mut scenario = Scenario::new();
            let mut expected = None;
            for part in parts {
                let (kind, body) = part.split_once('\n').unwrap_or((part, ""));
                let body = body.trim_end_matches('\n');
                let pairs = body.lines().filter_map(|line| line.split_once('='));
                match kind.split_once(' ').unwrap_or((kind, "")) {
                    ("file", name) => scenario = scenario.file(name, body),
                    ("env", _) => {
                        scenario = pairs.fold(scenario, |scenario, (name, value)| scenario.variable(name, value));
                    }
                    ("set", _) => scenario = pairs.fold(scenario, |scenario, (key, value)| scenario.set(key, value)),
                    ("expect", _) => expected = Some(body.to_owned()),
                    _ => panic!("{name}: unknown part {kind}"),
                }
            }
            let expected = expected.unwrap_or_else(|| panic!("{name}: nothing is expected"));
            Case {
                name,
                scenario,
                expected,
            }
        })
        .collect()
}

#[test]
fn every_broken_file_and_variable_gets_its_messages() {
    let mut wrong = String::new();
    let mut names = BTreeSet::new();
    for (file, text) in FILES {
        for case in parse(text) {
            assert!(names.insert(case.name.clone()), "two cases are called {}", case.name);
            let messages = case.scenario.messages();
            if messages != case.expected {
                let _ = writeln!(
                    wrong,
                    "== {} ({file})\n-- expect\n{}\n-- got\n{messages}\n",
                    case.name, case.expected
                );
            }
        }
    }
    assert!(names.len() >= 60, "{} cases", names.len());
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// The corpus writes `canary` wherever a secret might stand: in unknown keys, settings, garbled lines.
#[test]
fn no_message_shows_what_might_be_a_secret() {
    for case in FILES.into_iter().flat_map(|(_, text)| parse(text)) {
        let Err(error) = case.scenario.load() else { continue };
        assert!(
            !format!("{error} {error:#} {error:?} {error:#?}").contains("canary"),
            "{}: {error}",
            case.name
        );
    }
}

#[test]
fn every_message_is_one_line_without_a_period() {
    for case in FILES.into_iter().flat_map(|(_, text)| parse(text)) {
        let Err(error) = case.scenario.load() else { continue };
        assert!(error.is_config(), "{}", case.name);
        assert_eq!(
            error.problems().len(),
            error.to_string().lines().count(),
            "{}",
            case.name
        );
        for problem in error.problems() {
            assert!(!problem.to_string().ends_with('.'), "{problem}");
        }
    }
}
