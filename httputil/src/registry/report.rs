//! What a reload changed.

use std::collections::BTreeMap;
use std::fmt;

/// What [`Registry::reload`](crate::Registry::reload) changed. `Display` says it in one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReloadReport {
    /// Every profile of the earlier or the new configuration, by name.
    pub profiles: BTreeMap<String, ProfileChange>,
    /// The pools whose connections are made by other settings now, sorted by name: those from before serve no new request.
    pub renewed_pools: Vec<String>,
    /// Whether `[registry]` has changed.
    pub registry: bool,
}

/// What has become of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProfileChange {
    /// Nothing that its requests or connections follow.
    Unchanged,
    /// What happens to its requests. Its connections stay.
    Policy,
    /// What shapes its connections, by a key or by what a file holds that a key names; its policy perhaps, too.
    Transport,
    /// It is new.
    Added,
    /// It is gone. Its clients that live go on with the settings that they had.
    Removed {
        /// How many of them there are.
        clients: usize,
    },
}

impl ReloadReport {
    /// Whether everything is as it was.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        let all = self.profiles.values();
        !self.registry
            && self.renewed_pools.is_empty()
            && all.into_iter().all(|change| *change == ProfileChange::Unchanged)
    }

    /// What has become of one profile; `None` if neither configuration has it.
    #[must_use]
    pub fn profile(&self, name: &str) -> Option<ProfileChange> {
        self.profiles.get(name).copied()
    }
}

/// `telemetry: policy; search: transport; billing: removed, 2 clients go on; pools renewed: search`
impl fmt::Display for ReloadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_nothing() {
            return f.write_str("nothing has changed");
        }
        let mut parts: Vec<String> = Vec::new();
        for (name, change) in &self.profiles {
            parts.push(match change {
                ProfileChange::Unchanged => continue,
                ProfileChange::Policy => format!("{name}: policy"),
                ProfileChange::Transport => format!("{name}: transport"),
                ProfileChange::Added => format!("{name}: added"),
                ProfileChange::Removed { clients: 0 } => format!("{name}: removed"),
                ProfileChange::Removed { clients: 1 } => format!("{name}: removed, 1 client goes on"),
                ProfileChange::Removed { clients } => format!("{name}: removed, {clients} clients go on"),
            });
        }
        if self.registry {
            parts.push("registry".to_owned());
        }
        if !self.renewed_pools.is_empty() {
            parts.push(format!("pools renewed: {}", self.renewed_pools.join(", ")));
        }
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line_of_what_has_changed() {
        let mut report = ReloadReport::default();
        report.profiles.insert("default".to_owned(), ProfileChange::Unchanged);
        assert_eq!(report.to_string(), "nothing has changed");
        report.profiles.insert("search".to_owned(), ProfileChange::Transport);
        report.profiles.insert("telemetry".to_owned(), ProfileChange::Policy);
        report
            .profiles
            .insert("billing".to_owned(), ProfileChange::Removed { clients: 2 });
        report.registry = true;
        report.renewed_pools = vec!["search".to_owned()];
        assert_eq!(
            report.to_string(),
            "billing: removed, 2 clients go on; search: transport; telemetry: policy; registry; pools renewed: search"
        );
    }
}
