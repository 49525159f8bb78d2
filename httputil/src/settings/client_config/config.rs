//! What a client made in code is made of, and from which profile.

use crate::settings::Profile;

/// The settings of a [`Client`](crate::Client) made in code.
///
/// Starts from the documented defaults; nothing is read from files or from `HTTPUTIL_*` variables. Only
/// `tls.insecure_skip_verify` needs `HTTPUTIL_ENV` to be `development` or `test`, here as in a file.
///
/// ```
/// use std::time::Duration;
/// use httputil::{Client, ClientConfig};
///
/// let config = ClientConfig::default().timeout(Duration::from_secs(60)).max_idle(200);
/// let client = Client::new(config)?;
/// # Ok::<(), httputil::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub(crate) profile: Profile,
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig {
            profile: Profile::named("default"),
        }
    }
}

impl ClientConfig {
    /// Starts from settings that were made elsewhere.
    pub fn from_profile(profile: Profile) -> ClientConfig {
        ClientConfig { profile }
    }

    /// Settings that have no method of their own.
    pub fn profile_mut(&mut self) -> &mut Profile {
        &mut self.profile
    }
}
