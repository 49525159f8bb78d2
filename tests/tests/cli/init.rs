//! `httputil init`.

use httputil::Config;
use httputil::settings::Profile;

use crate::program::Desk;

#[test]
fn it_writes_a_file_that_loads_and_changes_no_default() {
    let desk = Desk::new();
    assert_eq!(
        desk.run(&["init"]).said(),
        "wrote httputil.toml and httputil.schema.json\n"
    );
    assert_eq!(desk.run(&["check"]).said(), "httputil.toml: no mistake in 2 profiles\n");
    assert_eq!(desk.read("httputil.schema.json"), Config::schema());
    let config = Config::builder().file(desk.path("httputil.toml")).load().unwrap();
    assert_eq!(config.profile("default").unwrap(), Profile::named("default"));
}

#[test]
fn what_it_says_in_comments_is_true() {
    let desk = Desk::new();
    desk.run(&["init"]).said();
    // A comment that is a line of TOML: `# key = value` or `# [table]`.
    let is_toml = |line: &str| line.starts_with('[') || line.split(' ').nth(1) == Some("=");
    let uncommented: Vec<String> = desk
        .read("httputil.toml")
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(comment) if is_toml(comment) => comment.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    let config = Config::builder()
        .embedded("uncommented", uncommented.join("\n"))
        .load()
        .unwrap();
    assert_eq!(config.profiles(), ["audit", "default", "telemetry"]);
    let mut default = config.profile("default").unwrap();
    let mut built_in = Profile::named("default");
    assert_eq!(default.policy.user_agent, "my-service/1.0");
    assert!(default.transport.tls.extra_ca_file.is_some());
    // The two examples that are no defaults.
    default.policy.user_agent.clone_from(&built_in.policy.user_agent);
    built_in
        .transport
        .tls
        .extra_ca_file
        .clone_from(&default.transport.tls.extra_ca_file);
    assert_eq!(default, built_in);
    assert_eq!(config.profile("audit").unwrap().pool, "telemetry");
}

#[test]
fn nothing_is_overwritten() {
    let desk = Desk::with("[mine]\n");
    assert_eq!(
        desk.run(&["init"]).failed(),
        "httputil: httputil.toml is there already and stays as it is\n"
    );
    assert_eq!(desk.read("httputil.toml"), "[mine]\n");
    assert!(!desk.path("httputil.schema.json").exists());

    let desk = Desk::new().file("httputil.schema.json", "mine");
    let said = desk.run(&["init"]).said();
    assert_eq!(
        said,
        "wrote httputil.toml; httputil.schema.json was there already and stays as it is\n"
    );
    assert_eq!(desk.read("httputil.schema.json"), "mine");
}

#[test]
fn no_second_main_file_is_made() {
    let desk = Desk::new().file("config/httputil.toml", "");
    assert!(desk.run(&["init"]).failed().contains("unclear which counts"));
    let desk = Desk::with("").file("config/other", "");
    assert!(desk.run(&["init", "config"]).failed().contains("unclear which counts"));
    assert!(!desk.path("config/httputil.toml").exists());
}

#[test]
fn a_folder_that_is_not_there_is_exit_code_2() {
    let desk = Desk::new();
    let said = desk.run(&["init", "config"]).failed();
    assert_eq!(
        said,
        "httputil: config: no such folder; make it first, or name a file such as httputil.toml\n"
    );
    assert!(!desk.path("config").exists());
    assert!(
        Desk::new()
            .run(&["init", "nowhere/httputil.toml"])
            .failed()
            .contains("nowhere/httputil.toml: ")
    );
}
