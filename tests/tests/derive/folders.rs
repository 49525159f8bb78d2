//! The folder rule, as one table of cases for its two readers: the derive and run time.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

#[allow(dead_code)]
#[path = "../../../httputil-macros/src/locate.rs"]
mod locate;

#[allow(dead_code)]
#[path = "../../../httputil/src/config/locate.rs"]
mod run_time;

use locate::{Error, Found, locate};
use run_time::Located;

/// What the search from `start` comes to.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Nothing,
    File(&'static str),
    /// Two files in this folder.
    Both(&'static str),
}

/// A tree of empty files (a path that ends in `/` is a folder), where the search starts, and what it finds.
struct Case {
    name: &'static str,
    tree: &'static [&'static str],
    /// Folders that anyone can write to.
    open: &'static [&'static str],
    start: &'static str,
    outcome: Outcome,
}

const fn case(name: &'static str, tree: &'static [&'static str], start: &'static str, outcome: Outcome) -> Case {
    Case {
        name,
        tree,
        open: &[],
        start,
        outcome,
    }
}

const CASES: &[Case] = &[
    case("no file", &["a/Cargo.lock"], "a", Outcome::Nothing),
    case(
        "in the starting folder",
        &["a/httputil.toml"],
        "a",
        Outcome::File("a/httputil.toml"),
    ),
    case(
        "in config",
        &["a/config/httputil.toml"],
        "a",
        Outcome::File("a/config/httputil.toml"),
    ),
    case(
        "both in one folder",
        &["a/httputil.toml", "a/config/httputil.toml"],
        "a",
        Outcome::Both("a"),
    ),
    case(
        "the project's, from a member",
        &["a/Cargo.lock", "a/config/httputil.toml", "a/crates/b/"],
        "a/crates/b",
        Outcome::File("a/config/httputil.toml"),
    ),
    case(
        "the nearest wins, in whichever form",
        &["a/Cargo.lock", "a/httputil.toml", "a/b/config/httputil.toml", "a/b/c/"],
        "a/b/c",
        Outcome::File("a/b/config/httputil.toml"),
    ),
    case(
        "both in a parent",
        &["a/Cargo.lock", "a/httputil.toml", "a/config/httputil.toml", "a/b/"],
        "a/b",
        Outcome::Both("a"),
    ),
    case(
        "not beyond Cargo.lock",
        &["a/httputil.toml", "a/b/Cargo.lock", "a/b/c/"],
        "a/b/c",
        Outcome::Nothing,
    ),
    case(
        "not beyond .git, a folder",
        &["a/httputil.toml", "a/b/.git/", "a/b/c/"],
        "a/b/c",
        Outcome::Nothing,
    ),
    case(
        "not beyond .git, a file",
        &["a/httputil.toml", "a/b/.git", "a/b/c/"],
        "a/b/c",
        Outcome::Nothing,
    ),
    case(
        "not beyond a starting folder with Cargo.lock",
        &["a/httputil.toml", "a/b/Cargo.lock"],
        "a/b",
        Outcome::Nothing,
    ),
    case(
        "only the starting folder if no parent bounds",
        &["a/httputil.toml", "a/b/"],
        "a/b",
        Outcome::Nothing,
    ),
    case(
        "a starting folder without bound",
        &["a/b/httputil.toml"],
        "a/b",
        Outcome::File("a/b/httputil.toml"),
    ),
    case(
        "files of an environment alone are none",
        &["a/httputil.test.toml"],
        "a",
        Outcome::Nothing,
    ),
    Case {
        name: "a parent that anyone can write to is passed over",
        tree: &["a/Cargo.lock", "a/httputil.toml", "a/b/httputil.toml", "a/b/c/"],
        open: &["a/b"],
        start: "a/b/c",
        outcome: Outcome::File("a/httputil.toml"),
    },
    Case {
        name: "a parent that anyone can write to does not bound",
        tree: &[
            "a/Cargo.lock",
            "a/httputil.toml",
            "a/b/.git/",
            "a/b/httputil.toml",
            "a/b/c/",
        ],
        open: &["a/b"],
        start: "a/b/c",
        outcome: Outcome::File("a/httputil.toml"),
    },
    Case {
        name: "a parent's config that anyone can write to is passed over",
        tree: &["a/Cargo.lock", "a/config/httputil.toml", "a/b/"],
        open: &["a/config"],
        start: "a/b",
        outcome: Outcome::Nothing,
    },
    Case {
        name: "a starting folder is the user's word, whoever can write to it",
        tree: &["a/httputil.toml"],
        open: &["a"],
        start: "a",
        outcome: Outcome::File("a/httputil.toml"),
    },
];

/// Makes the case's tree in this folder.
fn plant(case: &Case, root: &Path) {
    for path in case.tree {
        let full = root.join(path);
        if path.ends_with('/') {
            fs::create_dir_all(&full).unwrap();
        } else {
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            fs::write(&full, "").unwrap();
        }
    }
    #[cfg(unix)]
    for path in case.open {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o777)).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn the_derive_searches_the_folders_by_the_rule() {
    for case in CASES {
        let root = tempfile::tempdir().unwrap();
        plant(case, root.path());
        let wanted = match case.outcome {
            Outcome::Nothing => Ok(Found::Nothing),
            Outcome::File(path) => Ok(Found::File(root.path().join(path))),
            Outcome::Both(folder) => Err(Error::Both(root.path().join(folder))),
        };
        assert_eq!(locate(&root.path().join(case.start), None), wanted, "{}", case.name);
    }
}

#[cfg(unix)]
#[test]
fn run_time_searches_the_folders_by_the_same_rule() {
    for case in CASES {
        let root = tempfile::tempdir().unwrap();
        plant(case, root.path());
        let wanted = match case.outcome {
            Outcome::Nothing => Located::Nothing,
            Outcome::File(path) => Located::File(root.path().join(path)),
            Outcome::Both(folder) => {
                let folder = root.path().join(folder);
                Located::Both(folder.join("httputil.toml"), folder.join("config/httputil.toml"))
            }
        };
        assert_eq!(run_time::locate(&root.path().join(case.start)), wanted, "{}", case.name);
    }
}

#[test]
fn the_variable_counts_for_the_derive_only_as_the_absolute_path_of_a_file() {
    let root = tempfile::tempdir().unwrap();
    let found = root.path().join("httputil.toml");
    let named = root.path().join("other.toml");
    fs::write(&found, "").unwrap();
    fs::write(&named, "").unwrap();
    let find = |variable: &OsStr| locate(root.path(), Some(variable));
    let file = |path: &PathBuf| Ok(Found::File(path.clone()));
    assert_eq!(find(named.as_os_str()), file(&named));
    assert_eq!(find(OsStr::new("other.toml")), file(&found), "relative");
    assert_eq!(
        find(root.path().join("missing.toml").as_os_str()),
        file(&found),
        "missing"
    );
    assert_eq!(find(root.path().as_os_str()), file(&found), "a folder");
    assert_eq!(find(OsStr::new("none")), file(&found));
    assert_eq!(find(OsStr::new("")), file(&found));
}
