//! Nothing may be left behind: sockets and tasks are counted before, and awaited after.
//!
//! `cargo test` runs the tests of one binary in one process, so a count of all sockets belongs in a binary of its own;
//! [`sockets_on`] counts those of one port and is right beside any other test. Tasks are counted per runtime, and each
//! `#[tokio::test]` has its own. Linux only (`/proc`).

use std::collections::HashSet;
use std::fs;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use crate::PATIENCE;

/// What was open when a test began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Baseline {
    port: Option<u16>,
    sockets: usize,
    tasks: usize,
}

impl Baseline {
    /// All sockets of the process, and the tasks of this runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or without `/proc`.
    #[must_use]
    pub fn take() -> Self {
        Self::count(None)
    }

    /// The sockets of the process that have this port at either end, and the tasks of this runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or without `/proc`.
    #[must_use]
    pub fn take_on(port: u16) -> Self {
        Self::count(Some(port))
    }

    /// Waits until no more is open than at the baseline; after [`PATIENCE`] panics at the caller's line with both counts.
    ///
    /// `/proc` has no event to wait for, so this looks every 5 ms.
    #[track_caller]
    pub fn assert_no_leak(&self) -> impl Future<Output = ()> {
        let caller = Location::caller();
        let before = *self;
        async move {
            let back = async {
                loop {
                    let now = Self::count(before.port);
                    if now.sockets <= before.sockets && now.tasks <= before.tasks {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let done = tokio::time::timeout(PATIENCE, back).await.is_ok();
            let now = || Self::count(before.port);
            assert!(
                done,
                "{caller}: left behind after {PATIENCE:?}: {:?}, before: {before:?}",
                now()
            );
        }
    }

    fn count(port: Option<u16>) -> Self {
        Self {
            port,
            sockets: port.map_or_else(open_sockets, sockets_on),
            tasks: alive_tasks(),
        }
    }
}

/// Open file descriptors of this process that are sockets.
///
/// # Panics
///
/// Without `/proc`.
#[must_use]
pub fn open_sockets() -> usize {
    inodes().len()
}

/// Open TCP sockets of this process, listening or connected, that have this port at either end.
///
/// # Panics
///
/// Without `/proc`.
#[must_use]
pub fn sockets_on(port: u16) -> usize {
    let ours = inodes();
    ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .map(|table| {
            table
                .lines()
                .skip(1)
                .filter_map(socket_line)
                .filter(|(ports, inode)| ports.contains(&port) && ours.contains(inode))
                .count()
        })
        .sum()
}

/// Tasks of the current runtime that have not ended.
///
/// # Panics
///
/// Outside a tokio runtime.
#[must_use]
pub fn alive_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// A descriptor that is closed while we look is no socket any more.
fn inodes() -> HashSet<u64> {
    fs::read_dir("/proc/self/fd")
        .expect("Linux has /proc")
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| {
            target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?
                .parse()
                .ok()
        })
        .collect()
}

/// The two ports and the inode of a line such as `0: 0100007F:1F90 00000000:0000 0A … 0 0 12345 …`.
fn socket_line(line: &str) -> Option<([u16; 2], u64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
    Some((
        [port(fields.get(1)?)?, port(fields.get(2)?)?],
        fields.get(9)?.parse().ok()?,
    ))
}
