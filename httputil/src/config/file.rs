//! A configuration file as text: regular, bounded, and UTF-8.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::position::Positions;
use crate::error::{Origin, Problem};
use crate::files::{self, Refused};

/// The text of a file; `shown` is its path as messages show it.
pub(crate) fn read(path: &Path, shown: &Arc<PathBuf>) -> Result<String, Problem> {
    let bytes = files::read(path).map_err(|refused| {
        let hint = if matches!(refused, Refused::TooLarge) {
            ", this can't be a configuration"
        } else {
            ""
        };
        Problem::at(Origin::WholeFile(Arc::clone(shown)), format!("{refused}{hint}"))
    })?;
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
