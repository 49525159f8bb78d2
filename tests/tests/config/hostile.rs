//! Files and variables as an accident or an enemy would make them: one clear message, no panic, no hanging.

use std::time::{Duration, Instant};

use httputil::{Config, Environment};

use crate::scenario::Scenario;

/// The messages for a main file of these bytes, which must come quickly.
fn messages(bytes: impl AsRef<[u8]>) -> String {
    let scenario = Scenario::new().file("httputil.toml", bytes);
    let started = Instant::now();
    let messages = scenario.messages();
    assert!(started.elapsed() < Duration::from_mins(1), "{:?}", started.elapsed());
    messages
}

/// So many pieces, one after the other.
fn numbered(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).map(piece).collect()
}

#[test]
fn empty_files_are_fine() {
    for text in ["", "\u{feff}", "\n\n", "# nothing\r\n", "   \t"] {
        assert_eq!(messages(text), "", "{text:?}");
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_do_not_move_places() {
    assert_eq!(
        messages("\u{feff}[telemetry]\r\ntimout = 1\r\n"),
        "httputil.toml:2:1: telemetry.timout: unknown key; did you mean timeout?"
    );
    assert_eq!(messages("\u{feff}x = 1").split(": ").next(), Some("httputil.toml:1:1"));
}

#[test]
fn columns_count_characters() {
    let text = "[a]\ndescription = \"äöü\"\n\n[a.settings]\nlist = [\"äöü\", 1]\n[b]\nuser_agent = \"ä\"\ntimeouts = { dns = \"ä\", x = 1 }";
    assert_eq!(
        messages(text),
        "httputil.toml:8:20: b.timeouts.dns = \"ä\": expected a duration such as \"10s\" or \"250ms\"\n\
         httputil.toml:8:25: b.timeouts.x: unknown key"
    );
}

#[test]
fn other_encodings_are_told_apart_from_broken_toml() {
    assert_eq!(
        messages(b"[a]\ndescription = \"\xe4\""),
        "httputil.toml:2:16: not UTF-8; save the file as UTF-8"
    );
    assert_eq!(
        messages(b"\xff\xfe[\0a\0]\0"),
        "httputil.toml:1:1: not UTF-8; save the file as UTF-8"
    );
}

#[test]
fn a_nul_byte_is_an_error() {
    assert!(
        messages("[a]\n\0").starts_with("httputil.toml:2:2: not TOML"),
        "{}",
        messages("[a]\n\0")
    );
}

#[test]
fn a_folder_is_an_error() {
    let scenario = Scenario::new().file("httputil.toml/inside", "");
    assert_eq!(scenario.messages(), "httputil.toml: is a folder; expected a file");
}

#[test]
fn a_file_of_10_mb_is_an_error() {
    let text = "# a comment\n".repeat(1_000_000);
    assert_eq!(
        messages(text),
        "httputil.toml: larger than 4 MiB, this can't be a configuration"
    );
}

#[test]
fn a_large_file_within_the_bound_is_read() {
    assert_eq!(messages("# a comment\n".repeat(300_000)), "");
}

#[test]
fn deep_nesting_is_an_error() {
    for text in [
        format!(
            "[a]\nsettings = {{ x = {}{} }}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        ),
        format!("[a.settings]\nx = {}{}", "{ x = ".repeat(10_000), "}".repeat(10_000)),
        format!("[a.settings]\n{} = 1", vec!["x"; 10_000].join(".")),
        format!("[a.settings.{}]", vec!["x"; 10_000].join(".")),
    ] {
        let messages = messages(text);
        assert!(messages.contains("nested too deeply"), "{messages}");
    }
}

#[test]
fn nesting_that_toml_allows_is_fine() {
    let text = format!(
        "[a.settings.{}]\n{} = {}1{}",
        vec!["x"; 70].join("."),
        vec!["y"; 70].join("."),
        "[".repeat(70),
        "]".repeat(70)
    );
    assert_eq!(messages(text), "");
}

#[test]
fn a_file_of_garbage_gets_a_short_message_quickly() {
    let keys: String = numbered(150_000, |index| format!("key_{index} = 1\n"));
    let text = messages(format!("[telemetry]\n{keys}"));
    assert_eq!(text.lines().count(), 201);
    assert!(
        text.ends_with("and 149800 more problems"),
        "{}",
        text.lines().last().unwrap_or_default()
    );
}

#[test]
fn a_file_of_one_long_line_is_read_quickly() {
    let keys: String = numbered(200_000, |index| format!("k{index} = 1, "));
    assert_eq!(
        messages(format!("telemetry.settings = {{ ä = 1, {keys} }}"))
            .lines()
            .count(),
        1
    );
    assert_eq!(messages(format!("telemetry.settings = {{ {keys} }}")), "");
}

#[test]
fn many_profiles_are_loaded_quickly() {
    let profiles: String = numbered(20_000, |index| format!("[p{index}]\ntimeout = \"1s\"\n"));
    assert_eq!(messages(profiles), "");
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn devices_and_sockets_are_refused_before_they_are_opened() {
        for device in ["/dev/zero", "/dev/null"] {
            let error = Config::builder().file(device).load().unwrap_err();
            assert_eq!(error.to_string(), format!("{device}: is not a regular file"));
        }
        let scenario = Scenario::new();
        let _listener = std::os::unix::net::UnixListener::bind(scenario.path("httputil.toml")).unwrap();
        assert_eq!(scenario.messages(), "httputil.toml: is not a regular file");
        let scenario = Scenario::new();
        symlink("/dev/zero", scenario.path("httputil.toml")).unwrap();
        assert_eq!(scenario.messages(), "httputil.toml: is not a regular file");
    }

    #[test]
    fn a_pipe_is_refused_and_nothing_waits_for_its_writer() {
        let scenario = Scenario::new();
        let made = std::process::Command::new("mkfifo")
            .arg(scenario.path("httputil.toml"))
            .status()
            .unwrap();
        assert!(made.success());
        assert_eq!(scenario.messages(), "httputil.toml: is not a regular file");
    }

    #[test]
    fn a_dangling_link_is_an_error() {
        let scenario = Scenario::new();
        symlink("nowhere", scenario.path("httputil.toml")).unwrap();
        assert_eq!(scenario.messages(), "httputil.toml: no such file");
    }

    #[test]
    fn a_link_to_a_file_is_followed() {
        let scenario = Scenario::new().file("elsewhere/real.toml", "[a]");
        symlink("elsewhere/real.toml", scenario.path("httputil.toml")).unwrap();
        assert_eq!(scenario.config().profiles(), ["a", "default"]);
    }

    #[test]
    fn names_and_values_that_are_not_utf8_are_errors() {
        let garbled = OsStr::from_bytes(b"canary\xff");
        let load = |name: &[u8]| {
            let environment = Environment::empty().with(OsStr::from_bytes(name), garbled);
            Config::builder()
                .embedded("x", "[a]")
                .env(&environment)
                .load()
                .map(|_| ())
                .map_err(|error| error.to_string())
        };
        assert_eq!(
            load(b"HTTPUTIL_A__TIMEOUT"),
            Err("HTTPUTIL_A__TIMEOUT: the value is not UTF-8".to_owned())
        );
        assert_eq!(
            load(b"HTTPUTIL_A__\xff"),
            Err("HTTPUTIL_A__\u{fffd}: the variable's name is not UTF-8".to_owned())
        );
        assert!(
            load(b"HTTPUTIL_ENV")
                .unwrap_err()
                .starts_with("HTTPUTIL_ENV=\"canary\u{fffd}\": expected a name")
        );
        assert_eq!(load(b"OTHER_\xff"), Ok(()));
    }

    #[test]
    fn httputil_config_may_be_a_path_that_is_not_utf8() {
        let scenario = Scenario::new();
        let name = OsStr::from_bytes(b"mine\xff.toml");
        std::fs::write(scenario.folder().join(name), "[a]\ntls.ca_file = \"ca.pem\"").unwrap();
        let environment = Environment::empty().with("HTTPUTIL_CONFIG", name);
        let config = Config::builder()
            .search_from(scenario.folder())
            .env(&environment)
            .load()
            .unwrap();
        assert_eq!(config.profiles(), ["a", "default"]);
    }

    /// Relative to nothing else: that might be another file of the name.
    #[test]
    fn a_relative_path_below_a_folder_that_is_not_utf8_is_refused() {
        let scenario = Scenario::new();
        let folder = scenario.folder().join(OsStr::from_bytes(b"folder\xff"));
        std::fs::create_dir(&folder).unwrap();
        let main = folder.join("httputil.toml");
        let load = |text: &str| {
            std::fs::write(&main, text).unwrap();
            Config::builder().file(&main).load()
        };
        for text in [
            "[a.tls]\nca_file = \"ca.pem\"",
            "[a.tls]\ncrl_files = [\"ca.crl\"]",
            "[a.auth]\nbearer = { file = \"token\" }",
        ] {
            let problems = load(text).unwrap_err();
            assert_eq!(problems.problems().len(), 1, "{problems}");
            let message = problems.problems()[0].message();
            assert!(
                message.contains("folder is not UTF-8; write the whole path"),
                "{message}"
            );
        }
        let whole = load("[a.tls]\nca_file = \"/ca.pem\"\ncrl_files = [\"/ca.crl\"]").unwrap();
        let tls = whole.profile("a").unwrap().transport.tls;
        assert_eq!(tls.ca_file.as_deref(), Some(std::path::Path::new("/ca.pem")));
    }
}

#[test]
fn a_name_of_thousands_of_parts_is_an_error() {
    let name = format!("HTTPUTIL_A__SETTINGS{}", "__X".repeat(10_000));
    let scenario = Scenario::main_file("[a]").variable(&name, "1");
    assert!(scenario.messages().ends_with("nested too deeply"));
    let key = format!("a.settings{}", ".x".repeat(10_000));
    assert!(
        Scenario::main_file("[a]")
            .set(&key, "1")
            .messages()
            .ends_with("nested too deeply")
    );
    assert!(
        Scenario::main_file("[a]")
            .set("", "1")
            .messages()
            .contains("expected a profile and a key")
    );
    assert!(
        Scenario::main_file("[a]")
            .set("a.", "1")
            .messages()
            .contains("unknown key")
    );
}

const SHIPPED: &str = include_str!("../../../config/httputil.toml");

/// Loads a text, whatever it is; all that matters is that an error, if there is one, says something.
fn survive(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(error) = Config::builder().embedded("text", text).load() {
        assert!(!error.problems().is_empty());
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn a_file_cut_anywhere_never_panics() {
    for end in (0..SHIPPED.len()).step_by(17) {
        survive(&SHIPPED.as_bytes()[..end]);
    }
}

#[test]
fn a_file_with_any_bytes_changed_never_panics() {
    let live: String = SHIPPED
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.to_owned() + "\n")
        .collect();
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let interesting = b"[]{}=\"'.,#\n\r\0-_0aZ \xc3\xff";
    for _ in 0..500 {
        let mut bytes = live.clone().into_bytes();
        for _ in 0..=next(4) {
            let at = next(bytes.len());
            match next(3) {
                0 => bytes[at] = interesting[next(interesting.len())],
                1 => bytes.insert(at, interesting[next(interesting.len())]),
                _ => drop(bytes.remove(at)),
            }
        }
        survive(&bytes);
    }
}
