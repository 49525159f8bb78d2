//! Which proxy to take.

use super::Secret;

/// `[proxy]`: which proxy to take. What is written here counts before the proxy variables.
///
/// A proxy is named by a URL: `http://`, `https://` (TLS to the proxy), `socks5://` (names are resolved here) or
/// `socks5h://` (the proxy resolves them), with or without `user:password@`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proxy {
    /// `proxy.from_env`: heed `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`. Default true. Loopback hosts never
    /// take a proxy from the environment.
    pub from_env: bool,
    /// `proxy.url`: for `http` and `https` targets. Default: what the environment says.
    pub url: Option<ProxyChoice>,
    /// `proxy.http`: for `http` targets. Default: as `proxy.url`.
    pub http: Option<ProxyChoice>,
    /// `proxy.https`: for `https` targets. Default: as `proxy.url`.
    pub https: Option<ProxyChoice>,
    /// `proxy.no_proxy`: hosts that are reached directly, written as in `NO_PROXY`: `example.com`, `.example.com`,
    /// `10.0.0.0/8`, `host:8080`, `*`. Default: none for the proxies that are written here, `NO_PROXY` for those of the
    /// environment. Empty is no exception at all.
    pub no_proxy: Option<Vec<String>>,
    /// `proxy.username`: for proxies whose URL holds no credentials. Default none.
    pub username: Option<Secret>,
    /// `proxy.password`: goes with `proxy.username`. Default none.
    pub password: Option<Secret>,
}

/// A decision about a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyChoice {
    /// `"none"`: no proxy, whatever the environment says.
    Direct,
    /// The proxy of this URL, which may hold a password.
    Through(Secret),
}

impl Default for Proxy {
    fn default() -> Proxy {
        Proxy {
            from_env: true,
            url: None,
            http: None,
            https: None,
            no_proxy: None,
            username: None,
            password: None,
        }
    }
}
