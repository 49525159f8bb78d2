//! By how much the process's resident memory grows, as the kernel counts it.

use std::env;
use std::fs;

/// How much is streamed: `STREAMED_BYTES`, else 128 MiB, which is four times what a process may grow by.
pub(crate) fn streamed() -> u64 {
    let set = env::var("STREAMED_BYTES").ok();
    set.map_or(128 << 20, |bytes| bytes.parse().expect("STREAMED_BYTES is a number"))
}

/// What was resident at a time; the kernel's own peak begins there.
pub(crate) struct Baseline(u64);

impl Baseline {
    pub(crate) fn take() -> Baseline {
        // 5: the peak is forgotten.
        fs::write("/proc/self/clear_refs", "5").expect("Linux lets a process forget its peak");
        Baseline(of_status("VmRSS:"))
    }

    /// The most that was resident since, beyond it, in bytes.
    pub(crate) fn growth(&self) -> u64 {
        of_status("VmHWM:").saturating_sub(self.0)
    }
}

fn of_status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells a process of itself");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .expect("it is among them");
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
    kibibytes << 10
}
