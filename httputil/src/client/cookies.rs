//! Cookies on a request's way: what answers set goes with later requests (`cookies`).
//!
//! The rule: a [`Jar`](crate::policy) knows which cookie is for which host; here it is asked only for the profile's own
//! origins, where any are written, and no more once a redirect has led to another origin. A request's own `Cookie` replaces
//! what the jar has. What is added to a sending is not kept in the request, as with the profile's secrets. Without the
//! feature `cookies` nothing of this is there.

#[cfg(feature = "cookies")]
use std::sync::Arc;

use http::HeaderMap;

use super::execute::Prepared;
#[cfg(feature = "cookies")]
use crate::policy::Jar;
use crate::settings::Profile;

/// A jar, if cookies are kept.
#[derive(Clone, Default)]
pub(super) struct Cookies(#[cfg(feature = "cookies")] Option<Arc<Jar>>);

#[cfg(feature = "cookies")]
impl Cookies {
    /// A new jar for a profile that keeps cookies.
    pub(super) fn of(keeps: bool) -> Cookies {
        Cookies(keeps.then(Arc::default))
    }

    /// This one, or, where both keep cookies, the one that has been in use.
    pub(super) fn or_earlier(self, earlier: &Cookies) -> Cookies {
        match (&self.0, &earlier.0) {
            (Some(_), Some(earlier)) => Cookies(Some(Arc::clone(earlier))),
            _ => self,
        }
    }

    /// The jar of a profile's client: the profile's, but where its pool is its own type's, its own.
    pub(super) fn of_client(&self, profile: &Profile) -> Cookies {
        if profile.pool.contains('/') {
            Cookies::of(self.is_on())
        } else {
            self.clone()
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Forgets what answers have set.
    pub(super) fn clear(&self) {
        if let Some(jar) = &self.0 {
            jar.clear();
        }
    }
}

#[cfg(feature = "cookies")]
impl Prepared {
    fn jar(&self, has_strayed: bool) -> Option<&Jar> {
        let origins = &self.in_force.origins;
        let jar = self.in_force.cookies.0.as_deref()?;
        origins.session_may_go(&self.target, has_strayed).then_some(jar)
    }

    /// Adds the cookies for the place that the request goes to, unless it has some of its own.
    pub(super) fn add_cookies(&self, headers: &mut HeaderMap) {
        use http::header::COOKIE;
        if let Some(jar) = self.jar(self.has_strayed)
            && !headers.contains_key(COOKIE)
            && let Some(cookies) = self.failing.address.url().and_then(|url| jar.give(&url))
        {
            headers.insert(COOKIE, cookies);
        }
    }

    /// Keeps the cookies that the answer sets.
    pub(super) fn keep_cookies(&self) {
        use http::header::SET_COOKIE;
        if let Some(head) = &self.head
            && head.headers().contains_key(SET_COOKIE)
            && let Some(jar) = self.jar(false)
            && let Some(url) = self.failing.address.url()
        {
            jar.take(&url, head.headers().get_all(SET_COOKIE));
        }
    }
}

#[cfg(not(feature = "cookies"))]
#[expect(clippy::unused_self, reason = "there are none")]
impl Cookies {
    pub(super) fn of(_: bool) -> Cookies {
        Cookies()
    }

    pub(super) fn or_earlier(self, _: &Cookies) -> Cookies {
        self
    }

    pub(super) fn of_client(&self, _: &Profile) -> Cookies {
        Cookies()
    }

    pub(super) fn is_on(&self) -> bool {
        false
    }

    pub(super) fn clear(&self) {}
}

#[cfg(not(feature = "cookies"))]
#[expect(clippy::unused_self, reason = "there are none")]
impl Prepared {
    pub(super) fn add_cookies(&self, _: &mut HeaderMap) {}

    pub(super) fn keep_cookies(&self) {}
}
