//! Files as bytes: only regular ones, and never endless.
//!
//! A device or a pipe is refused before it is opened, so that nothing waits for it and nothing fills the memory.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Far beyond any configuration or bundle of certificates.
pub(crate) const LARGEST: u64 = 4 << 20;

/// Why a file was not read, in words that follow its name.
#[derive(Debug)]
pub(crate) enum Refused {
    Io(io::Error),
    Folder,
    Special,
    TooLarge,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Io(error) => match error.kind() {
                ErrorKind::NotFound => f.write_str("no such file"),
                ErrorKind::PermissionDenied => f.write_str("permission denied"),
                _ => write!(f, "can't be read: {error}"),
            },
            Refused::Folder => f.write_str("is a folder; expected a file"),
            Refused::Special => f.write_str("is not a regular file"),
            Refused::TooLarge => f.write_str("larger than 4 MiB"),
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        Refused::Io(error)
    }
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Refused> {
    let metadata = path.metadata()?;
    if metadata.is_dir() {
        return Err(Refused::Folder);
    }
    if !metadata.is_file() {
        return Err(Refused::Special);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Refused::TooLarge);
    }
    Ok(bytes)
}

/// Whether everybody on the machine may read the file.
#[cfg(unix)]
pub(crate) fn is_open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
pub(crate) fn is_open_to_all(_: &Path) -> bool {
    false
}

/// The text of a file that holds a secret, but for its last line end; the error names the file, and no more of it.
pub(crate) fn secret(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let bytes = read(path).map_err(|refused| format!("the file {shown}: {refused}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("the file {shown} is not UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(format!("the file {shown} is empty"));
    }
    Ok(line.to_owned())
}
