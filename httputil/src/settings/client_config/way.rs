//! Which way connections go, and whom they trust.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::ClientConfig;
use crate::settings::{DnsBalance, DnsPreference, ProxyChoice, Secret};

impl ClientConfig {
    /// The proxy for every target, loopback included, instead of what the proxy variables say: `http://`, `https://`,
    /// `socks5://` (names are resolved here) or `socks5h://` (by the proxy), with or without `user:password@`.
    ///
    /// That the URL is none is an error of [`Client::new`](crate::Client::new).
    ///
    /// ```
    /// use httputil::{Client, ClientConfig};
    ///
    /// let client = Client::new(ClientConfig::default().proxy("http://user:password@proxy:3128"))?;
    /// assert!(Client::new(ClientConfig::default().proxy("socks4://proxy")).is_err());
    /// # Ok::<(), httputil::Error>(())
    /// ```
    #[must_use]
    pub fn proxy(mut self, url: impl Into<Secret>) -> ClientConfig {
        let proxy = &mut self.profile.transport.proxy;
        proxy.url = Some(ProxyChoice::Through(url.into()));
        (proxy.http, proxy.https) = (None, None);
        self
    }

    /// Who we are to a proxy whose URL does not say it.
    #[must_use]
    pub fn proxy_credentials(mut self, username: impl Into<Secret>, password: impl Into<Secret>) -> ClientConfig {
        let proxy = &mut self.profile.transport.proxy;
        proxy.username = Some(username.into());
        proxy.password = Some(password.into());
        self
    }

    /// No proxy, whatever the proxy variables say.
    #[must_use]
    pub fn no_proxy(mut self) -> ClientConfig {
        let proxy = &mut self.profile.transport.proxy;
        proxy.url = Some(ProxyChoice::Direct);
        (proxy.http, proxy.https) = (None, None);
        self
    }

    /// Requests may go only to these: `"api.example.com"`, `"*.example.com"` (the names beneath it), `"10.0.0.0/8"`,
    /// `"[::1]:8080"`, `"*:443"`. Judged on the URL and on each address before it is dialled, as
    /// [`Egress`](crate::settings::Egress) says; default: anywhere.
    ///
    /// ```
    /// use httputil::ClientConfig;
    ///
    /// let config = ClientConfig::default().allow_egress(["*.example.com:443"]).deny_private_egress();
    /// ```
    #[must_use]
    pub fn allow_egress(mut self, rules: impl IntoIterator<Item = impl Into<String>>) -> ClientConfig {
        self.profile.transport.egress.allow = rules.into_iter().map(Into::into).collect();
        self
    }

    /// Requests may not go to these, written as for [`allow_egress`](ClientConfig::allow_egress), before which it counts;
    /// default none.
    #[must_use]
    pub fn deny_egress(mut self, rules: impl IntoIterator<Item = impl Into<String>>) -> ClientConfig {
        self.profile.transport.egress.deny = rules.into_iter().map(Into::into).collect();
        self
    }

    /// Requests may not go to addresses that are not of the public internet, whatever name leads there: against forged
    /// requests to what is inside (SSRF), where URLs come from outside.
    #[must_use]
    pub fn deny_private_egress(mut self) -> ClientConfig {
        self.profile.transport.egress.deny_private = true;
        self
    }

    /// Only `https` may be spoken.
    #[must_use]
    pub fn https_only(mut self) -> ClientConfig {
        self.profile.transport.egress.https_only = true;
        self
    }

    /// The certificate that is shown to servers that ask for one, and its private key: PEM files, read when the client is
    /// made. The key is PKCS#8, PKCS#1 or SEC1, not encrypted.
    #[must_use]
    pub fn client_certificate(mut self, cert_file: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> ClientConfig {
        let tls = &mut self.profile.transport.tls;
        tls.cert_file = Some(cert_file.into());
        tls.key_file = Some(key_file.into());
        self
    }

    /// Accepted public keys of servers, beside the chain's own check: `sha256/` and the base64 of the SHA-256 of the
    /// certificate's `SubjectPublicKeyInfo`. An https proxy needs none. Default: any.
    #[must_use]
    pub fn pins(mut self, pins: impl IntoIterator<Item = impl Into<String>>) -> ClientConfig {
        self.profile.transport.tls.pins = pins.into_iter().map(Into::into).collect();
        self
    }

    /// Files of certificate revocation lists, PEM or DER. With any, each certificate of a server's chain, and
    /// of an https proxy's, must be covered by one that has not expired; of an issuer's lists the newest counts. Default none.
    #[must_use]
    pub fn crl_files(mut self, crl_files: impl IntoIterator<Item = impl Into<PathBuf>>) -> ClientConfig {
        self.profile.transport.tls.crl_files = crl_files.into_iter().map(Into::into).collect();
        self
    }

    /// The name that servers are asked for and verified by, instead of the URL's host; an https proxy is by its own.
    #[must_use]
    pub fn server_name(mut self, server_name: impl Into<String>) -> ClientConfig {
        self.profile.transport.tls.server_name = Some(server_name.into());
        self
    }

    /// Keeps what each TLS handshake agreed on, and the server's certificates, a few kilobytes a connection, for
    /// [`Timings::tls_info`](crate::Timings::tls_info). Off by default.
    #[must_use]
    pub fn tls_info(mut self, keep: bool) -> ClientConfig {
        self.profile.transport.tls_info = keep;
        self
    }

    /// The address of this machine that connections are made from; default as the routes say.
    #[must_use]
    pub fn local_address(mut self, local_address: IpAddr) -> ClientConfig {
        self.profile.transport.tcp.local_address = Some(local_address);
        self
    }

    /// Leads a host, written as URLs name it, to these addresses without a look-up; port 0 stands for the URL's.
    ///
    /// ```
    /// use httputil::ClientConfig;
    ///
    /// let config = ClientConfig::default().dns_override("db.internal", [([10, 0, 0, 1], 0).into()]);
    /// ```
    #[must_use]
    pub fn dns_override(
        mut self,
        host: impl Into<String>,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> ClientConfig {
        let overrides = &mut self.profile.transport.dns.overrides;
        overrides.insert(host.into(), addresses.into_iter().collect());
        self
    }

    /// How long a resolver's answer is used without asking again; default 30 s.
    #[must_use]
    pub fn dns_ttl(mut self, ttl: Duration) -> ClientConfig {
        self.profile.transport.dns.ttl = ttl;
        self
    }

    /// For how long beyond [`dns_ttl`](ClientConfig::dns_ttl) the last good answer stands in while the resolver gives
    /// none; default 5 min, zero is never.
    #[must_use]
    pub fn dns_stale_for(mut self, stale_for: Duration) -> ClientConfig {
        self.profile.transport.dns.stale_for = stale_for;
        self
    }

    /// Which of a name's addresses are dialled first, or at all; default both families in turn (RFC 8305).
    #[must_use]
    pub fn dns_prefer(mut self, prefer: DnsPreference) -> ClientConfig {
        self.profile.transport.dns.prefer = prefer;
        self
    }

    /// Whether a host's connections are spread over all its addresses; default: they go to the first that answers. Over
    /// HTTP/1 shares are even up to one connection: where `pool.max_connections_per_host` is small, make it a multiple of the
    /// number of addresses.
    #[must_use]
    pub fn dns_balance(mut self, balance: DnsBalance) -> ClientConfig {
        self.profile.transport.dns.balance = balance;
        self
    }
}
