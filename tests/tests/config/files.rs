//! Which file counts.

use std::path::Path;

use httputil::{Config, Environment};

use crate::scenario::Scenario;

/// A file whose only profile tells where it is.
fn write(root: &Path, path: &str) {
    let full = root.join(path);
    std::fs::create_dir_all(full.parent().unwrap()).unwrap();
    std::fs::write(&full, if full.extension().is_some() { "[found]\n" } else { "" }).unwrap();
}

#[cfg(unix)]
fn let_anyone_write(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
}

/// The table runs against the derive's copy of the rule as well.
#[cfg(unix)]
#[test]
fn the_file_rule_holds_for_every_layout_of_folders() {
    let mut cases = 0;
    for case in include_str!("folders.txt").split("\n== ").skip(1) {
        let (name, lines) = case.split_once('\n').unwrap();
        let root = tempfile::tempdir().unwrap();
        let mut start = root.path().to_owned();
        for line in lines.lines().filter(|line| !line.is_empty()) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let path = root.path().join(rest);
            match word {
                "start" => {
                    std::fs::create_dir_all(&path).unwrap();
                    start = path;
                }
                "file" => write(root.path(), rest),
                "folder" => std::fs::create_dir_all(path).unwrap(),
                "writable" => let_anyone_write(&path),
                "nothing" | "found" | "both" => {
                    let got = match Config::builder().search_from(&start).load() {
                        Ok(config) => match config.files() {
                            [] => "nothing".to_owned(),
                            files => format!("found {}", files[0].strip_prefix(root.path()).unwrap().display()),
                        },
                        Err(error) => {
                            let text = error.to_string().replace(&format!("{}/", root.path().display()), "");
                            let (one, rest) = text.split_once(": ").unwrap();
                            let (other, _) = rest.split_once(" is there as well").unwrap();
                            format!("both {one} {other}")
                        }
                    };
                    assert_eq!(got, line, "{name}");
                    cases += 1;
                }
                _ => panic!("{name}: {line}"),
            }
        }
    }
    assert_eq!(cases, include_str!("folders.txt").matches("\n== ").count());
}

#[test]
fn two_files_in_one_folder_are_an_error_that_names_both() {
    let scenario = Scenario::main_file("[telemetry]")
        .file("config/httputil.toml", "")
        .variable("HTTPUTIL_TELEMETRY__TIMEOUT", "1s");
    let expected = "httputil.toml: config/httputil.toml is there as well, so it's unclear which counts; remove one";
    assert_eq!(scenario.messages(), expected);
}

#[test]
fn httputil_config_replaces_the_search() {
    let scenario = || {
        Scenario::main_file("[a]")
            .file("other/mine.toml", "[b]")
            .file("other/httputil.local.toml", "[c]")
    };
    let relative = scenario().variable("HTTPUTIL_CONFIG", "other/mine.toml");
    assert_eq!(relative.config().profiles(), ["b", "c", "default"]);
    let absolute = scenario();
    let path = absolute.path("other/mine.toml");
    let environment = Environment::empty().with("HTTPUTIL_CONFIG", path);
    let config = absolute.builder().env(&environment).load().unwrap();
    assert_eq!(config.profiles(), ["b", "c", "default"]);
    assert_eq!(
        scenario().variable("HTTPUTIL_CONFIG", "").config().profiles(),
        ["a", "default"]
    );
}

#[test]
fn httputil_config_none_is_no_file_and_a_path_can_still_be_called_so() {
    let scenario = || Scenario::main_file("[a]").file("none", "[b]");
    assert_eq!(
        scenario().variable("HTTPUTIL_CONFIG", "none").config().profiles(),
        ["default"]
    );
    assert_eq!(
        scenario().variable("HTTPUTIL_CONFIG", "./none").config().profiles(),
        ["b", "default"]
    );
}

#[test]
fn a_missing_file_is_an_error_where_it_was_named() {
    let scenario = Scenario::main_file("[a]").variable("HTTPUTIL_CONFIG", "missing.toml");
    assert_eq!(scenario.messages(), "HTTPUTIL_CONFIG: missing.toml: no such file");
    let scenario = Scenario::new();
    let error = Config::builder()
        .file(scenario.path("missing.toml"))
        .load()
        .unwrap_err();
    assert_eq!(scenario.relative(&error), "missing.toml: no such file");
}

#[test]
fn a_missing_file_hides_no_profile_that_a_variable_names() {
    let scenario = Scenario::new()
        .variable("HTTPUTIL_CONFIG", "missing.toml")
        .variable("HTTPUTIL_TELEMETRY__TIMEOUT", "1s");
    assert_eq!(scenario.messages(), "HTTPUTIL_CONFIG: missing.toml: no such file");
}

#[test]
fn whatever_is_wrong_with_a_file_that_httputil_config_names_tells_of_the_variable() {
    let named = |value: &str| {
        let scenario = Scenario::new()
            .file("folder/inside", "")
            .file("latin.toml", b"[a]\n\xe4")
            .file("wrong.toml", "[a]\ntimout = 1");
        scenario.variable("HTTPUTIL_CONFIG", value).messages()
    };
    assert_eq!(named("folder"), "HTTPUTIL_CONFIG: folder: is a folder; expected a file");
    assert_eq!(
        named("latin.toml"),
        "HTTPUTIL_CONFIG: latin.toml:2:1: not UTF-8; save the file as UTF-8"
    );
    // What is wrong in it has a line of its own.
    assert_eq!(
        named("wrong.toml"),
        "wrong.toml:2:1: a.timout: unknown key; did you mean timeout?"
    );
    let url = "HTTPUTIL_CONFIG: expected the path of a file, found a URL";
    for value in [
        "https://user:canary@host/httputil.toml",
        "file:///canary.toml",
        "https:/user:canary@host/x",
    ] {
        assert_eq!(named(value), url);
    }
}

#[test]
fn without_any_file_the_defaults_and_the_variables_count() {
    let config = Scenario::new().variable("HTTPUTIL_DEFAULT__TIMEOUT", "7s").config();
    assert_eq!(config.profile("default").unwrap().policy.timeout.unwrap().as_secs(), 7);
    assert!(config.files().is_empty());
}

#[test]
fn a_file_named_in_code_is_not_replaced_by_a_variable() {
    let scenario = Scenario::main_file("[a]").variable("HTTPUTIL_CONFIG", "missing.toml");
    let config = scenario.builder().file(scenario.path("httputil.toml")).load().unwrap();
    assert_eq!(config.profiles(), ["a", "default"]);
}
