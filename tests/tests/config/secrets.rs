//! What might be a secret is never shown. The corpus has it in every broken file; these are the ways beside.

use httputil::Config;
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
