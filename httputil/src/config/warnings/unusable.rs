//! Files of certificates, keys and revocation lists, and proxy variables, that no client could be made with here.
//!
//! No mistakes of the configuration: it may be checked where they are not.

use crate::config::Config;
use crate::config::problems::Problems;
use crate::connect::{Proxies, unusable_files};

pub(super) fn here(config: &Config, found: &mut Problems) {
    for (name, profile) in &config.loaded.profiles {
        for problem in unusable_files(&profile.transport.tls) {
            found.add(|| config.place(name, &problem).map_or(problem, |(placed, _)| placed));
        }
        // What its keys say of a proxy has been checked.
        for problem in Proxies::of(profile, config.environment()).err().into_iter().flatten() {
            found.add(|| problem);
        }
    }
}
