//! Whom to connect to.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use http::Uri;
use url::Url;

use crate::settings::socket_of;

/// `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn of(name: &str) -> Result<Scheme, &'static str> {
        match name {
            "http" => Ok(Scheme::Http),
            "https" => Ok(Scheme::Https),
            _ => Err("the URL's scheme must be http or https"),
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// A host that no URL's parser has seen.
pub(super) fn parse_host(name: &str) -> Result<Host, &'static str> {
    match url::Host::parse(name) {
        Ok(url::Host::Domain(name)) => Ok(Host::Name(name.into())),
        Ok(url::Host::Ipv4(ip)) => Ok(Host::Ip(IpAddr::V4(ip))),
        Ok(url::Host::Ipv6(ip)) => Ok(Host::Ip(IpAddr::V6(ip))),
        Err(_) if name.is_empty() => Err("the URI has no host"),
        Err(_) => Err("the URI's host is neither a name nor an address"),
    }
}

/// The length of the host in an authority that needs no parser: lower-case letters, digits, dots and single hyphens (so
/// no punycode), no address (whose last label begins with a digit), and nothing behind it but a port. Else 0.
fn plain_length(authority: &str) -> usize {
    let (mut before, mut begins_last) = (b'.', b'0');
    let mut bytes = authority.bytes();
    for byte in bytes.by_ref() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' if before == b'.' => begins_last = byte,
            b'a'..=b'z' | b'0'..=b'9' => {}
            b'-' | b'.' if byte != before => {}
            b':' => break,
            _ => return 0,
        }
        before = byte;
    }
    let port = bytes.len();
    if begins_last.is_ascii_digit() || !bytes.all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    authority.len() - port - usize::from(port > 0 || authority.ends_with(':'))
}

/// Whether this may stand behind a host: a port, or nothing.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.starts_with(':') && text.bytes().skip(1).all(|byte| byte.is_ascii_digit())
}

fn port_of(scheme: Scheme, port: &str) -> Result<u16, &'static str> {
    match port {
        "" | ":" => Ok(scheme.default_port()),
        port => port[1..]
            .parse()
            .map_err(|_| "the URI's port must be a number from 1 to 65535"),
    }
}

/// A host as the URL's one parse gave it: lower-case, IDNA applied, brackets gone.
#[derive(Clone, Debug, Eq)]
pub(crate) enum Host {
    Name(Arc<str>),
    Ip(IpAddr),
    /// A Unix socket, in place of a host.
    Socket(Arc<Path>),
}

/// A request's host is mostly a clone of the one that it is compared to, on three occasions.
impl PartialEq for Host {
    fn eq(&self, other: &Host) -> bool {
        match (self, other) {
            (Host::Name(one), Host::Name(other)) => Arc::ptr_eq(one, other) || one == other,
            (Host::Ip(one), Host::Ip(other)) => one == other,
            (Host::Socket(one), Host::Socket(other)) => Arc::ptr_eq(one, other) || one == other,
            _ => false,
        }
    }
}

impl Hash for Host {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Host::Name(name) => name.hash(state),
            Host::Ip(ip) => ip.hash(state),
            Host::Socket(path) => path.hash(state),
        }
    }
}

/// Scheme, host and port of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host,
    pub(crate) port: u16,
}

impl Target {
    /// Takes the target out of a URL, or says why there is none.
    pub(crate) fn of(url: &Url) -> Result<Target, &'static str> {
        Target::of_like(url, None)
    }

    /// The same where the host is mostly that of `other`: its name is shared then, and not copied.
    pub(crate) fn of_like(url: &Url, other: Option<&Target>) -> Result<Target, &'static str> {
        if let Some(path) = socket_of(url) {
            return Ok(Target {
                scheme: Scheme::Http,
                host: Host::Socket(path.into()),
                port: 0,
            });
        }
        let scheme = Scheme::of(url.scheme())?;
        let host = match url.host() {
            Some(url::Host::Domain(name)) if !name.is_empty() => Host::Name(match other.and_then(Target::name) {
                Some(other) if **other == *name => Arc::clone(other),
                _ => name.into(),
            }),
            Some(url::Host::Ipv4(ip)) => Host::Ip(IpAddr::V4(ip)),
            Some(url::Host::Ipv6(ip)) => Host::Ip(IpAddr::V6(ip)),
            _ => return Err("the URL has no host"),
        };
        let port = url.port_or_known_default().unwrap_or_default();
        Target::new(scheme, host, port)
    }

    /// The same of a URI, whose host has not been through a URL's parser: `http` takes what it finds.
    pub(crate) fn of_uri_like(uri: &Uri, other: Option<&Target>) -> Result<Target, &'static str> {
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err("the URI is not absolute: it must name scheme and host, as http://host/path does");
        };
        let scheme = Scheme::of(scheme)?;
        let text = authority.as_str();
        let other = other.and_then(Target::name);
        let behind = other.and_then(|other| text.strip_prefix(&**other).filter(|rest| is_port(rest)));
        if let (Some(other), Some(port)) = (other, behind) {
            return Target::new(scheme, Host::Name(Arc::clone(other)), port_of(scheme, port)?);
        }
        let (host, port) = match plain_length(text) {
            0 => {
                let name = authority.host();
                // What stands before an @ is no part of the place.
                let place = text.rsplit('@').next().unwrap_or_default();
                (parse_host(name)?, place.get(name.len()..).unwrap_or_default())
            }
            length => {
                let (name, port) = text.split_at(length);
                (Host::Name(name.into()), port)
            }
        };
        Target::new(scheme, host, port_of(scheme, port)?)
    }

    fn name(&self) -> Option<&Arc<str>> {
        match &self.host {
            Host::Name(name) => Some(name),
            _ => None,
        }
    }

    pub(super) fn new(scheme: Scheme, host: Host, port: u16) -> Result<Target, &'static str> {
        if port == 0 {
            return Err("port 0 cannot be connected to");
        }
        Ok(Target { scheme, host, port })
    }

    /// Whether the host is this machine: `localhost`, a name beneath it (RFC 6761 §6.3), or a loopback address.
    pub(crate) fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Name(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                name == "localhost" || name.ends_with(".localhost")
            }
            Host::Ip(IpAddr::V6(ip)) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
            Host::Ip(IpAddr::V4(ip)) => ip.is_loopback(),
            Host::Socket(_) => true,
        }
    }

    /// The path, if it is a Unix socket.
    pub(crate) fn socket(&self) -> Option<&Path> {
        match &self.host {
            Host::Socket(path) => Some(path),
            _ => None,
        }
    }

    /// Scheme, host and port; a socket's path.
    pub(crate) fn origin(&self) -> String {
        match (self.scheme, &self.host) {
            (_, Host::Socket(_)) => self.to_string(),
            (Scheme::Http, _) => format!("http://{self}"),
            (Scheme::Https, _) => format!("https://{self}"),
        }
    }

    /// Host and port as `Host` and `:authority` bear them: without the scheme's own port (RFC 9110 §7.2).
    pub(crate) fn authority(&self) -> String {
        if self.socket().is_some() {
            return "localhost".to_owned();
        }
        match (self.scheme, self.port) {
            (Scheme::Http, 80) | (Scheme::Https, 443) => self.host.to_string(),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Host::Socket(path) => write!(f, "unix:{}", path.display().to_string().escape_debug()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host {
            Host::Socket(_) => write!(f, "{}", self.host),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use super::*;

    #[test]
    fn a_uri_leads_to_where_the_same_url_leads() {
        for text in [
            "http://server/",
            "http://server",
            "https://server?query",
            "http://server:8080/path",
            "http://server:80/",
            "http://server:/",
            "HTTP://SerVer.Example.COM./",
            "http://user:word@server:81/",
            "http://user:80@server/",
            "http://user@server/",
            "http://a.b.@c@server.x/",
            "http://server./",
            "http://a--b/",
            "http://a..b/",
            "http://-a/",
            "http://127.0.0.1:1/",
            "http://127.1/",
            "http://0x7f.1/",
            "http://10.0.0.1./",
            "http://[::1]/",
            "http://[2001:DB8::1]:8443/",
            "http://user@[::1]:8443/",
            "http://my_host/",
            "http://a-b.c-1.d/",
            "http://1.2.3.example/",
            "http://xn--bcher-kva.example/",
            "http://server:0/",
        ] {
            let url = Target::of(&text.parse().unwrap());
            let uri = text.parse().unwrap();
            assert_eq!(Target::of_uri_like(&uri, None), url, "{text}");
            let other = Target::new(Scheme::Https, Host::Name("server".into()), 1).ok();
            assert_eq!(Target::of_uri_like(&uri, other.as_ref()), url, "{text}, after another");
        }
    }

    #[test]
    fn hosts_are_the_same_by_what_they_are_wherever_it_is_kept() {
        let hosts = || {
            let name = Host::Name("a.test".into());
            let socket = Host::Socket(Path::new("a.test").into());
            [
                name,
                socket,
                Host::Name("b.test".into()),
                Host::Ip([10, 0, 0, 1].into()),
            ]
        };
        let hash = |host: &Host| BuildHasherDefault::<DefaultHasher>::new().hash_one(host);
        for (index, one) in hosts().iter().enumerate() {
            assert_eq!(one, &one.clone());
            for (other_index, other) in hosts().iter().enumerate() {
                assert_eq!(one == other, index == other_index, "{one:?} and {other:?}");
                assert!(one != other || hash(one) == hash(other), "{one:?}");
            }
        }
    }

    #[test]
    fn a_uri_that_leads_nowhere_says_why() {
        for (text, why) in [
            ("/path", "not absolute"),
            ("*", "not absolute"),
            ("server:80", "not absolute"),
            ("ftp://server/", "must be http or https"),
            ("http://server:99999/", "port must be a number"),
            ("http://1.2.3.999/", "neither a name nor an address"),
            ("http://xn--a/", "neither a name nor an address"),
        ] {
            let error = Target::of_uri_like(&text.parse().unwrap(), None).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
