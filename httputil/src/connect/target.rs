//! Whom to connect to.

use std::fmt;
use std::net::IpAddr;

use url::Url;

/// `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// A host as the URL's one parse gave it: lower-case, IDNA applied, brackets gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    Name(String),
    Ip(IpAddr),
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
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err("the URL's scheme must be http or https"),
        };
        let host = match url.host() {
            Some(url::Host::Domain(name)) if !name.is_empty() => Host::Name(name.to_owned()),
            Some(url::Host::Ipv4(ip)) => Host::Ip(IpAddr::V4(ip)),
            Some(url::Host::Ipv6(ip)) => Host::Ip(IpAddr::V6(ip)),
            _ => return Err("the URL has no host"),
        };
        let port = url.port_or_known_default().unwrap_or_default();
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
        }
    }

    /// Host and port as `Host` and `:authority` bear them: without the scheme's own port (RFC 9110 §7.2).
    pub(crate) fn authority(&self) -> String {
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
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
