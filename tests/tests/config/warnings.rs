//! What may be written and is hardly meant.

use crate::scenario::Scenario;

/// One a line, with paths relative to the folder.
fn warnings(scenario: &Scenario) -> String {
    let warnings = scenario.config().warnings();
    let lines: Vec<String> = warnings.iter().map(|warning| scenario.relative(warning)).collect();
    lines.join("\n")
}

fn of_file(text: &str) -> String {
    warnings(&Scenario::main_file(text))
}

#[test]
fn what_is_shipped_and_what_is_usual_warns_of_nothing() {
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/httputil.toml");
    let config = httputil::Config::builder().file(shipped).load().unwrap();
    assert_eq!(config.warnings(), []);
    // A child that shortens what its parent leaves time for, or switches off what its parent has set up, means it.
    let usual = "[default]\ntimeouts.connect = '10s'\nbreaker.window = '20s'\n\
                 [parent]\ntimeouts.response_header = '20s'\nhttp2.max_frame_size = '32KiB'\n\
                 [child]\ninherits = 'parent'\ntimeout = '2s'\nbreaker.enabled = false\nhttp2.enabled = false\n\
                 [stream]\ntimeout = 'none'\ntimeouts.read = '5m'\n";
    assert_eq!(of_file(usual), "");
    let overridden = Scenario::main_file("[a]\ntimeout = '5s'\n")
        .variable("HTTPUTIL_A__TIMEOUT", "6s")
        .variable("HTTPUTIL_GLOBAL__POOL__MAX_IDLE", "7")
        .set("default.user_agent", "x");
    assert_eq!(warnings(&overridden), "");
}

#[test]
fn certificates_that_are_not_verified() {
    let scenario = Scenario::main_file("[default.tls]\ninsecure_skip_verify = true\n[a]\n[b]\n")
        .variable("HTTPUTIL_ENV", "development");
    assert_eq!(
        warnings(&scenario),
        "httputil.toml:2:24: default.tls.insecure_skip_verify = true: certificates are NOT verified: anyone on the way can \
         read and change this traffic"
    );
}

#[test]
fn one_server_name_for_every_host() {
    let text = "[default]\ntls.server_name = 'one.example'\n[a]\ntls.server_name = 'two.example'\n";
    assert_eq!(
        of_file(text),
        "httputil.toml:2:19: default.tls.server_name = \"one.example\": every host is asked for this name and verified by \
         it; write it in the profile of that host"
    );
    assert!(of_file("[global]\ntls.server_name = 'one.example'\n").contains("global.tls.server_name"));
}

#[cfg(unix)]
#[test]
fn secrets_that_everybody_can_read() {
    use std::os::unix::fs::PermissionsExt;

    let scenario = Scenario::main_file(
        "[a]\nauth.bearer = { file = 'token' }\nauth.origins = ['https://a.example']\n\
         [b]\nheaders.x-key = { file = 'key' }\nbase_url = 'https://b.example'\n",
    )
    .file("token", "canary\n")
    .file("key", "canary\n");
    let rights = |name: &str, mode| {
        std::fs::set_permissions(scenario.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    rights("token", 0o644);
    rights("key", 0o640);
    assert_eq!(
        warnings(&scenario),
        "httputil.toml:2:6: a.auth.bearer: the file token: everybody on this machine can read it; take the right away: \
         chmod o-r"
    );
    rights("token", 0o600);
    assert_eq!(warnings(&scenario), "");
    rights("key", 0o604);
    assert!(warnings(&scenario).starts_with("httputil.toml:5:9: b.headers.x-key: the file key: everybody"));
}

#[test]
fn bounds_that_another_one_ends_before() {
    let text = "[a]\ntimeout = '5s'\ntimeouts = { connect = '6s', response_header = '5s', dns = '4s' }\nhedge.after = '8s'\n\
                [b]\ntimeouts.attempt = '45s'\n\
                [c]\ntimeouts = { attempt = '2s', read = '3s' }\n";
    assert_eq!(
        of_file(text),
        "httputil.toml:3:24: a.timeouts.connect = \"6s\": is never reached: timeout = \"5s\" (httputil.toml:2:11) is over before\n\
         httputil.toml:4:15: a.hedge.after = \"8s\": nothing is ever sent a second time: timeout = \"5s\" \
         (httputil.toml:2:11) is over before\n\
         httputil.toml:6:20: b.timeouts.attempt = \"45s\": is never reached: timeout = \"30s\" (built-in default) is over before\n\
         httputil.toml:8:37: c.timeouts.read = \"3s\": is never reached: timeouts.attempt = \"2s\" (httputil.toml:8:24) is over before"
    );
}

#[test]
fn an_attempt_that_leaves_no_time_for_another() {
    let text = |attempt: &str, more: &str| format!("[a]\ntimeout = '10s'\ntimeouts.attempt = '{attempt}'\n{more}");
    assert_eq!(
        of_file(&text("9500ms", "")),
        "httputil.toml:3:20: a.timeouts.attempt = \"9500ms\": leaves no time for another attempt within timeout = \"10s\" \
         (httputil.toml:2:11)"
    );
    assert_eq!(of_file(&text("8s", "")), "");
    assert_eq!(of_file(&text("10s", "retry.max_attempts = 1\n")), "");
}

#[test]
fn keys_that_a_switch_makes_idle() {
    let text = "[a]\nbreaker = { enabled = false, window = '5s' }\nhttp2 = { enabled = false, adaptive_window = true }\n\
                retry = { max_attempts = 1, backoff.base = '1s', budget.ratio = 0.5 }\npool = { reuse = false, max_idle = 5 }\n\
                tcp = { keepalive = 'none', keepalive_retries = 5 }\nlimit = { burst = 5, queue = 7 }\n";
    assert_eq!(
        of_file(text),
        "httputil.toml:2:39: a.breaker.window = \"5s\": has no effect beside breaker.enabled = false\n\
         httputil.toml:3:46: a.http2.adaptive_window = true: has no effect beside http2.enabled = false\n\
         httputil.toml:4:44: a.retry.backoff.base = \"1s\": has no effect beside retry.max_attempts = 1\n\
         httputil.toml:5:36: a.pool.max_idle = 5: has no effect beside pool.reuse = false\n\
         httputil.toml:6:49: a.tcp.keepalive_retries = 5: has no effect beside tcp.keepalive = \"none\"\n\
         httputil.toml:7:19: a.limit.burst = 5: has no effect without limit.rate\n\
         httputil.toml:7:30: a.limit.queue = 7: has no effect without limit.max_concurrent, limit.max_concurrent_per_host or limit.rate"
    );
    assert_eq!(
        of_file("[a]\nlimit = { rate = '5/s', burst = 5, queue = 'none' }\n"),
        ""
    );
}

#[cfg(feature = "oauth2")]
#[test]
fn keys_of_a_login_that_only_an_heir_completes() {
    let oauth2 = "[a]\nauth.oauth2 = { scopes = ['read'], audience = 'x' }\n[b]\ninherits = 'a'\nbase_url = 'https://b.test'\n\
                  auth.oauth2 = { token_url = 'https://c.test', client_id = 'me', client_secret = { env = 'WORD' } }\n";
    assert_eq!(
        warnings(&Scenario::main_file(oauth2).variable("WORD", "canary")),
        "httputil.toml:2:47: a.auth.oauth2.audience = \"x\": has no effect without auth.oauth2.token_url\n\
         httputil.toml:2:26: a.auth.oauth2.scopes = \"read\": has no effect without auth.oauth2.token_url"
    );
}

#[test]
fn variables_that_a_file_is_stronger_than() {
    let scenario = Scenario::main_file("[a]\ntimeout = '5s'\nheaders.x-team = 'canary'\n[b]\ninherits = 'a'\n[c]\n")
        .variable("HTTPUTIL_DEFAULT__TIMEOUT", "20s")
        .variable("HTTPUTIL_DEFAULT__HEADERS__X_TEAM", "canary");
    assert_eq!(
        warnings(&scenario),
        "HTTPUTIL_DEFAULT__HEADERS__X_TEAM: does not reach every profile: a, b have a value of more weight \
         (a.headers.x-team, httputil.toml:3:18); set HTTPUTIL_A__HEADERS__X_TEAM for that\n\
         HTTPUTIL_DEFAULT__TIMEOUT: does not reach every profile: a, b have a value of more weight (a.timeout, \
         httputil.toml:2:11); set HTTPUTIL_A__TIMEOUT for that"
    );
    let scenario = Scenario::main_file("[global]\ntimeout = '5s'\n[a]\n").variable("HTTPUTIL_A__TIMEOUT", "20s");
    assert_eq!(
        warnings(&scenario),
        "HTTPUTIL_A__TIMEOUT: has no effect: global.timeout (httputil.toml:2:11) overrides every profile"
    );
}

#[test]
fn a_secret_that_only_some_of_its_heirs_can_send() {
    let text = "[default]\nheaders.api-key = 'canary'\n[parent]\nauth.bearer = 'canary'\nauth.origins = ['https://p.test']\n\
                [a]\ninherits = 'parent'\nauth.origins = []\n[b]\n[c]\nheaders.api-key = false\n";
    assert_eq!(
        of_file(text),
        "httputil.toml:4:15: parent.auth.bearer: no client of profile a can be made: a secret goes to the origin of base_url \
         or to those of auth.origins only, and neither is set in [a]; write them there, or auth.bearer = \"none\"\n\
         httputil.toml:2:19: default.headers.api-key: no client of profile b can be made: a secret goes to the origin of \
         base_url or to those of auth.origins only, and neither is set in [b]; write them there, or headers.api-key = false"
    );
}

#[test]
fn files_of_certificates_that_cannot_be_used_here() {
    let text = "[default]\ntls.extra_ca_file = 'none.pem'\n[a]\n[a.tls]\nca_file = 'ca.pem'\ncrl_files = ['a.crl']\n";
    let scenario = Scenario::main_file(text).file("ca.pem", "canary");
    assert_eq!(
        warnings(&scenario),
        "httputil.toml:5:11: a.tls.ca_file: the file ca.pem: holds no certificate (a PEM block \"BEGIN CERTIFICATE\" is wanted)\n\
         httputil.toml:2:21: default.tls.extra_ca_file: the file none.pem: no such file\n\
         httputil.toml:6:13: a.tls.crl_files: the file a.crl: no such file"
    );
    // So says whoever makes a client, at the same places.
    let registry = httputil::Registry::builder().config(scenario.config()).build().unwrap();
    let error = registry.client("a").unwrap_err();
    assert_eq!(scenario.relative(&error), warnings(&scenario).lines().next().unwrap());
    assert_eq!(error.problems()[0].excerpt().unwrap(), "5 | ca_file = …\n  | ^^^^^^^");
    let error = registry.client("default").unwrap_err();
    assert_eq!(
        scenario.relative(&error),
        "httputil.toml:2:21: default.tls.extra_ca_file: the file none.pem: no such file"
    );
}

#[test]
fn a_proxy_variable_that_no_client_can_be_made_with() {
    let scenario = Scenario::main_file("[a]\n[b]\nproxy.from_env = false\n").variable("HTTPS_PROXY", "socks4://p:1080");
    assert_eq!(
        warnings(&scenario),
        "HTTPS_PROXY: SOCKS4 is not spoken here; write socks5:// or socks5h://",
        "said once, for [a] and [default]"
    );
    let registry = httputil::Registry::builder().config(scenario.config()).build().unwrap();
    assert_eq!(registry.client("a").unwrap_err().to_string(), warnings(&scenario));
    registry.client("b").unwrap();
    let none = Scenario::main_file("[default]\nproxy.from_env = false\n").variable("HTTPS_PROXY", "socks4://p:1080");
    assert_eq!(warnings(&none), "");
}

#[test]
fn a_profile_of_an_environment_that_is_nearly_called_as_another() {
    let of = |beside: &str| {
        let scenario = Scenario::main_file("[telemetry]\n[s3]\n").file("httputil.production.toml", beside);
        warnings(&scenario.variable("HTTPUTIL_ENV", "production"))
    };
    assert_eq!(
        of("[telemetri]\ntimeout = '9s'\n"),
        "httputil.production.toml:1:2: [telemetri]: a profile that only this file makes; did you mean telemetry? (if not, \
         write [telemetri] in the main file, too)"
    );
    assert_eq!(of("[telemetry]\n[s4]\n[search]\n[global]\n"), "");
}

#[cfg(unix)]
#[test]
fn a_file_that_is_passed_over_for_its_folder_s_rights() {
    use std::os::unix::fs::PermissionsExt;

    let scenario = Scenario::main_file("[a]\n").file("Cargo.lock", "").file("inner/x", "");
    std::fs::set_permissions(scenario.folder(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let config = httputil::Config::builder()
        .search_from(scenario.path("inner"))
        .load()
        .unwrap();
    let expected = format!(
        "httputil.toml: passed over, since everybody can write to {}; take the right away (chmod o-w), or name the file in \
         HTTPUTIL_CONFIG",
        scenario.folder().display()
    );
    assert_eq!(scenario.relative(&config.warnings()[0]), expected);
    assert_eq!(
        scenario.relative(&config.profile("a").unwrap_err()),
        format!("no profile is called a, and no configuration file was found ({expected})")
    );
    // In the folder itself it counts, and so does one on the way to it.
    assert_eq!(warnings(&scenario), "");
    let scenario = scenario.file("inner/httputil.toml", "[b]\n");
    let config = httputil::Config::builder()
        .search_from(scenario.path("inner"))
        .load()
        .unwrap();
    assert_eq!(config.warnings(), []);
}

#[test]
fn retries_of_no_method() {
    assert_eq!(
        of_file("[a]\nretry.methods = []\n[b]\nretry = { methods = [], max_attempts = 1 }\n"),
        "httputil.toml:2:17: a.retry.methods = []: no method is sent again, beside retry.max_attempts = 3 (built-in default): \
         only what was certainly not acted on, and requests that bear \"Idempotency-Key\" are; retry.max_attempts = 1 \
         switches retries off"
    );
}

#[test]
fn ways_that_the_profile_itself_refuses() {
    let text = "[a]\nbase_url = 'https://other.test/'\negress.allow = ['api.test']\n\
                [b]\negress.deny_private = true\nproxy.url = 'http://proxy.test'\n\
                [c]\nbase_url = 'https://api.test/'\negress.allow = ['api.test']\n\
                [d]\negress.deny_private = true\nproxy.url = 'socks5://proxy.test'\n";
    assert_eq!(
        of_file(text),
        "httputil.toml:2:12: a.base_url: no request can go there: egress.allow does not list other.test:443\n\
         httputil.toml:5:23: b.egress.deny_private = true: no name can be reached through proxy.url (httputil.toml:6:13), which \
         looks names up itself: write socks5://, or egress.trust_proxy = true"
    );
}
