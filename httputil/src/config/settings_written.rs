//! Who wrote a service's setting, and for whom.

use super::loaded::Config;
use super::names::{DEFAULT, GLOBAL};
use crate::error::Origin;

/// A setting as it is written.
pub(crate) struct WrittenSetting {
    /// Where the value in force stands.
    pub(crate) origin: Origin,
    /// Whether no file has it, only variables or code.
    pub(crate) is_in_no_file: bool,
    config: Config,
    /// The table that the value in force stands in.
    table: String,
}

impl Config {
    /// How `[profile.settings]` has this key, which may lead into tables; `None` if it is not set.
    pub(crate) fn written_setting(&self, profile: &str, key: &str) -> Option<WrittenSetting> {
        let path = format!("settings.{key}");
        let chain = self.chain(profile).ok()?;
        let (table, node) = chain.written(&path).next()?;
        let is_in_no_file = chain
            .written(&path)
            .all(|(_, node)| matches!(node.origin, Origin::Variable(_) | Origin::Code(_)));
        Some(WrittenSetting {
            origin: node.origin.clone(),
            is_in_no_file,
            config: self.clone(),
            table: table.to_owned(),
        })
    }
}

impl WrittenSetting {
    /// Whether a service of this profile is given the value, too, by inheritance or as its own.
    pub(crate) fn counts_for(&self, profile: &str) -> bool {
        let ancestors = self.config.loaded.lineages.get(profile);
        [GLOBAL, DEFAULT, profile].contains(&self.table.as_str())
            || ancestors.is_some_and(|ancestors| ancestors.contains(&self.table))
    }
}
