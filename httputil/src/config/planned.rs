//! Keys that are decided but that no code gives life to yet: refused, in other words than a typo.

/// Keys of a profile, by path.
const PROFILE: [&str; 0] = [];

/// Keys of `[registry]`.
const REGISTRY: [&str; 1] = ["metrics.max_hosts"];

/// What a path is, as far as the plans go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    /// A key.
    Key,
    /// A table that holds such keys.
    Section,
    /// Nothing of ours.
    No,
}

/// Looks a profile's key up.
pub(crate) fn in_profile(path: &str) -> Planned {
    look_up(&PROFILE, path)
}

/// Looks a key of `[registry]` up.
pub(crate) fn in_registry(path: &str) -> Planned {
    look_up(&REGISTRY, path)
}

/// All planned keys of a profile.
pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
    PROFILE.into_iter()
}

/// All planned keys of `[registry]`.
pub(crate) fn registry_keys() -> impl Iterator<Item = &'static str> {
    REGISTRY.into_iter()
}

fn look_up(keys: &[&str], path: &str) -> Planned {
    let below = |key: &str, path: &str| path.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    if keys.iter().any(|key| *key == path || below(key, path)) {
        Planned::Key
    } else if keys.iter().any(|key| below(path, key)) {
        Planned::Section
    } else {
        Planned::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sections_and_typos_are_told_apart() {
        assert_eq!(in_registry("metrics.max_hosts"), Planned::Key);
        assert_eq!(in_registry("metrics"), Planned::Section);
        assert_eq!(in_profile("compresion"), Planned::No);
        assert_eq!(in_registry("metrics.max_hosts"), Planned::Key);
    }

    #[test]
    fn no_living_key_is_planned() {
        for (path, _) in crate::config::schema::schema().leaves() {
            assert_eq!(in_profile(&path), Planned::No, "{path}");
        }
        for (path, _) in crate::config::schema::registry_schema().leaves() {
            assert_eq!(in_registry(&path), Planned::No, "{path}");
        }
    }
}
