//! Which origins are told who we are.
//!
//! ```
//! use httputil::policy::auth::Origins;
//! use url::Url;
//!
//! let (own, other) = (Url::parse("https://api.example/v1")?.origin(), Url::parse("https://cdn.example")?.origin());
//! let origins = Origins::new(vec![own.clone()]);
//! assert!(origins.secrets_may_go(&own, false));
//! assert!(!origins.secrets_may_go(&other, false));
//! assert!(!origins.secrets_may_go(&own, true), "a redirect to another origin led back here");
//! # Ok::<(), url::ParseError>(())
//! ```
//!
//! The rule: secrets go to the origins that somebody has written down for them, whatever URL a request has, and no more once a
//! redirect has led to another origin, be it there and back: who sent it there chose what it asks for. What one origin gave, or
//! what its user adds to each request, follows the same rule where origins are written, and goes anywhere where none are.

/// Somebody's own origins; `O` is what tells two apart, such as a [`url::Origin`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins<O>(Vec<O>);

impl<O: PartialEq> Origins<O> {
    /// These.
    pub fn new(own: Vec<O>) -> Origins<O> {
        Origins(own)
    }

    /// Whether none are written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether credentials and secret headers go there. `has_strayed` is whether a redirect has led the request to another
    /// origin than its first one.
    pub fn secrets_may_go(&self, to: &O, has_strayed: bool) -> bool {
        !has_strayed && self.0.contains(to)
    }

    /// Whether cookies and signatures go there.
    pub fn session_may_go(&self, to: &O, has_strayed: bool) -> bool {
        !has_strayed && (self.0.is_empty() || self.0.contains(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_to_what_is_written_alone_and_a_session_anywhere_where_nothing_is() {
        let (some, none) = (Origins::new(vec!["a", "b"]), Origins::new(Vec::new()));
        let may = |origins: &Origins<_>, to, has_strayed| {
            let session = origins.session_may_go(&to, has_strayed);
            (origins.secrets_may_go(&to, has_strayed), session)
        };
        assert_eq!(may(&some, "b", false), (true, true));
        assert_eq!(may(&some, "c", false), (false, false));
        assert_eq!(may(&none, "a", false), (false, true));
        for (origins, to) in [(&some, "a"), (&some, "c"), (&none, "a")] {
            assert_eq!(may(origins, to, true), (false, false), "{to}");
        }
        assert!(none.is_empty() && !some.is_empty());
    }
}
