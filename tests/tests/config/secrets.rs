//! What might be a secret is never shown. The corpus has it in every broken file; these are the ways beside.

use httputil::Config;
use httputil::settings::Secret;
use serde::Deserialize;

use crate::scenario::Scenario;

const CANARY: &str = "canary";

#[test]
fn debug_of_builder_and_configuration_shows_no_value() {
    let builder = Scenario::main_file("[a.settings]\ntoken = \"canary\"")
        .variable("HTTPUTIL_A__SETTINGS__KEY", CANARY)
        .set("a.settings.password", CANARY)
        .builder()
        .embedded("text", "[a.settings]\nother = \"canary\"");
    assert!(!format!("{builder:?}").contains(CANARY));
    assert!(format!("{builder:?}").contains("a.settings.password"));
    let config = builder.load().unwrap();
    assert!(!format!("{config:?} {config:#?}").contains(CANARY));
    assert!(!format!("{:?}", config.environment()).contains(CANARY));
}

/// A type whose own error repeats what it was given, whole or in part.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Chatty;

impl TryFrom<String> for Chatty {
    type Error = String;

    fn try_from(text: String) -> Result<Chatty, String> {
        match text.split_once('/') {
            None => Err(format!("cannot use {text:?}")),
            Some((first, _)) => Err(format!("cannot use the part {first} of it")),
        }
    }
}

#[derive(Debug, Deserialize)]
enum Choice {
    One,
    Two,
}

#[test]
fn a_setting_that_does_not_fit_is_never_repeated() {
    let text = "[a.settings]\nword = \"canary\"\npart = \"canary/2\"\nurl = \"canary\"\nport = \"http://u:canary@h:999999\"\n\
                quoted = \"can\\\"ary canary\"\nlist = [\"canary\"]\ntable = { canary = \"canary\" }\nnumber = 1";
    let config = Config::builder().embedded("f", text).load().unwrap();
    let mut messages = Vec::new();
    macro_rules! read {
        ($($type:ty)*) => {$(
            for key in ["word", "part", "url", "port", "quoted", "list"] {
                if let Err(error) = config.setting::<$type>("a", key) {
                    messages.push(format!("{error} {error:?}"));
                }
            }
        )*};
    }
    read!(Chatty u8 i64 f64 bool char url::Url std::time::Duration std::net::IpAddr Choice Vec<u8> Vec<Choice> Option<u16> ());
    assert!(messages.len() > 70, "{}", messages.len());
    for message in messages {
        assert!(
            !message.contains(CANARY) && !message.contains("ary canary"),
            "{message}"
        );
    }
}

#[test]
fn a_secret_may_be_kept_in_a_file_or_in_a_variable() {
    let text = "[a.proxy]\nusername = { env = \"WHO\" }\npassword = { file = \"word.txt\" }\n[b]\ninherits = \"a\"\n\
                [b.proxy]\npassword = { env = \"OTHER\" }\n[c.proxy]\nusername = \"somebody\"\npassword = \"none\"";
    let config = Scenario::main_file(text)
        .file("word.txt", "canary\r\n")
        .variable("WHO", "me")
        .variable("OTHER", "canary too")
        .config();
    let told = |profile: &str| {
        let proxy = config.profile(profile).unwrap().transport.proxy;
        let text = |secret: Option<Secret>| secret.map(|secret| secret.expose().to_owned());
        (text(proxy.username), text(proxy.password))
    };
    let of = |user: &str, password: &str| (Some(user.to_owned()), Some(password.to_owned()));
    assert_eq!(told("a"), of("me", "canary"));
    assert_eq!(told("b"), of("me", "canary too"), "the stronger layer's as a whole");
    assert_eq!(told("c"), (Some("somebody".to_owned()), None));
    for profile in ["a", "b"] {
        let explained = config.explain(profile).unwrap();
        assert_eq!(explained.key("proxy.password").unwrap().value, None);
        let shown = format!("{:?} {explained:?} {explained}", config.profile(profile).unwrap());
        assert!(!shown.contains(CANARY), "{shown}");
    }
}

#[test]
fn a_secret_that_cannot_be_had_is_an_error_where_it_is_written() {
    let scenario = |key: &str| Scenario::main_file(&format!("[a.proxy]\nusername = {key}\n[b]\ninherits = \"a\""));
    for (key, message) in [
        ("{ env = \"NOWHERE\" }", "the variable NOWHERE is not set"),
        ("{ file = \"missing.txt\" }", "the file missing.txt: no such file"),
        ("{ file = \"empty.txt\" }", "the file empty.txt is empty"),
        ("{ file = \".\" }", "the file .: is a folder; expected a file"),
    ] {
        let scenario = scenario(key).file("empty.txt", "\n");
        assert_eq!(
            scenario.messages(),
            format!("httputil.toml:2:1: a.proxy.username: {message}"),
            "said once"
        );
    }
    // What a stronger value shadows is not missed.
    let shadowed = scenario("{ env = \"NOWHERE\" }").variable("HTTPUTIL_GLOBAL__PROXY__USERNAME", "me");
    assert_eq!(shadowed.messages(), "");
}

#[test]
fn a_token_of_a_file_that_no_header_can_hold_is_an_error_before_a_client_is_made() {
    let text = "[a]\nbase_url = \"https://a.example\"\nauth.bearer = { file = \"token\" }\n";
    for (token, why) in [
        (
            "canary\ncanary\n",
            "a header can't hold the token: line breaks and control characters must go",
        ),
        (
            "Bearer canary\n",
            "the token alone is wanted, the word Bearer is put before it",
        ),
    ] {
        let told = Scenario::main_file(text).file("token", token).messages();
        assert_eq!(told, format!("httputil.toml:3:6: a.auth.bearer: the file token: {why}"));
    }
    assert_eq!(Scenario::main_file(text).file("token", "canary\n").messages(), "");
}

/// `HTTPUTIL_A__TLS__KEY_FILE="$(cat key.pem)"`.
#[test]
fn a_file_s_text_where_its_path_belongs_is_refused_and_not_shown() {
    let pem = "-----BEGIN PRIVATE KEY-----\ncanary==\n-----END PRIVATE KEY-----";
    let on_one_line = pem.replace('\n', "");
    let base64 = "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tcanary";
    let der = format!("MII{}canary", "Ab12".repeat(40));
    for text in [pem, &on_one_line, base64, &der, "canary\n", "canary\r"] {
        for key in ["TLS__KEY_FILE", "TLS__CA_FILE", "TLS__EXTRA_CA_FILE", "TLS__CRL_FILES"] {
            // What stands around an item of a list is no part of it.
            if key == "TLS__CRL_FILES" && text.trim() != text {
                continue;
            }
            let variable = format!("HTTPUTIL_A__{key}");
            let scenario = Scenario::main_file("[a]").variable(&variable, text);
            assert_eq!(
                scenario.messages(),
                format!("{variable}: a path is wanted, not the file's text")
            );
        }
        let quoted = format!("{text:?}");
        for key in [
            "auth.bearer = { file = TEXT }",
            "proxy.password = { file = TEXT }",
            "headers = { x-key = { file = TEXT } }",
            "tls.key_file = TEXT",
            "tls.crl_files = ['a.pem', TEXT]",
        ] {
            let main = format!("[a]\n{}", key.replace("TEXT", &quoted));
            let error = Scenario::main_file(&main).load().unwrap_err();
            let shown = format!("{error} {error:#} {error:?}");
            assert!(shown.contains("a path is wanted, not the file's text"), "{shown}");
            assert!(!shown.contains("canary"), "{shown}");
        }
        let scenario = Scenario::new().variable("HTTPUTIL_CONFIG", text);
        assert_eq!(
            scenario.messages(),
            "HTTPUTIL_CONFIG: expected the path of a file, found a text"
        );
    }
}

/// The shell has eaten the quotes, and what is left is no token.
#[test]
fn a_secret_s_text_that_begins_as_a_table_is_a_table_or_refused() {
    for text in [
        "{file=/run/canary/t}",
        "{ file = /run/canary }",
        "{ file = \"/run/canary",
        " {canary}",
    ] {
        let of_variable =
            "a table such as { file = \"…\" } needs its quotes; a secret that begins with { is kept in a file";
        let of_file = "a table stands in no quotes, { file = \"…\" }; a secret that begins with { is kept in a file";
        for key in ["AUTH__BEARER", "PROXY__PASSWORD", "HEADERS__X_KEY"] {
            let name = format!("HTTPUTIL_A__{key}");
            let scenario = Scenario::main_file("[a]").variable(&name, text);
            assert_eq!(scenario.messages(), format!("{name}: {of_variable}"));
        }
        for key in ["auth.bearer", "proxy.password", "headers.x-key"] {
            let messages = Scenario::main_file(&format!("[a]\n{key} = {text:?}")).messages();
            assert!(messages.ends_with(&format!(" a.{key}: {of_file}")), "{messages}");
        }
    }
    // As a table it is read, and kept elsewhere a secret may begin so.
    let scenario = Scenario::main_file("[a]\nbase_url = 'https://h'").file("token", "{canary}");
    let table = format!(" {{ file = {:?} }}", scenario.path("token"));
    let scenario = scenario.variable("HTTPUTIL_A__AUTH__BEARER", &table);
    let token = scenario.config().profile("a").unwrap().policy.auth.bearer;
    assert!(matches!(token, Some(httputil::settings::Token::File(_))), "{token:?}");
}

#[test]
fn a_token_where_the_path_of_its_file_belongs_is_not_shown() {
    let of = |token: &str| Scenario::main_file(&format!("[a]\nauth.bearer = {{ file = '{token}' }}")).messages();
    for token in ["Bearer canary", "bearer canary", "eyJhbGciOiJIUzI1NiJ9.canary.canary"] {
        assert_eq!(
            of(token),
            "httputil.toml:2:6: a.auth.bearer: the path of a file is wanted, not the secret itself"
        );
    }
    for token in ["canaryA1b2C3d4E5f6", "sk-canary0000000000000000"] {
        assert_eq!(
            of(token),
            "httputil.toml:2:6: a.auth.bearer: no such file (its name, which may be the secret itself, is not shown; the \
             path of a file is wanted)"
        );
    }
    assert_eq!(
        of("keys/token-2.txt"),
        "httputil.toml:2:6: a.auth.bearer: the file keys/token-2.txt: no such file"
    );
}

#[test]
fn neither_the_query_of_a_url_nor_a_user_of_a_host_is_shown() {
    for key in [
        "base_url = 'https://h/?sig=canary'",
        "base_url = ['https://h/a', 'https://h/?sig=canary']",
        "egress.allow = ['https://u:canary@h']",
        "egress.deny = ['u:canary@h']",
        "proxy.no_proxy = ['u:canary@h:80']",
        "auth.origins = ['https://h/?canary']",
        "pool.warm = ['ftp://h/?canary']",
        "auth.oauth2.token_url = 'ftp://h/?canary'",
    ] {
        let error = Scenario::main_file(&format!("[a]\n{key}")).load().expect_err(key);
        assert!(!format!("{error} {error:#} {error:?}").contains(CANARY), "{error}");
    }
    let config = Scenario::main_file("[a]\npool.warm = ['https://h/a?sig=canary']")
        .variable("NO_PROXY", "https://u:canary@h")
        .config();
    let explained = config.explain("a").unwrap();
    assert_eq!(
        explained.key("pool.warm").unwrap().value.as_deref(),
        Some("[\"https://h/a\"]")
    );
    assert_eq!(explained.key("proxy.no_proxy").unwrap().value, None);
    assert!(!format!("{explained} {explained:?}").contains(CANARY), "{explained}");
}

#[test]
fn explain_shows_proxies_without_their_credentials() {
    let text = "[a.proxy]\nurl = \"http://user:canary@proxy:3128\"\nhttps = \"none\"\nno_proxy = [\"example.com\"]";
    let config = Scenario::main_file(text).config();
    let explained = config.explain("a").unwrap();
    let value = |key: &str| explained.key(key).unwrap().value.clone().unwrap();
    assert_eq!(value("proxy.url"), "\"http://proxy:3128\"");
    assert_eq!(value("proxy.http"), "(not set)");
    assert_eq!(value("proxy.https"), "\"none\"");
    assert_eq!(value("proxy.no_proxy"), "[\"example.com\"]");
    let shown = format!("{explained:?} {:?}", config.profile("a").unwrap());
    assert!(!shown.contains(CANARY), "{shown}");
}

#[test]
fn explain_shows_the_proxy_variables_that_count() {
    let scenario = |keys: &str| {
        Scenario::main_file(&format!("[a.proxy]\n{keys}"))
            .variable("ALL_PROXY", "http://user:canary@proxy:3128")
            .variable("https_proxy", "socks5h://other")
            .variable("NO_PROXY", "localhost,.example.com")
    };
    let line = |keys: &str, key: &str| {
        let explained = scenario(keys).config().explain("a").unwrap().to_string();
        assert!(!explained.contains(CANARY), "{explained}");
        let line = explained.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("", "proxy.http "), "\"http://proxy:3128\" follows ALL_PROXY");
    assert_eq!(line("", "proxy.https "), "\"socks5h://other:1080\" follows https_proxy");
    assert_eq!(
        line("", "proxy.no_proxy "),
        "\"localhost,.example.com\" follows NO_PROXY"
    );
    for keys in ["from_env = false", "url = \"none\""] {
        assert_eq!(line(keys, "proxy.http "), "(not set) built-in default", "{keys}");
    }
}

#[test]
fn default_headers_are_shown_unless_they_are_secret_by_where_they_are_kept_or_by_their_name() {
    let text = "[a]\nbase_url = \"http://a.test\"\n[a.headers]\nx-team = \"search\"\nx-api-key = \"canary\"\n\
                x-key = { env = \"KEY\" }\n[a.auth]\nbearer = { file = \"token\" }\n\
                [b]\nauth.origins = [\"http://b.test\"]\n\
                [b.auth.basic]\nusername = \"canary\"\npassword = \"canary\"";
    let scenario = Scenario::main_file(text)
        .file("token", "canary\n")
        .variable("KEY", CANARY);
    let config = scenario.config();
    let (a, b) = (config.explain("a").unwrap(), config.explain("b").unwrap());
    let headers = "{ x-api-key = (not shown), x-key = (not shown), x-team = \"search\" }";
    assert_eq!(a.key("headers").unwrap().value.as_deref(), Some(headers));
    for key in ["auth.bearer", "auth.basic.username"] {
        assert_eq!(
            if key == "auth.bearer" { &a } else { &b }.key(key).unwrap().value,
            None,
            "{key}"
        );
    }
    let profiles = (config.profile("a").unwrap(), config.profile("b").unwrap());
    let variables = (config.variables("a").unwrap(), config.variables("b").unwrap());
    let all = format!("{a} {b} {a:?} {b:?} {profiles:?} {variables:?} {config:?}");
    assert!(!all.contains(CANARY), "{all}");
}

#[test]
fn a_service_s_secret_may_be_kept_elsewhere_too() {
    #[derive(Deserialize)]
    struct Target {
        key: Secret,
        token: Option<Secret>,
    }
    let text = "[a.settings]\nplain = \"canary\"\nkey = { file = \"key.txt\" }\ntargets = [{ key = { env = \"KEY\" } }, \
                { key = \"canary\", token = { file = \"key.txt\" } }]\n[b]\ninherits = \"a\"\n[b.settings]\nkey = { env = \"KEY\" }";
    let scenario = Scenario::main_file(text)
        .file("key.txt", "canary of the file\n")
        .variable("KEY", "canary of the variable")
        .variable("HTTPUTIL_A__SETTINGS__MORE", "{ env = \"KEY\" }")
        .variable("HTTPUTIL_A__SETTINGS__LAST__FILE", "/missing/file");
    let config = scenario.config();
    let secret = |profile, key| config.setting::<Secret>(profile, key).unwrap().expect("it is set");
    assert_eq!(secret("a", "plain").expose(), "canary");
    assert_eq!(secret("a", "key").expose(), "canary of the file");
    assert_eq!(secret("a", "more").expose(), "canary of the variable");
    // A stronger place takes the weaker one's, and is not mixed with it.
    assert_eq!(secret("b", "key").expose(), "canary of the variable");
    let targets: Vec<Target> = config.setting("a", "targets").unwrap().expect("it is set");
    assert_eq!(targets[0].key.expose(), "canary of the variable");
    assert_eq!(targets[1].key.expose(), "canary");
    assert_eq!(
        targets[1].token.as_ref().expect("it is set").expose(),
        "canary of the file"
    );
    let error = config.setting::<Secret>("a", "last").expect_err("its file is missing");
    assert_eq!(
        error.to_string(),
        "HTTPUTIL_A__SETTINGS__LAST__FILE: the file /missing/file: no such file"
    );
}

#[test]
fn a_service_s_secret_that_cannot_be_had_is_told_without_it() {
    let text = "[a.settings]\none = { env = \"UNSET\" }\ntwo = { file = \"empty\" }\nthree = 3\nfour = \"\"\n\
                five = { file = \"a\", env = \"b\" }\nsix = { files = \"canary\" }\nseven = [\"canary\"]";
    let scenario = Scenario::main_file(text).file("empty", "\n");
    let config = scenario.config();
    let told = |key| scenario.relative(&config.setting::<Secret>("a", key).expect_err(key).problems()[0]);
    let wanted = "expected a text, { file = \"…\" } or { env = \"…\" }";
    assert_eq!(
        told("one"),
        "httputil.toml:2:1: a.settings.one: the variable UNSET is not set"
    );
    assert_eq!(
        told("two"),
        "httputil.toml:3:1: a.settings.two: the file empty is empty"
    );
    assert_eq!(told("three"), format!("httputil.toml:4:9: a.settings.three: {wanted}"));
    assert_eq!(
        told("four"),
        "httputil.toml:5:8: a.settings.four: expected a text that is not empty"
    );
    for (key, line, column) in [("five", 6, 1), ("six", 7, 1), ("seven", 8, 9)] {
        assert_eq!(
            told(key),
            format!("httputil.toml:{line}:{column}: a.settings.{key}: {wanted}")
        );
    }
}

#[test]
fn a_table_that_only_looks_like_a_secret_s_place_is_what_the_service_asks_for() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Log {
        file: String,
        level: Option<String>,
    }
    let config = Scenario::main_file(
        "[a.settings]\nlog = { file = \"a.log\" }\n[b]\ninherits = \"a\"\n[b.settings.log]\nlevel = \"debug\"",
    )
    .config();
    let log: Option<Log> = config.setting("b", "log").unwrap();
    let (file, level) = ("a.log".to_owned(), Some("debug".to_owned()));
    assert_eq!(log, Some(Log { file, level }));
}
