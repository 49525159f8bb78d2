//! The order in which a name's addresses are dialled: `dns.prefer`, and what was learnt of them.

use std::net::{IpAddr, SocketAddr};

use crate::settings::DnsPreference;

/// The addresses that may be dialled, the first first.
pub(super) fn ordered(prefer: DnsPreference, addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    match prefer {
        DnsPreference::HappyEyeballs => interleaved(addresses),
        DnsPreference::Ipv4 => before(addresses, SocketAddr::is_ipv4),
        DnsPreference::Ipv6 => before(addresses, SocketAddr::is_ipv6),
        DnsPreference::Ipv4Only => only(addresses, SocketAddr::is_ipv4),
        DnsPreference::Ipv6Only => only(addresses, SocketAddr::is_ipv6),
    }
}

/// The addresses of which something failed beyond the TCP connect a moment ago, last, and in the order in which it did.
pub(in crate::connect) fn put_last(addresses: &mut [SocketAddr], blamed: &[SocketAddr]) {
    // Stable, so that the order of the others stays.
    addresses.sort_by_key(|address| blamed.iter().position(|blamed| blamed == address));
}

/// Whether an address may be dialled.
pub(super) fn serves(prefer: DnsPreference) -> fn(&IpAddr) -> bool {
    match prefer {
        DnsPreference::Ipv4Only => IpAddr::is_ipv4,
        DnsPreference::Ipv6Only => IpAddr::is_ipv6,
        _ => |_| true,
    }
}

/// Which family alone may be dialled, in words; `None` if both may.
pub(super) fn wanted(prefer: DnsPreference) -> Option<(&'static str, &'static str)> {
    match prefer {
        DnsPreference::Ipv4Only => Some(("IPv4", "ipv4_only")),
        DnsPreference::Ipv6Only => Some(("IPv6", "ipv6_only")),
        _ => None,
    }
}

fn before(mut addresses: Vec<SocketAddr>, is_first: fn(&SocketAddr) -> bool) -> Vec<SocketAddr> {
    addresses.sort_by_key(|address| !is_first(address));
    addresses
}

fn only(mut addresses: Vec<SocketAddr>, is_wanted: fn(&SocketAddr) -> bool) -> Vec<SocketAddr> {
    addresses.retain(is_wanted);
    addresses
}

/// The answer's order, with its two families taking turns; the first address's family goes first (RFC 8305 §4).
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let mut ordered = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        match (first.next(), second.next()) {
            (None, None) => return ordered,
            (one, other) => ordered.extend(one.into_iter().chain(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_the_first_answer_leads() {
        let answer = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(ordered(DnsPreference::HappyEyeballs, answer), expected);
    }

    #[test]
    fn a_preferred_family_comes_first_and_an_only_one_alone() {
        let answer = || addresses(&["1.1.1.1:1", "[::1]:1", "2.2.2.2:1", "[::2]:1"]);
        for (prefer, expected) in [
            (
                DnsPreference::Ipv4,
                addresses(&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1", "[::2]:1"]),
            ),
            (
                DnsPreference::Ipv6,
                addresses(&["[::1]:1", "[::2]:1", "1.1.1.1:1", "2.2.2.2:1"]),
            ),
            (DnsPreference::Ipv4Only, addresses(&["1.1.1.1:1", "2.2.2.2:1"])),
            (DnsPreference::Ipv6Only, addresses(&["[::1]:1", "[::2]:1"])),
        ] {
            assert_eq!(ordered(prefer, answer()), expected, "{prefer:?}");
        }
    }

    #[test]
    fn addresses_that_are_blamed_come_last_in_turn_and_the_others_keep_their_order() {
        let mut answer = addresses(&["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1", "1.1.1.1:2"]);
        put_last(&mut answer, &addresses(&["2.2.2.2:1", "1.1.1.1:1", "4.4.4.4:1"]));
        assert_eq!(answer, addresses(&["3.3.3.3:1", "1.1.1.1:2", "2.2.2.2:1", "1.1.1.1:1"]));
    }
}
