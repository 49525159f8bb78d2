//! Whom requests may go to.

/// `[egress]`: whom requests may go to, whoever wrote their URLs.
///
/// A rule of `allow` or `deny` is one of these, with or without a port behind it:
///
/// ```text
/// api.example.com    the name, and no name beneath it     10.1.2.3, [::1]          an address
/// *.example.com      every name beneath it                10.0.0.0/8, [fd00::]/8   a network
/// api.example.com:8443, 10.0.0.0/8:443, [fd00::]/8:443    on this port only
/// *, *:443                                                everything, on this port
/// ```
///
/// Judged are the URL, its name and its port or its address, before anything is looked up, and then *each address* before
/// it is dialled: what the name leads to, `dns.overrides` included, at the moment of the dial. IPv4 addresses within IPv6
/// ones (mapped, NAT64, 6to4, Teredo) count for `deny` and `deny_private` as what they stand for; `allow` knows mapped ones
/// only. What `deny` or `deny_private` says no to stays refused, whatever `allow` says; a name that `allow` lists may lead
/// to any address that they leave.
///
/// A proxy is not judged itself, nor is the Unix socket of `base_url`: who configures them has decided. A proxy that
/// looks names up (all but `socks5://`) hides their addresses: rules that are about addresses then refuse a request to a
/// name, unless `trust_proxy` is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Egress {
    /// `egress.allow`: with any, all else is refused. Default none.
    pub allow: Vec<String>,
    /// `egress.deny`: refused, also where `allow` says otherwise. Default none.
    pub deny: Vec<String>,
    /// `egress.deny_private`: refuse addresses that are not of the public internet: loopback, private, link-local (cloud
    /// metadata), shared (carrier-grade NAT), multicast, documentation and all else that IANA's registries of
    /// special-purpose addresses do not call globally reachable. Default false.
    pub deny_private: bool,
    /// `egress.https_only`: refuse URLs of `http`, those of a Unix socket too. Default false.
    pub https_only: bool,
    /// `egress.trust_proxy`: leave what `deny` and `deny_private` say of addresses to a proxy that looks names up. What
    /// `allow` lists by address is never taken to hold there. Default false.
    pub trust_proxy: bool,
}
