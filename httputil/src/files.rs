//! Files as bytes: only regular ones, and never endless.
//!
//! A device or a pipe is refused before it is opened, so that nothing waits for it and nothing fills the memory.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use crate::error::ShownPath;

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

/// Whether this is surely what a file holds, put where its path belongs: a key, a certificate, more than one line.
pub(crate) fn is_no_path(text: &str) -> bool {
    text.contains(['\n', '\r'])
        || text.contains("-----BEGIN")
        // The same in base64, as Kubernetes keeps secrets, and a key or a certificate without its first line.
        || text.starts_with("LS0tLS1CRUdJTi")
        || text.starts_with("MII") && text.len() > 100
}

/// Whether this is surely a token, put where the path of its file belongs: with its scheme, or of three parts in base64.
pub(crate) fn is_token(text: &str) -> bool {
    let begins = |word: &str| {
        text.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    begins("bearer ") || begins("basic ") || text.starts_with("eyJ") && text.matches('.').count() == 2
}

/// Whether a path that leads nowhere may as well be a token: a long word with digits, and no word before or after it.
fn may_be_a_token(path: &Path) -> bool {
    let text = path.file_name().unwrap_or_default().to_string_lossy();
    let longest = text.split(['-', '_', '.']).map(str::len).max().unwrap_or_default();
    longest >= 16 && text.bytes().any(|byte| byte.is_ascii_digit())
}

/// The text of a file that holds a secret, but for its last line end; the error names the file, and no more of it.
pub(crate) fn secret(path: &Path) -> Result<String, String> {
    let shown = ShownPath(path);
    let bytes = read(path).map_err(|refused| match &refused {
        Refused::Io(_) if may_be_a_token(path) => {
            format!("{refused} (its name, which may be the secret itself, is not shown; the path of a file is wanted)")
        }
        _ => format!("the file {shown}: {refused}"),
    })?;
    let text = String::from_utf8(bytes).map_err(|_| format!("the file {shown} is not UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(format!("the file {shown} is empty"));
    }
    Ok(line.to_owned())
}
