//! Files as bytes: read only if regular, bounded, and UTF-8.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::position::Positions;
use crate::error::{Origin, Problem};

/// Far beyond any configuration that a person wrote.
const LARGEST: u64 = 4 << 20;

/// The text of a file. A device or a pipe is refused before it is opened, so that nothing waits for it.
pub(crate) fn read(path: &Path, shown: &Arc<PathBuf>) -> Result<String, Problem> {
    let whole = |message: String| Problem::at(Origin::WholeFile(Arc::clone(shown)), message);
    let failed = |error: &std::io::Error| {
        whole(match error.kind() {
            ErrorKind::NotFound => "no such file".to_owned(),
            ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => format!("can't be read: {error}"),
        })
    };
    let metadata = path.metadata().map_err(|error| failed(&error))?;
    if metadata.is_dir() {
        return Err(whole("is a folder; expected a file".to_owned()));
    }
    if !metadata.is_file() {
        return Err(whole("is not a regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| failed(&error))?;
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(whole("larger than 4 MiB, this can't be a configuration".to_owned()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..valid]);
        let (line, column) = Positions::new(&text).of(valid);
        Problem::at(
            Origin::File {
                path: Arc::clone(shown),
                line,
                column,
            },
            "not UTF-8; save the file as UTF-8",
        )
    })
}
