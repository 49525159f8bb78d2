//! `httputil check`.

use crate::program::{Desk, Run};

const BROKEN: &str = "[telemetry]\ntimout = \"5s\"\n[telemetry.pool]\nmax_idle = -1\n";

#[test]
fn a_sound_configuration_is_exit_code_0() {
    let desk = Desk::with("[telemetry]\ntimeout = \"5s\"\n").variable("HTTPUTIL_TELEMETRY__POOL__MAX_IDLE", "5");
    assert_eq!(desk.run(&["check"]).said(), "httputil.toml: no mistake in 2 profiles\n");
}

#[test]
fn every_mistake_is_shown_with_its_line_and_exit_code_1() {
    let desk = Desk::with(BROKEN).variable("HTTPUTIL_TELEMETRY__TIMEOUT", "10");
    assert_eq!(
        desk.run(&["check"]).mistakes(),
        "httputil.toml:2:1: telemetry.timout: unknown key; did you mean timeout?\n\
         \x20 2 | timout = …\n\
         \x20   | ^^^^^^\n\
         httputil.toml:4:12: telemetry.pool.max_idle = -1: expected a whole number, 0 or more\n\
         \x20 4 | max_idle = …\n\
         \x20   | ^^^^^^^^\n\
         HTTPUTIL_TELEMETRY__TIMEOUT=\"10\": expected a duration such as \"10s\" or \"250ms\"\n\
         httputil.toml: 3 mistakes\n"
    );
}

/// A path may come from a variable that others set.
#[test]
fn a_path_is_one_line_that_no_terminal_obeys_and_never_endless() {
    let hostile = format!("gone\u{1b}[m\u{202e},\t::error::{}.pem", "z".repeat(3000));
    for key in [
        "tls.ca_file = PATH",
        "tls.crl_files = [PATH]",
        "auth.bearer = { file = PATH }",
    ] {
        let quoted = serde_json::to_string(&hostile).unwrap();
        let desk = Desk::with(&format!("[a]\n{}\n", key.replace("PATH", &quoted)));
        for format in ["text", "json", "github"] {
            let run = desk.run(&["check", "--format", format]);
            let told = run
                .out
                .lines()
                .find(|line| line.contains("gone"))
                .expect("the file is missing");
            assert!(told.contains(r"\u{1b}[m\u{202e},\t") || format == "json", "{told}");
            assert!(told.chars().count() < 1100, "{told}");
            assert!(!run.out.contains(['\u{1b}', '\u{202e}', '\t']), "{run:?}");
            assert!(!run.out.lines().any(|line| line.starts_with("::error::")), "{run:?}");
        }
    }
    let desk = Desk::with(
        "[a]\nauth.bearer = { file = 'keys/größe, it''s.txt' }\n"
            .replace("''", "")
            .as_str(),
    );
    assert!(
        desk.run(&["check"])
            .mistakes()
            .contains("keys/größe, its.txt: no such file"),
        "as it is"
    );
}

#[test]
fn a_files_text_where_its_path_belongs_is_never_said() {
    let pem = "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n";
    let desk = Desk::with("[a]\n").variable("HTTPUTIL_A__TLS__KEY_FILE", pem);
    let named = Desk::with("[a]\n").variable("HTTPUTIL_CONFIG", pem);
    for arguments in [
        &["check"][..],
        &["check", "--format", "json"],
        &["check", "--format", "github"],
        &["explain", "a"],
        &["env", "a"],
        &["check", "--", pem],
        &["check", &format!("--config={pem}")],
    ] {
        for desk in [&desk, &named] {
            let run = desk.run(arguments);
            assert!(run.code.is_some_and(|code| code == 1 || code == 2), "{run:?}");
            assert!(!format!("{run:?}").contains("canary"), "{arguments:?} {run:?}");
        }
    }
}

#[test]
fn what_cannot_be_checked_is_exit_code_2() {
    let desk = Desk::new();
    assert!(desk.run(&["check"]).failed().contains("no httputil.toml"));
    assert_eq!(
        desk.run(&["check", "nowhere.toml"]).failed(),
        "httputil: nowhere.toml: no such file\n"
    );
    assert!(desk.run(&["chek"]).failed().contains("check"));
    assert!(desk.run(&["check", "--format", "xml"]).failed().contains("github"));
    assert!(
        Desk::with("")
            .run(&["check", "--set", "canary"])
            .failed()
            .contains("KEY=VALUE")
    );
    // Told to have no file, a program has nothing but defaults and variables, and these are fine.
    let desk = Desk::new().variable("HTTPUTIL_CONFIG", "none");
    assert_eq!(desk.run(&["check"]).said(), "variables: no mistake in 1 profile\n");
}

#[test]
fn variables_are_checked_without_a_file_too() {
    let desk = Desk::new().variable("HTTPUTIL_TIMEOUT", "10s");
    assert!(
        desk.run(&["check"])
            .mistakes()
            .contains("did you mean HTTPUTIL_DEFAULT__TIMEOUT")
    );
}

/// The program is built with the feature `cli` alone.
#[test]
fn what_only_some_programs_are_built_with_is_no_mistake() {
    let text = "[registry]\nwatch = true\n[telemetry]\nbase_url = \"https://a.example\"\ncookies = true\n\
                dns.resolver = \"hickory\"\ncompression.accept = [\"gzip\", \"br\", \"zstd\", \"deflate\"]\n\
                auth.oauth2 = { token_url = \"https://a.example/token\", client_id = \"a\", client_secret = \"b\" }\n";
    let desk = Desk::with(text);
    assert_eq!(desk.run(&["check"]).said(), "httputil.toml: no mistake in 2 profiles\n");
    let explained = desk.run(&["explain", "telemetry", "compression.accept"]).said();
    assert!(
        explained.contains("[\"gzip\", \"br\", \"zstd\", \"deflate\"]"),
        "{explained}"
    );
}

#[test]
fn each_file_that_is_named_is_checked_though_another_is_missing() {
    let desk = Desk::with("[a]\ntimout = 1\n").file("fine.toml", "[a]\n");
    let said = desk.run(&["check", "nowhere.toml", "httputil.toml"]).mistakes();
    assert!(
        said.contains("nowhere.toml: no such file") && said.contains("timout"),
        "{said}"
    );
    assert!(
        desk.run(&["check", "fine.toml", "nowhere.toml"])
            .failed()
            .contains("no such file")
    );
    let two = desk.run(&["check", "--config", "httputil.toml", "fine.toml"]).failed();
    assert!(two.contains("--config httputil.toml beside files"), "{two}");
}

#[test]
fn every_environment_that_has_a_file_is_checked_and_the_same_mistake_told_once() {
    let desk = Desk::with("[a]\ntimout = 1\n")
        .file("httputil.staging.toml", "[b]\ninherits = \"a\"\nhttp2.enabeld = true\n")
        .file("httputil.development.toml", "[a.tls]\ninsecure_skip_verify = true\n")
        .file("httputil.local.toml", "[a]\ntimeout = \"1s\"\n")
        .file("httputil.Old.toml", "nonsense");
    let said = desk.run(&["check"]).mistakes();
    assert_eq!(said.matches("a.timout").count(), 1, "{said}");
    assert_eq!(said.matches("b.http2.enabeld").count(), 1, "{said}");
    let verdicts: Vec<&str> = said.lines().rev().take(3).collect();
    assert_eq!(
        verdicts,
        [
            "httputil.toml (HTTPUTIL_ENV=staging): 2 mistakes",
            "httputil.toml (HTTPUTIL_ENV=development): 1 mistake",
            "httputil.toml: 1 mistake",
        ]
    );
    let said = desk.run(&["check", "--env", "development"]).mistakes();
    assert!(!said.contains("enabeld"), "{said}");
}

#[test]
fn a_file_of_an_environment_is_checked_with_its_main_file() {
    let desk = Desk::new()
        .file("config/httputil.toml", "[a]\n")
        .file("config/httputil.staging.toml", "[b]\ninherits = \"a\"\n")
        .file("other.toml", "[b]\ninherits = \"a\"\n");
    assert_eq!(
        desk.run(&["check", "config/httputil.staging.toml"]).said(),
        "config/httputil.toml, config/httputil.staging.toml (HTTPUTIL_ENV=staging): no mistake in 3 profiles\n"
    );
    let said = desk.run(&["check", "config/httputil.toml", "other.toml"]).mistakes();
    assert!(
        said.starts_with("other.toml:2:12: b.inherits: no profile is called a\n"),
        "{said}"
    );
    assert!(said.ends_with("other.toml: 1 mistake\n"), "{said}");
}

#[test]
fn values_of_the_command_line_count_and_are_checked() {
    let desk = Desk::with("[a]\n[b.pool]\nname = \"a\"\n");
    assert_eq!(desk.run(&["--set", "a.timeout=5s", "check"]).code, Some(0));
    let said = desk.run(&["check", "--set", "a.pool.max_idle=50"]).mistakes();
    assert!(
        said.contains("profiles a and b share the pool a but differ in pool.max_idle"),
        "{said}"
    );
}

const DOUBTFUL: &str = "[a]\nbreaker.enabled = false\nbreaker.window = \"5s\"\n";

#[test]
fn what_is_hardly_meant_is_a_warning_and_no_mistake() {
    let desk = Desk::with(DOUBTFUL).file("httputil.staging.toml", "");
    let warning = "httputil.toml:3:18: a.breaker.window = \"5s\": has no effect beside breaker.enabled = false";
    assert_eq!(
        desk.run(&["check"]).said(),
        format!(
            "warning: {warning}\n  3 | breaker.window = …\n    |         ^^^^^^\n\
             httputil.toml: no mistake in 2 profiles, 1 warning\n\
             httputil.toml, httputil.staging.toml (HTTPUTIL_ENV=staging): no mistake in 2 profiles, 1 warning\n"
        )
    );
    let report = desk.run(&["check", "--format", "json"]).json();
    assert_eq!(
        (&report["sound"], &report["warnings"][0]["severity"]),
        (&true.into(), &"warning".into())
    );
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&report["warnings"][0]["line"], &report["warnings"][0]["text"]),
        (&3.into(), &warning.into())
    );
    assert_eq!(
        desk.run(&["check", "--format", "github"]).said(),
        "::warning file=httputil.toml,line=3,col=18::a.breaker.window = \"5s\": has no effect beside \
         breaker.enabled = false\n"
    );
}

#[test]
fn programs_read_json() {
    let desk = Desk::with(BROKEN).variable("HTTPUTIL_TELEMETRY__TIMEOUT", "10");
    let run = desk.run(&["check", "--format", "json"]);
    assert_eq!(run.code, Some(1));
    let report = run.json();
    assert_eq!(report["sound"], false);
    let problems = report["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 3);
    assert_eq!(problems[0]["severity"], "error");
    assert_eq!(problems[0]["file"], "httputil.toml");
    assert_eq!((&problems[0]["line"], &problems[0]["column"]), (&2.into(), &1.into()));
    assert_eq!(
        problems[0]["message"],
        "telemetry.timout: unknown key; did you mean timeout?"
    );
    assert_eq!(problems[2]["variable"], "HTTPUTIL_TELEMETRY__TIMEOUT");
    assert_eq!(problems[2]["found"], "\"10\"");
    let report = Desk::with("[a]").run(&["check", "--format", "json"]).json();
    assert_eq!(
        (&report["sound"], report["problems"].as_array().unwrap().len()),
        (&true.into(), 0)
    );
    assert_eq!(report["checked"][0]["files"][0], "httputil.toml");
}

#[test]
fn github_gets_an_annotation_a_mistake() {
    let desk = Desk::new()
        .file("a,b/httputil.toml", "[telemetry]\ntimeout = \"100%\"\n")
        .variable("HTTPUTIL_TELEMETRY__TIMEOUT", "10");
    assert_eq!(
        desk.run(&["check", "a,b/httputil.toml", "--format", "github"])
            .mistakes(),
        "::error file=a%2Cb/httputil.toml,line=2,col=11::telemetry.timeout = \"100%25\": \
         expected a duration such as \"10s\" or \"250ms\"\n\
         ::error title=httputil::HTTPUTIL_TELEMETRY__TIMEOUT=\"10\": expected a duration such as \"10s\" or \"250ms\"\n"
    );
    assert_eq!(Desk::with("[a]").run(&["check", "--format", "github"]).said(), "");
}

/// Where every folder may be written to by everybody, as on some mounted volumes.
#[cfg(unix)]
#[test]
fn a_file_that_is_passed_over_is_told_where_none_is_found() {
    use std::os::unix::fs::PermissionsExt;

    let desk = Desk::with("[a]\n").file("Cargo.lock", "").file("inner/x", "");
    let folder = desk.path("httputil.toml").parent().unwrap().to_owned();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let output = desk
        .command(&["check"])
        .current_dir(folder.join("inner"))
        .output()
        .unwrap();
    let said = Run::of(output).failed();
    assert!(
        said.contains("httputil.toml: passed over, since everybody can write to "),
        "{said}"
    );
}

#[test]
fn a_url_that_stands_for_a_file_is_shown_nowhere() {
    let desk = Desk::new().variable("HTTPUTIL_CONFIG", "http://user:canary@host/x.toml");
    for arguments in [&["check"][..], &["check", "--format", "json"]] {
        let said = desk.run(arguments).mistakes();
        assert!(said.contains("expected the path of a file, found a URL"), "{said}");
        assert!(!said.contains("canary"), "{said}");
    }
}

#[test]
fn what_is_set_on_the_command_line_is_called_so() {
    let said = Desk::with("[a]\n").run(&["check", "--set", "a.timeout=10"]).mistakes();
    assert!(
        said.starts_with("--set a.timeout=\"10\": expected a duration"),
        "{said}"
    );
    let said = Desk::with("[a]\n")
        .run(&["explain", "a", "timeout", "--set", "a.timeout=10s"])
        .said();
    assert!(said.contains("--set a.timeout"), "{said}");
}
