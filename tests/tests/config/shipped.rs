//! The file that comes with the project.

use std::path::Path;

use httputil::Config;
use httputil::settings::Profile;

fn shipped() -> Config {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/httputil.toml");
    Config::builder()
        .file(file)
        .load()
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn it_loads_and_has_the_ten_services() {
    let config = shipped();
    let services = [
        "ai",
        "audit",
        "events",
        "mtls",
        "nim",
        "object_lambda",
        "rdma_fallback",
        "replication",
        "s3_migration",
        "telemetry",
    ];
    for service in services {
        let profile = config.profile(service).unwrap();
        assert!(profile.description.is_some(), "{service}");
    }
}

#[test]
fn its_default_profile_is_the_built_in_one() {
    let default = shipped().profile("default").unwrap();
    assert_eq!(default, Profile::named("default"));
}

#[test]
fn the_services_with_endpoints_have_them_on_loopback() {
    let config = shipped();
    let endpoint = |profile: &str| config.setting::<url::Url>(profile, "endpoint").unwrap().unwrap();
    assert_eq!(endpoint("telemetry").as_str(), "http://127.0.0.1:4318/v1/traces");
    for profile in ["ai", "audit", "nim"] {
        assert_eq!(endpoint(profile).host_str(), Some("127.0.0.1"), "{profile}");
    }
}

/// What it shows as defaults, commented out, are the defaults.
#[test]
fn the_defaults_that_it_shows_are_the_built_in_ones() {
    let text = include_str!("../../../config/httputil.toml");
    let start = text.find("\n[default]\n").unwrap();
    let end = text.find("# An operator's override").unwrap();
    let keep = |line: &&str| !line.contains("ca.pem");
    let lines = text[start..end].lines().filter(keep);
    let shown: Vec<&str> = lines.map(|line| line.trim_start_matches("# ")).collect();
    let shown = shown.join(
        "
",
    );
    assert!(shown.lines().count() > 25);
    let config = Config::builder()
        .embedded("shown", shown)
        .load()
        .unwrap_or_else(|error| panic!("{error}"));
    let mut default = config.profile("default").unwrap();
    // Unwritten, the interval follows the first probe's.
    assert_eq!(
        default.transport.tcp.keepalive_interval.take(),
        default.transport.tcp.keepalive
    );
    assert_eq!(default, Profile::named("default"));
}
