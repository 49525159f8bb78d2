//! One rule of `egress.allow` or `egress.deny`.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::connect::Host;
use crate::connect::target::parse_host;

const WANTED: &str =
    "expected a host such as \"api.example.com\", \"*.example.com\", \"10.0.0.0/8\", \"[::1]:8080\" or \"*:443\"";

/// Hosts or addresses, on one port or on all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    what: What,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Everything,
    /// This name alone.
    Name(String),
    /// Every name beneath it.
    Beneath(String),
    Network(IpNet),
}

/// Whether the text is a rule; the error says what would be right.
pub(crate) fn check_rule(text: &str) -> Result<(), Cow<'static, str>> {
    Rule::parse(text).map(drop)
}

/// Whether the rule holds on one port only.
#[cfg(feature = "reqwest")]
pub(crate) fn rule_names_port(text: &str) -> bool {
    Rule::parse(text).is_ok_and(|rule| rule.port.is_some())
}

impl Rule {
    pub(super) fn parse(text: &str) -> Result<Rule, Cow<'static, str>> {
        // An address may hold colons itself.
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Rule::of(What::Network(whole(address)), None));
        }
        if let Some((address, bits)) = text.split_once('/')
            && let Ok(address) = address.parse::<IpAddr>()
            && !bits.contains(':')
        {
            return Ok(Rule::of(What::Network(network(address, bits)?), None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(parse_port(port)?)),
            _ => (text, None),
        };
        Ok(Rule::of(parse_what(host)?, port))
    }

    fn of(what: What, port: Option<u16>) -> Rule {
        Rule { what, port }
    }

    /// Whether it says something about names, and of this one that it is meant. The name is without a trailing dot.
    pub(super) fn covers_name(&self, name: &str, port: u16) -> bool {
        self.is_on(port)
            && match &self.what {
                What::Everything => true,
                What::Name(own) => own == name,
                What::Beneath(own) => name.strip_suffix(own.as_str()).is_some_and(|rest| rest.ends_with('.')),
                What::Network(_) => false,
            }
    }

    /// Whether the address is meant, by what `has` says of its network.
    pub(super) fn covers_address(&self, port: u16, has: impl FnOnce(&IpNet) -> bool) -> bool {
        self.is_on(port)
            && match &self.what {
                What::Everything => true,
                What::Network(network) => has(network),
                What::Name(_) | What::Beneath(_) => false,
            }
    }

    fn is_on(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }

    /// Whether nothing but an address tells.
    pub(super) fn is_about_addresses(&self) -> bool {
        matches!(self.what, What::Network(_))
    }
}

fn parse_port(port: &str) -> Result<u16, Cow<'static, str>> {
    match port.parse() {
        Ok(port @ 1..) => Ok(port),
        _ if port.bytes().all(|byte| byte.is_ascii_digit()) => Err("a port is a number from 1 to 65535".into()),
        _ => Err(WANTED.into()),
    }
}

fn parse_what(host: &str) -> Result<What, Cow<'static, str>> {
    if host == "*" {
        return Ok(What::Everything);
    }
    let (address, bits) = match host.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (host, None),
    };
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(address).parse::<IpAddr>() {
        return match bits {
            Some(bits) => network(address, bits).map(What::Network),
            None => Ok(What::Network(whole(address))),
        };
    }
    if let Some(name) = host.strip_prefix('.') {
        return Err(format!("for every name beneath it, write \"*.{}\"", name.escape_debug()).into());
    }
    let (name, is_beneath) = match host.strip_prefix("*.") {
        Some(name) => (name, true),
        None => (host, false),
    };
    if name.contains('*') {
        return Err("a star stands for all names beneath one, at its beginning: \"*.example.com\"".into());
    }
    match parse_host(name.strip_suffix('.').unwrap_or(name)) {
        Ok(Host::Name(name)) if is_beneath => Ok(What::Beneath(name.to_string())),
        Ok(Host::Name(name)) => Ok(What::Name(name.to_string())),
        // `127.1`, `0x7f000001`: a URL may say so, a rule is to be read.
        Ok(Host::Ip(ip)) => Err(format!("write the address as \"{ip}\"").into()),
        _ => Err(WANTED.into()),
    }
}

/// One address; an IPv4-mapped one is that IPv4 address.
fn whole(address: IpAddr) -> IpNet {
    IpNet::from(address.to_canonical())
}

fn network(address: IpAddr, bits: &str) -> Result<IpNet, Cow<'static, str>> {
    let bits: u8 = bits.parse().map_err(|_| WANTED)?;
    let network = match (address.to_canonical(), address) {
        (IpAddr::V4(within), IpAddr::V6(_)) if bits >= 96 => Ipv4Net::new(within, bits - 96).map(IpNet::V4),
        _ => IpNet::new(address, bits),
    };
    let network = network.map_err(|_| WANTED)?;
    if network != network.trunc() {
        return Err(format!("it has bits beyond its prefix; write \"{}\"", network.trunc()).into());
    }
    Ok(network)
}

/// As it would be written; every rule that is equal is written alike.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Everything => f.write_str("*")?,
            What::Name(name) => f.write_str(name)?,
            What::Beneath(name) => write!(f, "*.{name}")?,
            What::Network(network) => {
                let address = Host::Ip(network.addr());
                match (network.prefix_len() == network.max_prefix_len(), self.port) {
                    (true, None) => write!(f, "{}", network.addr())?,
                    (false, None) => write!(f, "{network}")?,
                    (true, Some(_)) => write!(f, "{address}")?,
                    (false, Some(_)) => write!(f, "{address}/{}", network.prefix_len())?,
                }
            }
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_are_shown() {
        for (text, shown) in [
            ("api.example.com", "api.example.com"),
            ("API.Example.COM.", "api.example.com"),
            ("bücher.test", "xn--bcher-kva.test"),
            ("*.example.com", "*.example.com"),
            ("api.example.com:8443", "api.example.com:8443"),
            ("*.example.com:443", "*.example.com:443"),
            ("*", "*"),
            ("*:443", "*:443"),
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3:80", "10.1.2.3:80"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.0/8:443", "10.0.0.0/8:443"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("[::1]:8080", "[::1]:8080"),
            ("fd00::/8", "fd00::/8"),
            ("[fd00::]/8", "fd00::/8"),
            ("[fd00::]/8:443", "[fd00::]/8:443"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            let rule = Rule::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(rule.to_string(), shown, "{text}");
            assert_eq!(Rule::parse(shown), Ok(rule));
        }
    }

    #[test]
    fn what_is_no_rule_is_told_so() {
        for (text, why) in [
            ("", "expected a host"),
            ("https://example.com", "expected a host"),
            ("example.com/path", "expected a host"),
            ("user@example.com", "expected a host"),
            ("example.com:0", "1 to 65535"),
            ("example.com:", "1 to 65535"),
            ("example.com:99999", "1 to 65535"),
            (".example.com", "write \"*.example.com\""),
            ("*example.com", "a star stands"),
            ("a.*.com", "a star stands"),
            ("127.1", "write the address as \"127.0.0.1\""),
            ("0x7f000001", "write the address as \"127.0.0.1\""),
            ("10.1.2.3/8", "write \"10.0.0.0/8\""),
            ("10.0.0.0/33", "expected a host"),
            ("fe80::1%eth0", "expected a host"),
        ] {
            let error = Rule::parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_name_is_itself_and_a_star_what_lies_beneath() {
        let covers = |rule: &str, name: &str| Rule::parse(rule).unwrap().covers_name(name, 443);
        assert!(covers("example.com", "example.com") && !covers("example.com", "a.example.com"));
        assert!(covers("*.example.com", "a.example.com") && covers("*.example.com", "a.b.example.com"));
        assert!(!covers("*.example.com", "example.com") && !covers("*.example.com", "badexample.com"));
        assert!(covers("*", "a") && covers("*:443", "a") && !covers("*:80", "a") && !covers("10.0.0.0/8", "a"));
    }
}
