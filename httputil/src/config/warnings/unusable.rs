//! Files of certificates, keys and revocation lists that no client could be made with here.
//!
//! No mistake of the configuration: it may be checked where they are not.

use crate::config::Config;
use crate::config::problems::Problems;
use crate::connect::unusable_files;

pub(super) fn files(config: &Config, found: &mut Problems) {
    for (name, profile) in &config.loaded.profiles {
        for problem in unusable_files(&profile.transport.tls) {
            found.add(|| config.place(name, &problem).map_or(problem, |(placed, _)| placed));
        }
    }
}
