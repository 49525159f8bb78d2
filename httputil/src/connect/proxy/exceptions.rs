//! Hosts that are reached without a proxy: `NO_PROXY`, `proxy.no_proxy`.
//!
//! ```text
//! example.com     the name and every name beneath it       10.1.2.3, [::1]   an address
//! .example.com    only the names beneath it                10.0.0.0/8        a network
//! example.com:81  on this port only                        *                 everything
//! ```
//!
//! Ours, since hyper-util's ignores the port.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::connect::target::parse_host;
use crate::connect::{Host, Target};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exception {
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
    Network(IpNet),
}

/// The entries of a variable. What is none is passed over, as everywhere: the variable is shared with other programs.
pub(super) fn of_variable(list: &str) -> Vec<Exception> {
    list.split([',', ' ', '\t'])
        .filter_map(|entry| Exception::parse(entry).ok())
        .collect()
}

/// Whether the text can be an entry.
pub(crate) fn check_exception(text: &str) -> Result<(), &'static str> {
    Exception::parse(text).map(drop)
}

impl Exception {
    pub(super) fn parse(entry: &str) -> Result<Exception, &'static str> {
        let entry = entry.trim();
        if let Some(network) = parse_network(entry) {
            let what = What::Network(network);
            return Ok(Exception { what, port: None });
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| WANTED)?)),
            None => (entry, None),
        };
        let what = match host {
            "*" => What::Everything,
            host => match parse_network(host) {
                Some(network) => What::Network(network),
                None => parse_name(host)?,
            },
        };
        Ok(Exception { what, port })
    }

    pub(super) fn covers(&self, target: &Target) -> bool {
        if self.port.is_some_and(|port| port != target.port) {
            return false;
        }
        match (&self.what, &target.host) {
            (What::Everything, _) => true,
            (What::Network(network), Host::Ip(ip)) => network.contains(&ip.to_canonical()),
            (What::Suffix(suffix), Host::Name(name)) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                name == suffix || is_beneath(name, suffix)
            }
            (What::Beneath(suffix), Host::Name(name)) => is_beneath(name.strip_suffix('.').unwrap_or(name), suffix),
            _ => false,
        }
    }
}

const WANTED: &str = "expected a host such as example.com, .example.com, host:8080, 10.0.0.0/8 or *";

fn is_beneath(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'))
}

/// A name as a URL's parser would have it, so that it is compared with like.
fn parse_name(host: &str) -> Result<What, &'static str> {
    let host = host
        .strip_prefix('*')
        .filter(|rest| rest.starts_with('.'))
        .unwrap_or(host);
    let (name, beneath) = match host.strip_prefix('.') {
        Some(name) => (name, true),
        None => (host, false),
    };
    match parse_host(name.strip_suffix('.').unwrap_or(name)) {
        // A URL may name such a host, and nobody means one: `a.*`, `a;b`, a name in quotes.
        Ok(Host::Name(name)) if !name.bytes().all(is_of_name) => Err(WANTED),
        Ok(Host::Name(name)) if beneath => Ok(What::Beneath(name.to_string())),
        Ok(Host::Name(name)) => Ok(What::Suffix(name.to_string())),
        _ => Err(WANTED),
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// `10.0.0.0/8`, `10.1.2.3`, `[::1]` or `fd00::/8`.
fn parse_network(entry: &str) -> Option<IpNet> {
    let (address, bits) = match entry.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (entry, None),
    };
    let address = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(address);
    let address: IpAddr = address.parse().ok()?;
    match bits {
        // Targets are compared without their mapping.
        Some(bits) => match (address.to_canonical(), bits) {
            (IpAddr::V4(mapped), 96..) if address.is_ipv6() => IpNet::new(mapped.into(), bits - 96).ok(),
            _ => IpNet::new(address, bits).ok(),
        },
        None => Some(IpNet::from(address.to_canonical())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_knows_suffixes_networks_ports_and_the_star() {
        let cases = [
            ("example.com", "http://example.com/", true),
            ("example.com", "http://api.example.com/", true),
            ("example.com", "http://badexample.com/", false),
            ("example.com", "http://example.com./", true),
            ("example.com.", "http://example.com/", true),
            (".example.com", "http://example.com/", false),
            (".example.com", "http://api.example.com/", true),
            ("*.example.com", "http://api.example.com/", true),
            ("*.example.com", "http://example.com/", false),
            ("example.com:8080", "http://example.com/", false),
            ("example.com:8080", "http://example.com:8080/", true),
            ("example.com:443", "https://example.com/", true),
            (".example.com:8080", "http://a.example.com:8080/", true),
            ("bücher.example", "http://bücher.example/", true),
            ("xn--bcher-kva.example", "http://bücher.example/", true),
            ("10.0.0.0/8", "http://10.9.8.7/", true),
            ("10.0.0.0/8", "http://[::ffff:10.9.8.7]/", true),
            ("10.0.0.0/8", "http://11.9.8.7/", false),
            ("10.0.0.0/8", "http://ten.example/", false),
            ("0.0.0.0/0", "http://11.9.8.7/", true),
            ("10.1.2.3", "http://10.1.2.3/", true),
            ("10.1.2.3:80", "http://10.1.2.3/", true),
            ("10.1.2.3:81", "http://10.1.2.3/", false),
            ("fd00::/8", "http://[fd12::1]/", true),
            ("::ffff:10.0.0.0/104", "http://10.9.8.7/", true),
            ("::ffff:10.0.0.0/104", "http://11.9.8.7/", false),
            ("::1", "http://[::1]/", true),
            ("[::1]:81", "http://[::1]:81/", true),
            ("[::1]:81", "http://[::1]:82/", false),
            ("localhost", "http://localhost:81/", true),
            ("*", "http://anything/", true),
            ("a, EXAMPLE.com ,b", "http://example.com/", true),
            ("a b example.com", "http://example.com/", true),
            ("example.com:x", "http://example.com/", false),
            (",,", "http://example.com/", false),
            ("10.0.0.0/33", "http://10.0.0.0/", false),
        ];
        for (list, url, expected) in cases {
            let target = Target::of(&url.parse().unwrap()).unwrap();
            let covered = of_variable(list).iter().any(|exception| exception.covers(&target));
            assert_eq!(covered, expected, "{list} {url}");
        }
    }

    #[test]
    fn what_can_be_no_entry_is_told() {
        for wrong in [
            "",
            "a:b",
            "http://host",
            "10.0.0.0/33",
            "a b",
            ":80",
            "a.*",
            "a*",
            "10.0.0.*",
            "a;b",
            "'a.test'",
        ] {
            assert!(check_exception(wrong).is_err(), "{wrong:?}");
        }
    }
}
