//! Where an answer may send a request.

/// Which redirects are followed (RFC 9110 §15.4): 301, 302, 303, 307 and 308 with a `Location`.
///
/// 303 makes `GET` of any method but `HEAD`, 301 and 302 make it of `POST`, and the body stays behind; otherwise method and
/// body go along. A body that is a stream cannot, and the answer is the caller's then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// `redirect.max`: redirects of one request, up to 100; one more is an error. Default 10; 0 follows none, and the answer
    /// is the caller's.
    pub max: u32,
    /// `redirect.cross_origin`: whether to another scheme, host or port. Default true; else it is an error.
    pub cross_origin: bool,
    /// `redirect.downgrade`: whether from `https` to `http`. Default false: it is an error.
    pub downgrade: bool,
}

impl Default for Redirect {
    fn default() -> Redirect {
        Redirect {
            max: 10,
            cross_origin: true,
            downgrade: false,
        }
    }
}
