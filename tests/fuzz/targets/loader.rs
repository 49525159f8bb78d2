//! The loader over any bytes: files and variables. Whatever comes, it answers, the same each time, and what it accepts can
//! be asked for.
#![no_main]

use httputil::{Config, ConfigBuilder, Environment};
use libfuzzer_sys::fuzz_target;

/// Between two files, and between the files and the variables.
const NEXT_FILE: &str = "\n%%\n";
const VARIABLES: &str = "\n%%%\n";

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let first = answer(builder(&text));
    assert_eq!(first, answer(builder(&text)), "two answers to one question");
});

fn builder(text: &str) -> ConfigBuilder {
    let (files, variables) = text.split_once(VARIABLES).unwrap_or((text, ""));
    let mut environment = Environment::empty();
    for line in variables.lines() {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        environment = environment.with(format!("HTTPUTIL_{name}"), value);
    }
    let builder = Config::builder().env(&environment);
    files.split(NEXT_FILE).enumerate().fold(builder, |builder, (index, file)| {
        builder.embedded(format!("file{index}"), file)
    })
}

fn answer(builder: ConfigBuilder) -> String {
    match builder.load() {
        Ok(config) => {
            let mut all = String::new();
            for name in config.profiles() {
                config.profile(&name).expect("a profile that is listed is there");
                all += &config.explain(&name).expect("and can be explained").to_string();
            }
            all
        }
        Err(error) => {
            assert!(error.is_config() && !error.problems().is_empty(), "{error}");
            assert_eq!(error.to_string().lines().count(), error.problems().len(), "{error}");
            format!("{error:#}")
        }
    }
}
