//! `httputil explain`.

use crate::program::Desk;

const FILE: &str = "[parent]\ntimeout = \"20s\"\n[telemetry]\ninherits = \"parent\"\ntimeout = \"10s\"\npool.max_idle = 50\n\
                    [telemetry.settings]\ntoken = \"canary\"\n";

#[test]
fn a_profile_is_shown_with_who_set_what_and_what_that_hides() {
    let desk = Desk::with(FILE).variable("HTTPUTIL_GLOBAL__TIMEOUT", "5s");
    let said = desk.run(&["explain", "telemetry"]).said();
    let line = |key: &str| said.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    assert!(
        line("timeout ")
            .ends_with("HTTPUTIL_GLOBAL__TIMEOUT, over httputil.toml:5:11, over httputil.toml:2:11 [parent]"),
        "{said}"
    );
    assert!(line("settings.token").contains("(not shown)"), "{said}");
    assert!(line("tcp.nodelay").ends_with("built-in default"), "{said}");
}

#[test]
fn one_key_or_one_section_can_be_asked_for() {
    let desk = Desk::with(FILE);
    let said = desk.run(&["explain", "telemetry", "timeout"]).said();
    assert_eq!(
        said,
        "telemetry\ntimeout  \"10s\"  httputil.toml:5:11, over httputil.toml:2:11 [parent]\n"
    );
    let said = desk
        .run(&["explain", "telemetry", "pool", "--set", "telemetry.pool.max_idle=60"])
        .said();
    assert!(said.lines().skip(1).all(|line| line.starts_with("pool.")), "{said}");
    assert!(said.contains("60"), "{said}");
    let said = desk.run(&["explain", "telemetry", "description"]).said();
    assert_eq!(said, "telemetry\ndescription  not set\n");
    let said = desk.run(&["explain", "registry", "max_connections"]).said();
    assert!(said.starts_with("registry\nmax_connections  \"auto\""), "{said}");
}

#[test]
fn variables_that_lead_trust_and_requests_elsewhere_are_shown() {
    let desk = Desk::with(
        "[a]\ntls.ca_file = \"own.pem\"\n[b]\ntls.roots = \"platform\"\n[c]\n[d]\ntls.roots = \"bundled\"\n",
    )
    .variable("SSL_CERT_FILE", "/elsewhere.pem")
    .variable("HTTPS_PROXY", "http://us:canary@proxy.example:3128");
    let roots = |profile: &str| desk.run(&["explain", profile, "tls.roots"]).said();
    assert_eq!(roots("a"), "a\ntls.roots  \"platform\"  built-in default\n");
    assert_eq!(
        roots("b"),
        "b\ntls.roots  \"platform\"  httputil.toml:4:13, follows SSL_CERT_FILE\n"
    );
    assert_eq!(roots("c"), "c\ntls.roots  \"platform\"  follows SSL_CERT_FILE\n");
    assert_eq!(roots("d"), "d\ntls.roots  \"bundled\"  httputil.toml:7:13\n");
    assert_eq!(
        desk.run(&["explain", "a", "proxy.https"]).said(),
        "a\nproxy.https  \"http://proxy.example:3128\"  follows HTTPS_PROXY\n"
    );
}

#[test]
fn an_unknown_profile_or_key_is_exit_code_2_with_the_nearest() {
    let desk = Desk::with(FILE);
    assert!(
        desk.run(&["explain", "telemetri"])
            .failed()
            .ends_with("did you mean telemetry?\n")
    );
    let complaint = desk.run(&["explain", "telemetry", "idle_timeout"]).failed();
    assert_eq!(
        complaint,
        "httputil: there is no key idle_timeout; did you mean pool.idle_timeout?\n"
    );
}

#[test]
fn a_configuration_with_mistakes_is_exit_code_1() {
    let run = Desk::with("[a]\ntimout = 1").run(&["explain", "a"]);
    assert_eq!((run.code, run.out.as_str()), (Some(1), ""));
    assert!(run.complaint.contains("\n  2 | timout = …\n"), "{}", run.complaint);
}

#[test]
fn another_file_and_another_environment_can_be_named() {
    let desk = Desk::with("[a]\n")
        .file("elsewhere/httputil.toml", "[b]\ntimeout = \"1s\"\n")
        .file("elsewhere/httputil.staging.toml", "[b]\ntimeout = \"2s\"\n");
    let timeout = |arguments: &[&str]| {
        let all = [
            &[
                "explain",
                "b",
                "timeout",
                "--json",
                "--config",
                "elsewhere/httputil.toml",
            ],
            arguments,
        ]
        .concat();
        desk.run(&all).json()["keys"][0]["value"].clone()
    };
    assert_eq!(timeout(&[]), "1s");
    assert_eq!(timeout(&["--env", "staging"]), "2s");
}

#[test]
fn programs_read_json() {
    let desk = Desk::with(FILE).variable("HTTPUTIL_TELEMETRY__SETTINGS__TOKEN", "canary");
    let explained = desk.run(&["explain", "telemetry", "--json"]).json();
    assert_eq!(explained["profile"], "telemetry");
    let keys = explained["keys"].as_array().unwrap();
    let key = |name: &str| keys.iter().find(|key| key["key"] == name).unwrap();
    let timeout = key("timeout");
    assert_eq!(timeout["value"], "10s");
    assert_eq!(
        (&timeout["origin"]["file"], &timeout["origin"]["line"]),
        (&"httputil.toml".into(), &5.into())
    );
    assert_eq!(
        (&timeout["shadowed"][0]["table"], &timeout["shadowed"][0]["line"]),
        (&"parent".into(), &2.into())
    );
    assert_eq!(key("pool.max_idle")["value"], 50);
    assert_eq!(key("tcp.nodelay")["origin"]["built_in"], true);
    let token = key("settings.token");
    assert_eq!(
        (&token["hidden"], &token["value"]),
        (&true.into(), &serde_json::Value::Null)
    );
    assert_eq!(token["origin"]["variable"], "HTTPUTIL_TELEMETRY__SETTINGS__TOKEN");
}

#[test]
fn a_key_in_a_table_is_told_by_its_places() {
    let desk = Desk::with("[base.settings]\nqueue = { size = 1 }\n[a]\ninherits = \"base\"\nheaders.x-team = \"a\"\n")
        .variable("HTTPUTIL_A__SETTINGS__QUEUE__SIZE", "2");
    assert_eq!(
        desk.run(&["explain", "a", "settings.queue.size"]).said(),
        "a\nsettings.queue.size  (not shown)  HTTPUTIL_A__SETTINGS__QUEUE__SIZE, over httputil.toml:2:18\n"
    );
    assert_eq!(
        desk.run(&["explain", "a", "headers.x-team"]).said(),
        "a\nheaders.x-team  (not shown)  httputil.toml:5:18\n"
    );
    let json = desk.run(&["explain", "a", "settings.queue.size", "--json"]).json();
    assert_eq!(
        json["keys"][0]["origin"]["variable"], "HTTPUTIL_A__SETTINGS__QUEUE__SIZE",
        "{json}"
    );
    assert_eq!(
        desk.run(&["explain", "a", "settings.queue.sizes"]).said(),
        "a\nsettings.queue.sizes  not set\n"
    );
    let unset = desk.run(&["explain", "a", "auth.bearer", "--json"]).json();
    assert!(unset["keys"][0]["value"].is_null(), "{unset}");
}

#[test]
fn a_profile_and_a_key_in_one_word_are_two() {
    let said = Desk::with("[a]\n").run(&["explain", "a.timeout"]).failed();
    assert!(said.contains("did you mean `explain a timeout`?"), "{said}");
}
