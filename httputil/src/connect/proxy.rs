//! Which proxy a request would take from the environment.
//!
//! Proxies cannot be spoken to yet. Until they can, a request that a proxy variable applies to fails by the variable's
//! name: never silently direct. Loopback hosts never take a proxy from the environment, as in Go.

use std::net::IpAddr;

use super::{DialFailure, Host, Scheme, Target};
use crate::error::Kind;
use crate::settings::Environment;

/// The proxy variables that are set, looked at once when the pool is built.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    http: Option<&'static str>,
    https: Option<&'static str>,
    exceptions: Vec<Exception>,
}

impl Proxies {
    /// Reads the variables. `HTTP_PROXY` in capitals is ignored where `REQUEST_METHOD` is set: there, a request's
    /// `Proxy:` header would have made it ("httpoxy", CVE-2016-5385).
    pub(crate) fn of(environment: &Environment) -> Proxies {
        let set = |names: &[&'static str]| {
            names
                .iter()
                .copied()
                .find(|name| environment.get(name).is_some_and(|value| !value.is_empty()))
        };
        let all = set(&["all_proxy", "ALL_PROXY"]);
        let in_cgi = environment.get("REQUEST_METHOD").is_some();
        let http = if in_cgi {
            set(&["http_proxy"])
        } else {
            set(&["http_proxy", "HTTP_PROXY"])
        };
        let exceptions = set(&["no_proxy", "NO_PROXY"])
            .and_then(|name| environment.get(name)?.to_str())
            .map(|list| list.split(',').filter_map(Exception::parse).collect())
            .unwrap_or_default();
        Proxies {
            http: http.or(all),
            https: set(&["https_proxy", "HTTPS_PROXY"]).or(all),
            exceptions,
        }
    }

    /// Whether the target can be reached directly; if not, the failure names the variable.
    pub(crate) fn check(&self, target: &Target) -> Result<(), DialFailure> {
        let variable = match target.scheme {
            Scheme::Http => self.http,
            Scheme::Https => self.https,
        };
        let Some(variable) = variable else { return Ok(()) };
        if target.is_loopback() || self.exceptions.iter().any(|exception| exception.covers(target)) {
            return Ok(());
        }
        Err(DialFailure::new(
            Kind::Proxy,
            format!(
                "{variable} names a proxy for {target}, and proxies are not available in this version; \
                 add the host to NO_PROXY, or set proxy.from_env = false to connect directly"
            ),
        ))
    }
}

/// One entry of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exception {
    what: What,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Everything,
    /// The name itself and every name beneath it.
    Suffix(String),
    /// Only names beneath it: the entry began with a dot.
    Beneath(String),
    Network(IpAddr, u8),
}

impl Exception {
    fn parse(entry: &str) -> Option<Exception> {
        let entry = entry.trim().to_ascii_lowercase();
        if entry.is_empty() {
            return None;
        }
        if let Some(network) = parse_network(&entry) {
            return Some(Exception {
                what: network,
                port: None,
            });
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry.as_str(), None),
        };
        let what = match host {
            "*" => What::Everything,
            host => parse_network(host).unwrap_or_else(|| {
                let host = host.strip_prefix('*').unwrap_or(host);
                match host.strip_prefix('.') {
                    Some(name) => What::Beneath(name.to_owned()),
                    None => What::Suffix(host.to_owned()),
                }
            }),
        };
        Some(Exception { what, port })
    }

    fn covers(&self, target: &Target) -> bool {
        if self.port.is_some_and(|port| port != target.port) {
            return false;
        }
        match (&self.what, &target.host) {
            (What::Everything, _) => true,
            (What::Suffix(suffix), Host::Name(name)) => name == suffix || is_beneath(name, suffix),
            (What::Beneath(suffix), Host::Name(name)) => is_beneath(name, suffix),
            (What::Network(network, bits), Host::Ip(ip)) => shares_prefix(*network, *ip, *bits),
            _ => false,
        }
    }
}

fn is_beneath(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'))
}

/// `10.0.0.0/8`, `10.1.2.3`, `[::1]` or `fd00::/8`.
fn parse_network(entry: &str) -> Option<What> {
    let (address, bits) = match entry.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (entry, None),
    };
    let address: IpAddr = address.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    let all = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(all);
    (bits <= all).then_some(What::Network(address, bits))
}

fn shares_prefix(network: IpAddr, ip: IpAddr, bits: u8) -> bool {
    match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            network.to_bits() & mask == ip.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(ip)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            network.to_bits() & mask == ip.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct(environment: &Environment, url: &str) -> Result<(), DialFailure> {
        Proxies::of(environment).check(&Target::of(&url.parse().unwrap()).unwrap())
    }

    #[test]
    fn a_proxy_variable_that_applies_fails_the_request_by_name() {
        let cases = [
            ("HTTP_PROXY", "http://example.com/"),
            ("http_proxy", "http://example.com/"),
            ("HTTPS_PROXY", "https://example.com/"),
            ("ALL_PROXY", "https://example.com/"),
            ("all_proxy", "http://example.com/"),
        ];
        for (name, url) in cases {
            let environment = Environment::empty().with(name, "http://user:secret@proxy:3128");
            let failure = direct(&environment, url).unwrap_err();
            assert_eq!(failure.kind, Kind::Proxy);
            assert!(failure.message.starts_with(name), "{}", failure.message);
            assert!(!failure.message.contains("secret"), "{}", failure.message);
        }
    }

    #[test]
    fn a_variable_of_the_other_scheme_an_empty_one_and_httpoxy_do_not_apply() {
        let https = Environment::empty().with("HTTPS_PROXY", "http://proxy:1");
        assert!(direct(&https, "http://example.com/").is_ok());
        let empty = Environment::empty().with("HTTP_PROXY", "");
        assert!(direct(&empty, "http://example.com/").is_ok());
        let cgi = Environment::empty()
            .with("HTTP_PROXY", "http://proxy:1")
            .with("REQUEST_METHOD", "GET");
        assert!(direct(&cgi, "http://example.com/").is_ok());
    }

    #[test]
    fn loopback_hosts_never_take_a_proxy_from_the_environment() {
        let environment = Environment::empty().with("ALL_PROXY", "http://proxy:1");
        for url in [
            "http://localhost/",
            "http://a.localhost/",
            "http://127.0.0.1/",
            "http://127.8.9.1/",
            "http://[::1]/",
        ] {
            assert!(direct(&environment, url).is_ok(), "{url}");
        }
        assert!(direct(&environment, "http://localhost.example.com/").is_err());
    }

    #[test]
    fn no_proxy_knows_suffixes_networks_ports_and_the_star() {
        let cases = [
            ("example.com", "http://example.com/", true),
            ("example.com", "http://api.example.com/", true),
            ("example.com", "http://badexample.com/", false),
            (".example.com", "http://example.com/", false),
            (".example.com", "http://api.example.com/", true),
            ("*.example.com", "http://api.example.com/", true),
            ("example.com:8080", "http://example.com/", false),
            ("example.com:8080", "http://example.com:8080/", true),
            ("10.0.0.0/8", "http://10.9.8.7/", true),
            ("10.0.0.0/8", "http://11.9.8.7/", false),
            ("0.0.0.0/0", "http://11.9.8.7/", true),
            ("10.1.2.3", "http://10.1.2.3/", true),
            ("fd00::/8", "http://[fd12::1]/", true),
            ("*", "http://anything/", true),
            ("a, EXAMPLE.com ,b", "http://example.com/", true),
            ("example.com:x", "http://example.com/", false),
        ];
        for (list, url, expected) in cases {
            let environment = Environment::empty()
                .with("ALL_PROXY", "http://proxy:1")
                .with("NO_PROXY", list);
            assert_eq!(direct(&environment, url).is_ok(), expected, "{list} {url}");
        }
    }
}
