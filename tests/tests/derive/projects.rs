//! Misspelt profiles, in real cargo projects: what does not compile, and what makes it compile again.
//!
//! All projects are members of one workspace in a temporary folder and share a target folder that is kept, so that
//! httputil is checked once and each step costs about a second. Each test has members of its own names: cargo keeps one
//! build of those that have one name, and calls it fresh by its age.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A cargo workspace of its own.
struct Shop {
    root: TempDir,
}

/// How a build ended.
struct Build {
    ok: bool,
    said: String,
}

impl Build {
    #[track_caller]
    fn passes(&self) {
        assert!(self.ok, "{}", self.said);
    }

    /// Fails with exactly one error, which says all of this.
    #[track_caller]
    fn fails_once_saying(&self, words: &[&str]) {
        assert!(!self.ok, "it built");
        let errors = self.said.lines().filter(|line| line.starts_with("error")).count();
        // The error itself, and cargo's "could not compile".
        assert_eq!(errors, 2, "{}", self.said);
        for word in words {
            assert!(self.said.contains(word), "{word:?} is missing in:\n{}", self.said);
        }
    }
}

impl Shop {
    /// A workspace with these members, each a name and its source.
    fn with(members: &[(&str, &str)]) -> Shop {
        let shop = Shop {
            root: tempfile::tempdir().unwrap(),
        };
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
        shop.write(
            "Cargo.toml",
            &format!("[workspace]\nresolver = \"3\"\nmembers = {names:?}\n"),
        );
        // The versions that are already here, so that nothing is downloaded; its presence bounds the search too.
        fs::copy(workspace.join("Cargo.lock"), shop.path("Cargo.lock")).unwrap();
        for (name, source) in members {
            let dependency = if *name == "renamed" {
                "web = { package = \"httputil\", "
            } else {
                "httputil = { "
            };
            let manifest = format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
                 [dependencies]\n{dependency}path = '{}' }}\n",
                workspace.join("httputil").display()
            );
            shop.write(&format!("{name}/Cargo.toml"), &manifest);
            shop.write(&format!("{name}/src/lib.rs"), source);
        }
        shop
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, relative: &str) {
        fs::remove_file(self.path(relative)).unwrap();
    }

    fn check(&self, member: &str) -> Build {
        self.check_with(member, None)
    }

    fn check_with(&self, member: &str, config_var: Option<&Path>) -> Build {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["check", "--offline", "--quiet", "--color=never", "--package", member])
            .current_dir(self.root.path())
            .env(
                "CARGO_TARGET_DIR",
                Path::new(env!("CARGO_TARGET_TMPDIR")).join("derive-projects"),
            )
            .env("CARGO_INCREMENTAL", "0")
            .env_remove("RUSTFLAGS")
            .env_remove("HTTPUTIL_CONFIG");
        if let Some(path) = config_var {
            cargo.env("HTTPUTIL_CONFIG", path);
        }
        let output = cargo.output().expect("cargo can be run");
        Build {
            ok: output.status.success(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// What `HTTPUTIL_CONFIG` can name: the derive heeds it only where run time, which may have another working directory,
/// would surely find the same file.
#[test]
fn the_variable_counts_as_the_absolute_path_of_a_file_and_as_nothing_else() {
    let shop = Shop::with(&[("variable", &service("telemetry"))]);
    shop.write("httputil.toml", "[audit]\n");
    shop.write("named.toml", "[telemetry]\n");
    shop.write("variable/named.toml", "[telemetry]\n");
    let found = &["no profile `telemetry` in httputil.toml"];
    let check = |variable: &Path| shop.check_with("variable", Some(variable));
    check(Path::new("named.toml")).fails_once_saying(found);
    check(&shop.path("named.toml")).passes();
    check(&shop.path("missing.toml")).fails_once_saying(found);
    check(Path::new("none")).fails_once_saying(found);
    // What was missing is there.
    shop.write("missing.toml", "[telemetry]\n");
    check(&shop.path("missing.toml")).passes();
    // A file that is named and lacks the profile is the one that the message is about.
    shop.write("missing.toml", "[replication]\n");
    check(&shop.path("missing.toml")).fails_once_saying(&["no profile `telemetry` in ", "missing.toml"]);
}

#[test]
fn a_variable_that_names_a_file_is_heeded_also_where_there_was_none() {
    let shop = Shop::with(&[("fileless", &service("telemetry"))]);
    shop.check("fileless").passes();
    shop.write("named.toml", "[audit]\n");
    shop.check_with("fileless", Some(&shop.path("named.toml")))
        .fails_once_saying(&["no profile `telemetry` in named.toml"]);
    shop.check("fileless").passes();
}

#[test]
fn a_profile_of_another_file_and_one_that_is_written_as_a_list_are_told_as_such() {
    let shop = Shop::with(&[("nearby", &service("telemetri"))]);
    shop.write("httputil.toml", "[audit]\n");
    shop.write("httputil.staging.toml", "[telemetry]\n[audit]\n");
    shop.check("nearby").fails_once_saying(&[
        "no profile `telemetri` in httputil.toml; did you mean `telemetry` of httputil.staging.toml? \
         (it has: audit, default; httputil.staging.toml: telemetry)",
    ]);
    shop.write("httputil.toml", "[[telemetri]]\ntimeout = \"1s\"\n");
    shop.check("nearby").fails_once_saying(&[
        "no profile `telemetri` in httputil.toml; write `[telemetri]` instead of `[[telemetri]]` (",
    ]);
}

/// A service on this profile.
fn service(profile: &str) -> String {
    format!(
        "/// A service.\n#[derive(httputil::PooledClient)]\n#[pooled_client(profile = \"{profile}\")]\n\
         pub struct Service{profile} {{\n    client: httputil::Client,\n}}\n"
    )
}

#[test]
fn a_misspelt_profile_does_not_compile_until_the_file_has_it() {
    let shop = Shop::with(&[("member", &service("telemetri"))]);
    shop.write("config/httputil.toml", "[telemetry]\n[audit]\n");
    shop.check("member").fails_once_saying(&[
        "no profile `telemetri` in config/httputil.toml; did you mean `telemetry`? (it has: audit, default, telemetry)",
        "member/src/lib.rs:3:",
        "\"telemetri\"",
    ]);

    // Added to the file, with the source untouched; taken away again; added for one environment.
    shop.write("config/httputil.toml", "[telemetry]\n[telemetri]\n");
    shop.check("member").passes();
    shop.write("config/httputil.toml", "[telemetry]\n");
    shop.check("member").fails_once_saying(&["did you mean `telemetry`?"]);
    shop.write("config/httputil.local.toml", "[telemetri]\n");
    shop.check("member").fails_once_saying(&["did you mean `telemetry`?"]);
    shop.write("config/httputil.staging.toml", "[telemetri]\n");
    shop.check("member").passes();
    shop.write("config/httputil.staging.toml", "[telemetri_of_staging]\n");
    shop.check("member").fails_once_saying(&["`telemetri`"]);

    // What no run reads counts for nothing, garbled or not.
    for name in ["schema", "Foo", "a.b", "", "staging.toml~", "1", "staging.bak"] {
        shop.write(&format!("config/httputil.{name}.toml"), "[telemetri]\n");
    }
    shop.write("config/httputil.B.toml", "= no TOML");
    shop.check("member").fails_once_saying(&["`telemetri`"]);

    // The variable that names the file is watched as well, and so is the file's end.
    shop.write("named.toml", "[telemetri]\n");
    shop.remove("config/httputil.staging.toml");
    shop.check_with("member", Some(&shop.path("named.toml"))).passes();
    shop.check("member").fails_once_saying(&["did you mean `telemetry`?"]);
    shop.remove("config/httputil.toml");
    shop.check("member").passes();
}

#[test]
fn a_file_that_is_no_toml_is_one_error_however_many_services_read_it() {
    let shop = Shop::with(&[("garbled", &format!("{}{}", service("telemetry"), service("audit")))]);
    shop.write("httputil.toml", "[telemetry]\n\ntimeout = = 3\n");
    shop.check("garbled")
        .fails_once_saying(&["httputil.toml:3:11: ", "no profile can be checked until it is mended"]);
    shop.write("httputil.toml", "[telemetry]\n[audit]\n");
    shop.check("garbled").passes();
}

#[test]
fn a_folder_where_the_file_should_be_is_one_error() {
    let shop = Shop::with(&[("hidden", &service("telemetry"))]);
    shop.write("httputil.toml/inside", "");
    shop.check("hidden")
        .fails_once_saying(&["httputil.toml: not a file of at most 4 MiB; no profile can be checked"]);
}

#[test]
fn crates_of_others_are_left_to_run_time_and_a_renamed_dependency_is_found() {
    let renamed = "/// A service.\n#[derive(web::PooledClient)]\n\
                   #[pooled_client(profile = \"elsewhere\", unchecked, crate = ::web)]\n\
                   pub struct Service {\n    client: web::Client,\n}\n";
    let shop = Shop::with(&[("vendored", &service("elsewhere")), ("renamed", renamed)]);
    shop.write("httputil.toml", "[telemetry]\n");
    shop.check("vendored")
        .fails_once_saying(&["no profile `elsewhere` in httputil.toml; add a table `[elsewhere]`"]);
    shop.write("vendored/.cargo-checksum.json", "{}");
    shop.write("vendored/src/lib.rs", &service("elsewhere"));
    shop.check("vendored").passes();
    shop.check("renamed").passes();
}
