//! Where names lead, and how connections are spread over a name's addresses.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// `[dns]`: where names lead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dns {
    /// `dns.overrides`: names, lower-case, whose addresses are known without a look-up. Port 0 stands for the URL's.
    pub overrides: BTreeMap<String, Vec<SocketAddr>>,
    /// `dns.resolver`: who is asked, unless the registry was given a resolver in code. Default the system's.
    pub resolver: DnsResolver,
    /// `dns.ttl`: how long an answer is used without asking again. Default 30 s.
    pub ttl: Duration,
    /// `dns.stale_for`: for how long beyond `ttl` the last good answer stands in while the resolver fails, times out or
    /// answers without an address. Default 5 min, 0 is never.
    pub stale_for: Duration,
    /// `dns.prefer`: which family is dialled first, or at all. Default both in turn.
    pub prefer: DnsPreference,
    /// `dns.balance`: whether a host's connections are spread over all its addresses. Default: they go to the first that
    /// answers. Over HTTP/1 shares are even up to one connection: where `pool.max_connections_per_host` is small, make it a
    /// multiple of the number of addresses.
    pub balance: DnsBalance,
}

impl Default for Dns {
    fn default() -> Dns {
        Dns {
            overrides: BTreeMap::new(),
            resolver: DnsResolver::System,
            ttl: Duration::from_secs(30),
            stale_for: Duration::from_mins(5),
            prefer: DnsPreference::HappyEyeballs,
            balance: DnsBalance::First,
        }
    }
}

/// Why the resolver that is wished for cannot be had, if it cannot: this program was built without it.
pub(crate) fn without_feature(dns: &Dns) -> Option<&'static str> {
    let is_missing = dns.resolver == DnsResolver::Hickory && !cfg!(feature = "hickory");
    is_missing.then_some("this program was built without it; turn on httputil's feature \"hickory\", or use \"system\"")
}

/// Who resolves names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DnsResolver {
    /// `"system"`: `getaddrinfo`, on a few threads of our own.
    System,
    /// `"hickory"`: the name servers of the system's configuration, asked without a thread. Needs the feature `hickory`.
    Hickory,
}

/// Which of a name's addresses are dialled, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DnsPreference {
    /// `"happy_eyeballs"`: the answer's order, with its two families taking turns (RFC 8305 §4).
    HappyEyeballs,
    /// `"ipv4"`: IPv4 addresses before the others.
    Ipv4,
    /// `"ipv6"`: IPv6 addresses before the others.
    Ipv6,
    /// `"ipv4_only"`: no others.
    Ipv4Only,
    /// `"ipv6_only"`: no others.
    Ipv6Only,
}

/// How a host's connections are spread over its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DnsBalance {
    /// `"first"`: each dial goes to the first address that answers.
    First,
    /// `"round_robin"`: over all of them, following what the DNS adds and drops. Of more than 128 each client uses 128 of its
    /// own choice. Over HTTP/2 each address has a connection, whatever `http2.max_connections_per_host` says; over HTTP/1
    /// no more addresses have one than may be idle (`pool.max_idle_per_host`) or are in use. While requests come, the name is
    /// looked up again when `dns.ttl` is over; an address that is new gets connections, and those to one that is gone end
    /// after their requests. `pool.max_idle_per_host` should be at least the number of addresses.
    RoundRobin,
}
