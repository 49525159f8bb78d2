//! The signature of a body, and its check.

use std::fmt::Write as _;

use aws_lc_rs::{constant_time, hmac};
use httputil::settings::Secret;

/// The header that bears the signature.
pub const SIGNATURE: &str = "x-nebulaio-signature-256";

/// `sha256=<hex>`: the HMAC-SHA256 (RFC 2104) of the body.
#[must_use]
pub fn signature(key: &Secret, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes());
    let mut text = String::from("sha256=");
    for byte in hmac::sign(&key, body).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether `given` is the body's signature. It takes as long for one that is nearly right as for any other.
#[must_use]
pub fn is_signed(key: &Secret, body: &[u8], given: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(signature(key, body).as_bytes(), given).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{is_signed, signature};

    #[test]
    fn a_signature_is_the_rfc_s() {
        // RFC 4231, test case 2.
        let wanted = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let (key, body) = ("Jefe".into(), b"what do ya want for nothing?");
        assert_eq!(signature(&key, body), wanted);
        assert!(is_signed(&key, body, wanted.as_bytes()));
        assert!(!is_signed(&key, b"another body", wanted.as_bytes()));
        assert!(!is_signed(&"another key".into(), body, wanted.as_bytes()));
        assert!(!is_signed(&key, body, b"sha256="));
    }
}
