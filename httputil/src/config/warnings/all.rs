//! All warnings of a configuration.

use super::{idle, refused, shadowed, trust, unreached, unusable};
use crate::config::Config;
use crate::config::homeless;
use crate::config::problems::Problems;
use crate::error::Problem;

impl Config {
    /// What may be written and is hardly meant, each with its place: certificates that are not verified, one
    /// `tls.server_name` for all hosts, secrets that everybody on the machine can read, bounds that others end before, keys
    /// that a switch makes idle, variables that a file is stronger than, secrets that a profile has inherited without an
    /// origin to send them to, files of `tls.*` and proxy variables that cannot be used here, profiles of an environment's
    /// file that are nearly called as another one, files that are passed over since everybody can write to their folder;
    /// and with `registry.strict = false` keys that this version does not know. `httputil check` shows it. Reads the files
    /// of `tls.*`, and the permissions of others.
    ///
    /// ```
    /// let text = "[telemetry]\nbreaker = { enabled = false, window = '5s' }";
    /// let config = httputil::Config::builder().embedded("built in", text).load()?;
    /// let warnings = config.warnings();
    /// assert_eq!(
    ///     warnings[0].to_string(),
    ///     "built in:2:39: telemetry.breaker.window = \"5s\": has no effect beside breaker.enabled = false"
    /// );
    /// # Ok::<(), httputil::Error>(())
    /// ```
    #[must_use]
    pub fn warnings(&self) -> Vec<Problem> {
        let mut found = Problems::default();
        for (name, profile) in &self.loaded.profiles {
            let Ok(chain) = self.chain(name) else { continue };
            trust::within(profile, &chain, &mut found);
            unreached::within(profile, &chain, &mut found);
            idle::within(profile, &chain, &mut found);
            refused::within(profile, &chain, &mut found);
        }
        let chains = self.loaded.profiles.iter();
        let chains = chains.filter_map(|(name, profile)| Some((profile, self.chain(name).ok()?)));
        homeless::between(chains, &mut Problems::default(), &mut found);
        unusable::here(self, &mut found);
        trust::open_files(&self.loaded.layers, &mut found);
        shadowed::between(self, &mut found);
        let known = self.underlined(found.into_list());
        self.loaded.told.iter().cloned().chain(known).collect()
    }
}
