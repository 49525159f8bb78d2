//! Nothing that may be a secret is ever said.

use crate::program::Desk;

const COMMANDS: [&[&str]; 9] = [
    &["check"],
    &["check", "--format", "json"],
    &["check", "--format", "github"],
    &["explain", "a"],
    &["explain", "a", "settings"],
    &["explain", "a", "--json"],
    &["explain", "a", "settings.token", "--json"],
    &["env", "a"],
    &["env", "a", "--json"],
];

/// Where a secret may stand in a configuration that loads, and in some that do not.
const FILES: [&str; 6] = [
    "[a.settings]\ntoken = \"canary\"\ntable = { key = \"canary\" }\nlist = [\n  \"canary\",\n]\n",
    "[a]\napi_key = \"canary\"\nproxy = \"http://user:canary@host\"\n",
    "[a.settings]\ntoken = \"canary\ntimeout = \"10s\"\n",
    "[a]\ntimeout = canary\ncanary canary\n",
    "[a.pool]\nwarm = [\"http://user:canary@host:port\"]\nmax_idle = \"7\" # canary\n",
    "[a.settings]\npem = \"\"\"\n-----BEGIN\ncanary==\n\"\"\"\nEnd = { token = \"canary\", other = 1 }\n",
];

#[test]
fn no_command_says_what_may_be_a_secret() {
    for file in FILES {
        let desk = Desk::with(file)
            .variable("HTTPUTIL_A__SETTINGS__KEY", "canary")
            .variable("HTTPUTIL_A__SETTING__KEY", "canary")
            .variable("HTTPUTIL_CANARI", "canary");
        let fine = Desk::with(file).variable("HTTPUTIL_A__SETTINGS__KEY", "canary");
        for command in COMMANDS {
            for desk in [&desk, &fine] {
                let arguments = [command, &["--set", "a.settings.word=canary"]].concat();
                let run = desk.run(&arguments);
                assert!(run.code.is_some_and(|code| code < 3), "{run:?}");
                assert!(!format!("{run:?}").contains("canary"), "{arguments:?} {run:?}");
            }
        }
    }
    // The first of them loads, so that the commands had something to say.
    assert_eq!(Desk::with(FILES[0]).run(&["env", "a"]).code, Some(0));
}

#[test]
fn a_value_without_its_key_is_not_repeated() {
    let complaint = Desk::with("[a]").run(&["check", "--set", "canary"]).failed();
    assert!(!complaint.contains("canary"), "{complaint}");
}
