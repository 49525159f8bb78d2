//! Who we are to a proxy.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;

/// A user and a password, for one proxy.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) username: String,
    pub(super) password: String,
}

impl Credentials {
    /// `Basic`, RFC 7617; marked so that it is not shown.
    pub(super) fn basic(&self) -> Result<HeaderValue, &'static str> {
        let Credentials { username, password } = self;
        if username.contains(':') {
            return Err("the user name holds a colon, which Basic authentication has no way to send");
        }
        if username.chars().chain(password.chars()).any(char::is_control) {
            return Err("user name or password holds a control character");
        }
        let encoded = BASE64_STANDARD.encode(format!("{username}:{password}"));
        let mut header = HeaderValue::try_from(format!("Basic {encoded}")).expect("base64 is visible ASCII");
        header.set_sensitive(true);
        Ok(header)
    }

    /// Whether they fit into RFC 1929's lengths of one byte. An empty password is let through, as other clients do.
    pub(super) fn check_for_socks(&self) -> Result<(), &'static str> {
        match (self.username.len(), self.password.len()) {
            (1..=255, 0..=255) => Ok(()),
            (0, _) => Err("SOCKS5 needs a user name beside the password"),
            _ => Err("user name and password may have 255 bytes each over SOCKS5"),
        }
    }
}

/// Never shown.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(not shown)")
    }
}
