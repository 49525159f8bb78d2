//! What is done: a file of lines that is only added to, so that a migration that was killed goes on where it was.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::s3::Listed;

/// The file, and what it says. While it is open, no other process opens it.
pub(super) struct Manifest {
    /// Of keys and `ETag`s: buckets have many.
    done: HashSet<[u8; 16]>,
    file: File,
}

/// The first line: between which buckets.
#[derive(Deserialize, PartialEq, Serialize)]
pub(super) struct Route {
    pub(super) from: String,
    pub(super) to: String,
}

/// Each further one.
#[derive(Deserialize, Serialize)]
struct Line {
    key: String,
    e_tag: String,
}

impl Manifest {
    /// Opens it, or begins it. A line that a process was killed in is cut off.
    pub(super) fn open(path: &Path, route: &Route) -> io::Result<Manifest> {
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(io::ErrorKind::ResourceBusy, "another process has the manifest"),
            TryLockError::Error(error) => error,
        })?;
        let strange = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()));
        let mut done = HashSet::new();
        let (mut whole, mut line) = (0, Vec::new());
        let mut reader = BufReader::new(&mut file);
        while reader.read_until(b'\n', &mut line)? > 0 && line.last() == Some(&b'\n') {
            if whole == 0 {
                let begun: Route = serde_json::from_slice(&line).map_err(|_| strange("no manifest of a migration"))?;
                if begun != *route {
                    return Err(strange("the manifest of a migration between other buckets"));
                }
            } else {
                let Line { key, e_tag } = serde_json::from_slice(&line).map_err(|_| strange("a line that is none"))?;
                done.insert(fingerprint(&key, &e_tag));
            }
            whole += line.len() as u64;
            line.clear();
        }
        file.set_len(whole)?;
        file.seek(SeekFrom::End(0))?;
        let mut manifest = Manifest { done, file };
        if whole == 0 {
            manifest.write(route)?;
        }
        Ok(manifest)
    }

    /// Whether this very object is done.
    pub(super) fn has(&self, object: &Listed) -> bool {
        self.done.contains(&fingerprint(&object.key, &object.e_tag))
    }

    /// Writes that it is. Not flushed to disk: a machine that loses power brings the object over again, which harms nobody.
    pub(super) fn add(&mut self, object: &Listed) -> io::Result<()> {
        self.write(&Line {
            key: object.key.clone(),
            e_tag: object.e_tag.clone(),
        })
    }

    fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(line).expect("text has a JSON form");
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

fn fingerprint(key: &str, e_tag: &str) -> [u8; 16] {
    // A key may hold any character but one that is not Unicode.
    let digest = digest(&SHA256, &[key.as_bytes(), &[0xff], e_tag.as_bytes()].concat());
    *digest.as_ref().first_chunk().expect("it has 32 bytes")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::{Manifest, Route};
    use crate::s3::Listed;

    fn route(to: &str) -> Route {
        Route {
            from: "a".to_owned(),
            to: to.to_owned(),
        }
    }

    fn object(key: &str, e_tag: &str) -> Listed {
        Listed {
            key: key.to_owned(),
            size: 1,
            e_tag: e_tag.to_owned(),
        }
    }

    #[test]
    fn what_is_done_is_known_to_the_next_process_and_half_a_line_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest");
        let mut manifest = Manifest::open(&path, &route("b")).unwrap();
        assert!(!manifest.has(&object("a\nb", "1")));
        manifest.add(&object("a\nb", "1")).unwrap();
        manifest.file.write_all(b"{\"key\":\"ha").unwrap();
        let busy = Manifest::open(&path, &route("b")).err().unwrap();
        assert_eq!(busy.to_string(), "another process has the manifest");
        drop(manifest);

        let mut manifest = Manifest::open(&path, &route("b")).unwrap();
        assert!(manifest.has(&object("a\nb", "1")));
        assert!(!manifest.has(&object("a\nb", "2")), "it has changed since");
        manifest.add(&object("c", "3")).unwrap();
        drop(manifest);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 3);
        assert!(Manifest::open(&path, &route("b")).unwrap().has(&object("c", "3")));
        let other = Manifest::open(&path, &route("c")).err().unwrap();
        assert!(
            other
                .to_string()
                .ends_with("the manifest of a migration between other buckets"),
            "{other}"
        );
    }

    #[test]
    fn a_file_that_is_no_manifest_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        fs::write(&path, "my notes\nand more").unwrap();
        Manifest::open(&path, &route("b")).err().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "my notes\nand more");
    }
}
