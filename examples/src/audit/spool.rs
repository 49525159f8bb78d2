//! Batches on disk: one file each, its name the order and the key, its lines the events.
//!
//! `00000000000000000007-<uuid>.open` is being written, `….batch` waits to be sent, `….rejected` was refused. Everything here
//! blocks; the tasks call it where that is allowed.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

/// A folder of batches. One process has it at a time, and in it whoever holds the lock.
pub(super) struct Spool {
    folder: PathBuf,
    next: u64,
    open: Option<Open>,
    lock: Arc<File>,
}

/// The batch that is being written.
struct Open {
    file: File,
    batch: Batch,
}

/// A batch on disk.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    path: PathBuf,
    /// The same on every try.
    pub(super) id: Uuid,
    /// How many events.
    pub(super) events: u64,
    /// The size of its file.
    pub(super) bytes: u64,
}

impl Spool {
    /// Opens the folder, which is made if it is missing, and finds what an earlier process left, oldest first. Of an
    /// event that was half written nobody was told that it is safe; it is cut off.
    pub(super) fn open(folder: &Path) -> io::Result<(Spool, Vec<Batch>)> {
        fs::create_dir_all(folder)?;
        let lock = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(folder.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(io::ErrorKind::ResourceBusy, "another process has the spool"),
            TryLockError::Error(error) => error,
        })?;
        let mut left = Vec::new();
        let mut last = 0;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let Some((number, id)) = number_and_id(&path) else {
                continue;
            };
            last = last.max(number);
            match path.extension().and_then(OsStr::to_str) {
                Some("open") => left.extend(recover(&path, id)?.map(|batch| (number, batch))),
                Some("batch") => left.push((number, measure(&path, id)?)),
                _ => {}
            }
        }
        left.sort_by_key(|(number, _)| *number);
        let spool = Spool {
            folder: folder.to_owned(),
            next: last + 1,
            open: None,
            lock: Arc::new(lock),
        };
        Ok((spool, left.into_iter().map(|(_, batch)| batch).collect()))
    }

    /// Writes the events into the open batch; they are on disk when this returns. Of a failure nothing stays.
    pub(super) fn append(&mut self, events: &[Vec<u8>]) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Some(self.begin()?);
        }
        let open = self.open.as_mut().expect("it has just been opened");
        let lines: Vec<u8> = events
            .iter()
            .flat_map(|event| [event.as_slice(), b"\n"])
            .flatten()
            .copied()
            .collect();
        let written = open.file.write_all(&lines).and_then(|()| open.file.sync_data());
        if let Err(error) = written {
            // A full disk leaves half a line, behind which the next event would be lost.
            open.file.set_len(open.batch.bytes)?;
            open.file.seek(io::SeekFrom::End(0))?;
            return Err(error);
        }
        open.batch.events += events.len() as u64;
        open.batch.bytes += lines.len() as u64;
        Ok(())
    }

    /// While anybody holds it, no other process opens the spool.
    pub(super) fn lock(&self) -> Arc<File> {
        Arc::clone(&self.lock)
    }

    /// How many events the open batch has.
    pub(super) fn pending(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.batch.events)
    }

    /// Ends the open batch, which may be sent now.
    pub(super) fn close(&mut self) -> io::Result<Option<Batch>> {
        let Some(open) = self.open.take_if(|open| open.batch.events > 0) else {
            return Ok(None);
        };
        open.batch.renamed("batch").map(Some)
    }

    fn begin(&mut self) -> io::Result<Open> {
        let id = Uuid::new_v4();
        let path = self.folder.join(format!("{:020}-{id}.open", self.next));
        let file = OpenOptions::new().create_new(true).write(true).open(&path)?;
        // The name is on disk when the folder is.
        File::open(&self.folder)?.sync_all()?;
        self.next += 1;
        let batch = Batch {
            path,
            id,
            events: 0,
            bytes: 0,
        };
        Ok(Open { file, batch })
    }
}

impl Batch {
    /// The JSON array of its events: the same bytes each time.
    pub(super) fn body(&self) -> io::Result<Bytes> {
        let lines = fs::read(&self.path)?;
        let mut body = Vec::with_capacity(lines.len() + 2);
        body.push(b'[');
        body.extend(
            lines
                .strip_suffix(b"\n")
                .unwrap_or(&lines)
                .iter()
                .map(|byte| match byte {
                    // JSON in one line has no other.
                    b'\n' => b',',
                    other => *other,
                }),
        );
        body.push(b']');
        Ok(body.into())
    }

    /// Deletes it, for it was taken.
    pub(super) fn delete(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }

    /// Puts it aside, for it was refused for good.
    pub(super) fn put_aside(&self) -> io::Result<PathBuf> {
        self.renamed("rejected").map(|batch| batch.path)
    }

    fn renamed(&self, extension: &str) -> io::Result<Batch> {
        let path = self.path.with_extension(extension);
        fs::rename(&self.path, &path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Batch { path, ..self.clone() })
    }
}

fn number_and_id(path: &Path) -> Option<(u64, Uuid)> {
    let (number, id) = path.file_stem()?.to_str()?.split_once('-')?;
    Some((number.parse().ok()?, id.parse().ok()?))
}

fn measure(path: &Path, id: Uuid) -> io::Result<Batch> {
    let mut text = Vec::new();
    File::open(path)?.read_to_end(&mut text)?;
    Ok(Batch {
        path: path.to_owned(),
        id,
        events: text.split_inclusive(|byte| *byte == b'\n').count() as u64,
        bytes: text.len() as u64,
    })
}

/// Makes a batch of what a process that has ended was writing.
fn recover(path: &Path, id: Uuid) -> io::Result<Option<Batch>> {
    let text = fs::read(path)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    if whole == 0 {
        fs::remove_file(path)?;
        return Ok(None);
    }
    OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    measure(path, id)?.renamed("batch").map(Some)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::Spool;

    #[test]
    fn what_a_killed_process_wrote_is_found_in_order_and_half_an_event_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, left) = Spool::open(folder.path()).unwrap();
        assert!(left.is_empty());
        spool.append(&[b"1".to_vec(), b"2".to_vec()]).unwrap();
        let first = spool.close().unwrap().unwrap();
        spool.append(&[b"3".to_vec()]).unwrap();
        let mut open = spool.open.take().unwrap();
        open.file.write_all(b"{\"half\":").unwrap();
        drop((open, spool));

        let (mut spool, left) = Spool::open(folder.path()).unwrap();
        let bodies: Vec<_> = left.iter().map(|batch| batch.body().unwrap()).collect();
        assert_eq!(bodies, ["[1,2]", "[3]"]);
        assert_eq!(left.iter().map(|batch| batch.events).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(left[0].id, first.id, "the key is the same in the next process");
        spool.append(&[b"4".to_vec()]).unwrap();
        let third = spool.close().unwrap().unwrap();
        assert!(third.path > left[1].path, "the order goes on");
    }

    #[test]
    fn one_process_has_a_spool_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        let busy = Spool::open(folder.path()).err().unwrap();
        assert_eq!(busy.to_string(), "another process has the spool");
        drop(spool);
        Spool::open(folder.path()).unwrap();
    }

    #[test]
    fn what_was_refused_is_kept_and_not_sent_again() {
        let folder = tempfile::tempdir().unwrap();
        let (mut spool, _) = Spool::open(folder.path()).unwrap();
        spool.append(&[b"1".to_vec()]).unwrap();
        let kept = spool.close().unwrap().unwrap().put_aside().unwrap();
        drop(spool);
        assert!(Spool::open(folder.path()).unwrap().1.is_empty());
        assert_eq!(fs::read_to_string(kept).unwrap(), "1\n");
    }
}
