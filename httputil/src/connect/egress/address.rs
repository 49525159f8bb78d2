//! What an address stands for, and whether it is of the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// IPv4 that is not globally reachable, by IANA's registry of special-purpose addresses (RFC 6890), multicast and former
/// class E included.
const PRIVATE_V4: [Ipv4Net; 17] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    // Link-local; most clouds' metadata is here.
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    // Relays of 6to4, which were withdrawn (RFC 7526).
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
    v4([255, 255, 255, 255], 32),
    // Azure's metadata and agents; an address like any other, and never on the internet.
    v4([168, 63, 129, 16], 32),
];

/// The same of IPv6.
const PRIVATE_V6: [Ipv6Net; 12] = [
    // Unspecified, loopback, and IPv4-compatible ones, which nobody routes.
    v6([0, 0, 0, 0], 96),
    // NAT64 of local use (RFC 8215).
    v6([0x64, 0xff9b, 1, 0], 48),
    v6([0x100, 0, 0, 0], 63),
    // Protocols' own, Teredo among them.
    v6([0x2001, 0, 0, 0], 23),
    v6([0x2001, 0xdb8, 0, 0], 32),
    v6([0x3fff, 0, 0, 0], 20),
    v6([0x5f00, 0, 0, 0], 16),
    v6([0xfc00, 0, 0, 0], 7),
    v6([0xfe80, 0, 0, 0], 10),
    v6([0xfec0, 0, 0, 0], 10),
    v6([0xff00, 0, 0, 0], 8),
    // IPv4-translated (RFC 2765): of a translator within one network.
    IPV4_TRANSLATED,
];

const IPV4_TRANSLATED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96);

const fn v4([a, b, c, d]: [u8; 4], bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6([a, b, c, d]: [u16; 4], bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), bits)
}

/// The address itself (an IPv4-mapped one as IPv4), and what a translator or a tunnel would make of it.
pub(super) fn forms(ip: IpAddr) -> impl Iterator<Item = IpAddr> {
    let ip = ip.to_canonical();
    let within = match ip {
        IpAddr::V4(_) => [None; 3],
        IpAddr::V6(ip) => embedded(ip),
    };
    std::iter::once(ip).chain(within.into_iter().flatten().map(IpAddr::V4))
}

/// IPv4 addresses that an IPv6 one bears.
fn embedded(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 3] {
    let octets = ip.octets();
    let at = |from: usize| Ipv4Addr::new(octets[from], octets[from + 1], octets[from + 2], octets[from + 3]);
    let last = at(12);
    match ip.segments() {
        // NAT64 of local use: its prefix may be longer than these 48 bits (RFC 6052 §2.2).
        [0x64, 0xff9b, 1, ..] => {
            let of_48 = Ipv4Addr::new(octets[6], octets[7], octets[9], octets[10]);
            let of_64 = at(9);
            [Some(last), Some(of_48), Some(of_64)]
        }
        // 6to4 (RFC 3056).
        [0x2002, ..] => [Some(at(2)), None, None],
        // Teredo (RFC 4380): its server, and its client turned over.
        [0x2001, 0, ..] => [Some(at(4)), Some(Ipv4Addr::from(!u32::from(last))), None],
        // NAT64 (RFC 6052 §2.1); IPv4-compatible (RFC 4291 §2.5.5.1) and IPv4-translated (RFC 2765); ISATAP (RFC 5214).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0 | 0xffff, 0, ..] | [_, _, _, _, 0 | 0x200, 0x5efe, ..] => {
            [Some(last), None, None]
        }
        _ => [None; 3],
    }
}

/// Whether the address is not of the public internet, in any of its forms.
pub(super) fn is_private(ip: IpAddr) -> bool {
    forms(ip).any(|form| match form {
        IpAddr::V4(ip) => PRIVATE_V4.iter().any(|network| network.contains(&ip)),
        IpAddr::V6(ip) => PRIVATE_V6.iter().any(|network| network.contains(&ip)),
    })
}

/// Whether a network has the address in any of its forms.
pub(super) fn has_any_form(network: &IpNet, ip: IpAddr) -> bool {
    forms(ip).any(|form| network.contains(&form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_the_public_internet_is_private_in_every_form() {
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.0.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::10.0.0.1",
            "::8.8.8.8",
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "2002:a9fe:a9fe::",
            "2620:fe::5efe:a00:1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "168.63.129.17",
            "172.15.255.255",
            "172.32.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:4860:4860::8888",
            "2002:808:808::1",
            "2606:4700::1111",
            "2620:fe::5efe:808:808",
        ] {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn an_address_within_another_is_found_by_a_rule_about_it() {
        let network: IpNet = "203.0.113.0/24".parse().unwrap();
        for form in [
            "203.0.113.9",
            "::ffff:203.0.113.9",
            "::203.0.113.9",
            "64:ff9b::203.0.113.9",
            "64:ff9b:1::203.0.113.9",
            "64:ff9b:1:cb00:71:900::",
            "2002:cb00:7109::1",
            // Teredo with the client 203.0.113.9, and with the server.
            "2001:0:808:808:0:0:34ff:8ef6",
            "2001:0:cb00:7109::1",
            "2620:fe::200:5efe:cb00:7109",
        ] {
            assert!(has_any_form(&network, form.parse().unwrap()), "{form}");
        }
        assert!(!has_any_form(&network, "2606:4700::cb00:7109".parse().unwrap()));
    }
}
