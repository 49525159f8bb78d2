//! What all that is shown has in common.

use std::time::Duration;

use httputil_tests::PATIENCE;
use indicatif::{ProgressBar, ProgressStyle};
use services::command::Configuration;

/// A run.
pub(crate) struct Tour {
    /// Where the configuration comes from: the files and variables that services read.
    pub(crate) configuration: Configuration,
}

/// What a terminal shows while a service is at work; anything else is shown nothing.
pub(crate) fn progress(service: &'static str) -> ProgressBar {
    let style = "  {spinner} {prefix} {wide_bar} {pos}/{len} {msg}";
    let progress = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template(style) {
        progress.set_style(style);
    }
    progress.set_prefix(service);
    progress.enable_steady_tick(Duration::from_millis(100));
    progress
}

/// Waits until it is so; `None` if it is not in the time that anything here may take.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) -> Option<()> {
    let looking = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.ok()
}
