//! Unix sockets: one path, no look-up, no race.

use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;

use super::DialFailure;
use super::failure::{is_our_own, plain};
use crate::error::{Kind, Phase};

/// Connects to the socket at `path`, within `bound` (`timeouts.connect`).
pub(super) async fn dial(path: &Path, bound: Duration) -> Result<UnixStream, DialFailure> {
    let whom = format!("unix:{}", path.display());
    tokio::time::timeout(bound, UnixStream::connect(path))
        .await
        .map_err(|_| DialFailure::timed_out(Phase::Connect, &whom, bound, "timeouts.connect"))?
        .map_err(|error| {
            let message = format!("connect to {whom} failed: {}", in_words(path, &error));
            DialFailure::new(kind(&error), message).with_source(error)
        })
}

fn kind(error: &io::Error) -> Kind {
    if is_our_own(error) {
        Kind::LimitExceeded
    } else {
        Kind::Connect
    }
}

fn in_words(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file; does the server run?".to_owned(),
        ErrorKind::PermissionDenied => "permission denied; we must be allowed to write to the socket".to_owned(),
        // The kernel does not wait where the socket is not to block.
        ErrorKind::WouldBlock => "the socket's backlog is full: its server accepts too slowly".to_owned(),
        ErrorKind::ConnectionRefused if !is_socket(path) => "the file is not a socket".to_owned(),
        ErrorKind::ConnectionRefused => "nobody listens on the socket; does the server run?".to_owned(),
        _ => plain(error),
    }
}

fn is_socket(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_socket())
}
