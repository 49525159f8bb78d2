//! Cookies that answers set, for later requests (RFC 6265, and what its successor's draft adds for safety).
//!
//! ```
//! use http::HeaderValue;
//! use httputil::policy::cookies::Jar;
//! use url::Url;
//!
//! let jar = Jar::default();
//! let asked = Url::parse("https://shop.example/login")?;
//! let set = [HeaderValue::from_static("session=7; Secure; Path=/"), HeaderValue::from_static("a=b; Domain=example")];
//! jar.take(&asked, &set);
//! // The second one was for a whole top-level domain, and nobody may set that.
//! assert_eq!(jar.give(&Url::parse("https://shop.example/cart")?).unwrap(), "session=7");
//! assert_eq!(jar.give(&Url::parse("http://shop.example/cart")?), None);
//! # Ok::<(), url::ParseError>(())
//! ```
//!
//! `cookie_store` keeps them and says which fit a URL. What it leaves out is here: no cookie for a whole public suffix, for
//! an address or by a trailing dot, `Secure` from and to `https` only, the prefixes `__Host-` and `__Secure-`, no control
//! bytes, and bounds of number and size. A jar has a store for each *site*, a domain that one party registers, so that a
//! request looks at its own site's cookies only, and a site crowds out no other's before all are too many.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cookie_store::{Cookie, CookieDomain, CookieStore, RawCookie, StoreAction};
use http::HeaderValue;
use url::{Host, Url};

/// What RFC 6265 §6.1 asks for, and what browsers keep.
const MOST_OF_SITE: usize = 180;
const MOST: usize = 3000;
/// Bytes of names, values, domains and paths.
const LARGEST: usize = 4 << 10;
const LARGEST_OF_SITE: usize = 32 << 10;
const LARGEST_OF_ALL: usize = 4 << 20;

/// Cookies that are kept together, such as those of one profile's clients. They are in memory only, and shown by nothing. The
/// feature `cookies` brings it.
///
/// At most 180 cookies and 32 KiB of one registered domain are kept, 3000 and 4 MiB in all: of more, the oldest of a domain are
/// forgotten, or the domains that were used least recently.
#[derive(Default)]
pub struct Jar(Mutex<Sites>);

#[derive(Default)]
struct Sites {
    by_name: HashMap<String, Site>,
    /// Over all sites.
    count: usize,
    bytes: usize,
    /// Counts the uses.
    clock: u64,
}

#[derive(Default)]
struct Site {
    store: CookieStore,
    /// What is in the store, in the order in which it came.
    order: VecDeque<Entry>,
    bytes: usize,
    used: u64,
}

#[derive(PartialEq, Eq)]
struct Entry {
    domain: String,
    path: String,
    name: String,
    bytes: usize,
}

impl Jar {
    /// Keeps what an answer to a request for `url` sets, as far as it may; `lines` are the answer's `Set-Cookie`.
    pub fn take<'a>(&self, url: &Url, lines: impl IntoIterator<Item = &'a HeaderValue>) {
        let mut lines = lines.into_iter().peekable();
        if lines.peek().is_none() {
            return;
        }
        let Some(name) = site_of(url) else { return };
        let mut sites = self.sites();
        let sites = &mut *sites;
        sites.clock += 1;
        let site = sites.by_name.entry(name.clone()).or_default();
        site.used = sites.clock;
        let (count, bytes) = (site.order.len(), site.bytes);
        for line in lines {
            if let Some(cookie) = parse(line, url) {
                site.keep(cookie, url);
            }
        }
        sites.count = sites.count + site.order.len() - count;
        sites.bytes = sites.bytes + site.bytes - bytes;
        if site.order.is_empty() {
            sites.by_name.remove(&name);
        }
        sites.make_room(&name);
    }

    /// The `Cookie` of a request for `url`, marked as sensitive, if there are any for it: longer paths first, then
    /// older cookies (RFC 6265 §5.4).
    pub fn give(&self, url: &Url) -> Option<HeaderValue> {
        let mut sites = self.sites();
        let sites = &mut *sites;
        if sites.by_name.is_empty() {
            return None;
        }
        let site = sites.by_name.get_mut(&site_of(url)?)?;
        sites.clock += 1;
        site.used = sites.clock;
        let is_secure = url.scheme() == "https";
        let fitting = site.store.matches(url).into_iter();
        let fitting = fitting.filter(|cookie| is_secure || cookie.secure() != Some(true));
        let mut fitting: Vec<(usize, &Cookie<'static>)> =
            fitting.map(|cookie| (site.place_of(cookie), cookie)).collect();
        fitting.sort_by_key(|(place, cookie)| (Reverse(cookie.path.len()), *place));
        let mut text = String::new();
        for (_, cookie) in fitting {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(cookie.name());
            text.push('=');
            text.push_str(cookie.value());
        }
        let value = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok();
        let mut value = value.filter(|value| !value.is_empty())?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Forgets them all.
    pub fn clear(&self) {
        let forgotten = std::mem::take(&mut *self.sites());
        // Behind the lock.
        drop(forgotten);
    }

    fn sites(&self) -> MutexGuard<'_, Sites> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn size(&self) -> (usize, usize) {
        let sites = self.sites();
        assert_eq!(
            (sites.count, sites.bytes),
            sites.by_name.values().fold((0, 0), |(count, bytes), site| {
                assert_eq!(site.store.iter_any().count(), site.order.len());
                (count + site.order.len(), bytes + site.bytes)
            })
        );
        (sites.count, sites.bytes)
    }
}

impl std::fmt::Debug for Jar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jar").finish_non_exhaustive()
    }
}

impl Sites {
    /// Forgets the sites that were used least recently, but for this one, if a bound is crossed; a tenth at once, so that a
    /// flood of sites does not look at all of them each time.
    fn make_room(&mut self, but: &str) {
        if self.count <= MOST && self.bytes <= LARGEST_OF_ALL {
            return;
        }
        let others = self.by_name.iter().filter(|(name, _)| *name != but);
        let mut others: Vec<(u64, String)> = others.map(|(name, site)| (site.used, name.clone())).collect();
        others.sort_unstable();
        for (_, name) in others {
            if self.count <= MOST / 10 * 9 && self.bytes <= LARGEST_OF_ALL / 10 * 9 {
                return;
            }
            if let Some(site) = self.by_name.remove(&name) {
                self.count -= site.order.len();
                self.bytes -= site.bytes;
            }
        }
    }
}

impl Site {
    fn keep(&mut self, cookie: Cookie<'static>, url: &Url) {
        // What was set over https is not replaced or hidden from over http.
        if url.scheme() != "https" {
            let is_hidden = |kept: &Cookie<'static>| {
                kept.secure() == Some(true) && kept.name() == cookie.name() && !kept.is_expired()
            };
            if self.store.iter_any().any(is_hidden) {
                return;
            }
        }
        let entry = Entry::of(&cookie);
        let place = self.place_of(&cookie);
        match self.store.insert(cookie, url) {
            Ok(StoreAction::Inserted | StoreAction::UpdatedExisting) => self.note(place, entry),
            Ok(StoreAction::ExpiredExisting) => self.drop_at(place),
            Err(_) => {}
        }
        if self.order.len() > MOST_OF_SITE || self.bytes > LARGEST_OF_SITE {
            self.drop_expired();
        }
        while self.order.len() > MOST_OF_SITE || self.bytes > LARGEST_OF_SITE {
            self.drop_at(0);
        }
    }

    /// Writes down what is in the store now. A cookie that is replaced keeps its place (RFC 6265 §5.3).
    fn note(&mut self, place: usize, entry: Entry) {
        self.bytes += entry.bytes;
        if let Some(known) = self.order.get_mut(place) {
            self.bytes -= known.bytes;
            *known = entry;
        } else {
            self.order.push_back(entry);
        }
    }

    /// Where a cookie of this domain, path and name stands; at the end, if there is none.
    fn place_of(&self, cookie: &Cookie<'static>) -> usize {
        let domain = cookie.domain.as_cow();
        let is_this = |entry: &Entry| {
            entry.name == cookie.name() && entry.path == *cookie.path && domain.as_deref() == Some(&entry.domain)
        };
        self.order.iter().position(is_this).unwrap_or(self.order.len())
    }

    fn drop_at(&mut self, place: usize) {
        if let Some(entry) = self.order.remove(place) {
            self.store.remove(&entry.domain, &entry.path, &entry.name);
            self.bytes -= entry.bytes;
        }
    }

    fn drop_expired(&mut self) {
        for place in (0..self.order.len()).rev() {
            let Entry { domain, path, name, .. } = &self.order[place];
            if !self.store.contains(domain, path, name) {
                self.drop_at(place);
            }
        }
    }
}

impl Entry {
    fn of(cookie: &Cookie<'static>) -> Entry {
        let domain = cookie.domain.as_cow().unwrap_or_default().into_owned();
        let path = String::from(&cookie.path);
        let name = cookie.name().to_owned();
        let bytes = domain.len() + path.len() + name.len() + cookie.value().len();
        Entry {
            domain,
            path,
            name,
            bytes,
        }
    }
}

/// Whose cookies are kept together: what one party registered, or the host. A Unix socket has none: it is no host.
fn site_of(url: &Url) -> Option<String> {
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let host = url.host_str()?;
    let is_name = matches!(url.host(), Some(Host::Domain(_)));
    let site = if is_name { psl::domain_str(host) } else { None };
    Some(site.unwrap_or(host).to_owned())
}

/// The cookie of a `Set-Cookie`, if an answer from there may set it.
fn parse(line: &HeaderValue, url: &Url) -> Option<Cookie<'static>> {
    let bytes = line.as_bytes();
    if bytes.len() > 2 * LARGEST || bytes.iter().any(u8::is_ascii_control) {
        return None;
    }
    let mut raw = RawCookie::parse(std::str::from_utf8(bytes).ok()?.to_owned()).ok()?;
    let is_secure = raw.secure() == Some(true);
    let (reach, is_of_host) = match raw.domain() {
        None => (Reach::Host, raw.path() == Some("/")),
        Some("") => (Reach::Host, false),
        Some(domain) => (Reach::of(domain, url), false),
    };
    let begins = |prefix: &str| {
        let start = raw.name().get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let breaks_promise = begins("__Secure-") && !is_secure || begins("__Host-") && !(is_secure && is_of_host);
    if breaks_promise || is_secure && url.scheme() != "https" {
        return None;
    }
    raw.unset_domain();
    let mut cookie = Cookie::try_from_raw_cookie(&raw, url).ok()?.into_owned();
    match reach {
        Reach::Host => {}
        Reach::Domain(domain) => cookie.domain = CookieDomain::Suffix(domain),
        Reach::Nowhere => return None,
    }
    (Entry::of(&cookie).bytes <= LARGEST).then_some(cookie)
}

/// Which hosts a cookie is for.
enum Reach {
    /// The one that sets it.
    Host,
    /// This one and those beneath it.
    Domain(String),
    /// The answer may not set it.
    Nowhere,
}

impl Reach {
    /// By the attribute `Domain` of an answer to a request for `url`.
    fn of(attribute: &str, url: &Url) -> Reach {
        let own = |is_own| if is_own { Reach::Host } else { Reach::Nowhere };
        let host = url.host_str().unwrap_or_default();
        // One parse decides what is a name: `0x7f.1` is an address here as it is in the URL.
        let domain = match Host::parse(attribute) {
            Ok(Host::Domain(domain)) => domain,
            Ok(address) => return own(address.to_string() == host),
            Err(_) => return Reach::Nowhere,
        };
        if domain.ends_with('.') {
            return Reach::Nowhere;
        }
        if is_public_suffix(&domain) {
            return own(domain == host);
        }
        let above = host.strip_suffix(&domain);
        let is_above = above.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        if is_above && matches!(url.host(), Some(Host::Domain(_))) {
            Reach::Domain(domain)
        } else {
            Reach::Nowhere
        }
    }
}

/// Whether anybody can register names right beneath it. A domain that the list does not know has a last label that is one.
fn is_public_suffix(domain: &str) -> bool {
    let (readable, _) = idna::domain_to_unicode(domain);
    psl::suffix_str(&readable).is_none_or(|suffix| suffix == readable)
}

#[cfg(test)]
mod tests;
