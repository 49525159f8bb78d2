//! One proxy: how to speak to it, where it is, and who we are to it.

use std::borrow::Cow;
use std::fmt;

use http::HeaderValue;
use percent_encoding::percent_decode_str;
use tokio::time::Instant;
use url::Url;

use super::credentials::Credentials;
use super::{Health, failure};
use crate::connect::target::parse_host;
use crate::connect::{DialFailure, Scheme, Target};
use crate::settings::check_url_text;

const WANTED: &str = "expected the URL of a proxy such as \"http://proxy:3128\" or \"socks5h://proxy:1080\"";

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    /// HTTP over TLS with the proxy.
    Https,
    /// The target's name is resolved here.
    Socks5,
    /// The proxy resolves the target's name.
    Socks5h,
}

impl Protocol {
    fn of(scheme: &str) -> Result<Protocol, Cow<'static, str>> {
        match scheme {
            "http" => Ok(Protocol::Http),
            "https" => Ok(Protocol::Https),
            "socks5" => Ok(Protocol::Socks5),
            "socks5h" => Ok(Protocol::Socks5h),
            "socks4" | "socks4a" => Err("SOCKS4 is not spoken here; write socks5:// or socks5h://".into()),
            "socks" => Err("write socks5:// (names are resolved here) or socks5h:// (by the proxy)".into()),
            _ => Err(format!("{WANTED}, of scheme http, https, socks5 or socks5h").into()),
        }
    }

    fn scheme(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Https => "https",
            Protocol::Socks5 => "socks5",
            Protocol::Socks5h => "socks5h",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Protocol::Http => 80,
            Protocol::Https => 443,
            Protocol::Socks5 | Protocol::Socks5h => 1080,
        }
    }
}

/// A proxy, and how it got on lately. Two of one URL and one user are equal.
pub(crate) struct ProxyServer {
    pub(crate) protocol: Protocol,
    /// Where it is.
    pub(crate) place: Target,
    pub(super) credentials: Option<Credentials>,
    /// `Proxy-Authorization`, where the proxy speaks HTTP.
    authorization: Option<HeaderValue>,
    pub(crate) health: Health,
}

/// What a proxy's URL says.
struct Parsed {
    protocol: Protocol,
    place: Target,
    credentials: Option<Credentials>,
}

fn parse(text: &str) -> Result<Parsed, Cow<'static, str>> {
    let text = text.trim();
    check_url_text(text)?;
    // `proxy:3128` is what many write into a variable.
    let text = if text.contains("://") {
        Cow::from(text)
    } else {
        format!("http://{text}").into()
    };
    let url = Url::parse(&text).map_err(|error| format!("{WANTED} ({error})"))?;
    let protocol = Protocol::of(url.scheme())?;
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{WANTED}, with nothing behind the port (in a password, / ? # are %2F %3F %23)").into());
    }
    // A URL of a scheme that it does not know is parsed more loosely: the host is not.
    let host = parse_host(url.host_str().unwrap_or_default()).map_err(|why| format!("{WANTED} ({why})"))?;
    let port = url.port().unwrap_or(protocol.default_port());
    let scheme = match protocol {
        Protocol::Https => Scheme::Https,
        _ => Scheme::Http,
    };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(Cow::into_owned);
    let credentials = if url.username().is_empty() && url.password().is_none() {
        None
    } else {
        let username = decoded(url.username());
        let (Ok(username), Ok(password)) = (username, decoded(url.password().unwrap_or_default())) else {
            return Err("user name and password must be UTF-8 behind their percent signs".into());
        };
        Some(Credentials { username, password })
    };
    Ok(Parsed {
        protocol,
        place: Target::new(scheme, host, port)?,
        credentials,
    })
}

/// Whether the text names a proxy; the error says what would be right, and nothing of the text.
pub(crate) fn check_url(text: &str) -> Result<(), Cow<'static, str>> {
    ProxyServer::new(text, None).map(drop)
}

/// A proxy's URL without its credentials.
pub(crate) fn shown_url(text: &str) -> Option<String> {
    let Parsed { protocol, place, .. } = parse(text).ok()?;
    Some(format!("{}://{place}", protocol.scheme()))
}

impl ProxyServer {
    /// The proxy of a URL. `user` counts where the URL holds no credentials.
    pub(super) fn new(text: &str, user: Option<&Credentials>) -> Result<ProxyServer, Cow<'static, str>> {
        let Parsed {
            protocol,
            place,
            credentials,
        } = parse(text)?;
        let credentials = credentials.or_else(|| user.cloned());
        let authorization = match (protocol, &credentials) {
            (_, None) => None,
            (Protocol::Http | Protocol::Https, Some(credentials)) => Some(credentials.basic()?),
            (Protocol::Socks5 | Protocol::Socks5h, Some(credentials)) => {
                credentials.check_for_socks()?;
                None
            }
        };
        Ok(ProxyServer {
            protocol,
            place,
            credentials,
            authorization,
            health: Health::default(),
        })
    }

    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// Whether it speaks HTTP, and so can be sent a whole request.
    pub(crate) fn speaks_http(&self) -> bool {
        matches!(self.protocol, Protocol::Http | Protocol::Https)
    }

    /// Whether it looks up the names of targets, out of our sight.
    pub(crate) fn resolves_names(&self) -> bool {
        self.protocol != Protocol::Socks5
    }

    /// It answered 407 to a request that it was to pass on.
    pub(crate) fn login_refused(&self) -> DialFailure {
        failure::credentials(self, "(407 Proxy Authentication Required)")
    }

    /// It closed a new connection before it was sent a request.
    pub(crate) fn hung_up(&self) {
        let failure = failure::for_all(
            self,
            "cannot be used: it closed a new connection before it was sent a request",
        );
        self.health.hung_up(&failure, Instant::now());
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.protocol == Protocol::Https
    }
}

impl PartialEq for ProxyServer {
    fn eq(&self, other: &ProxyServer) -> bool {
        self.protocol == other.protocol && self.place == other.place && self.credentials == other.credentials
    }
}

impl Eq for ProxyServer {}

/// Without credentials.
impl fmt::Display for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.protocol.scheme(), self.place)
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyServer({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let proxy = ProxyServer::new(text, None).unwrap();
        let user = proxy
            .credentials
            .as_ref()
            .map(|user| (&*user.username, &*user.password));
        format!("{proxy} {user:?}")
    }

    #[test]
    fn a_url_says_protocol_place_and_credentials() {
        for (text, expected) in [
            ("http://proxy:3128", "http://proxy:3128 None"),
            ("http://proxy/", "http://proxy:80 None"),
            ("https://proxy", "https://proxy:443 None"),
            ("proxy:3128", "http://proxy:3128 None"),
            ("me:word@proxy:3128", "http://proxy:3128 Some((\"me\", \"word\"))"),
            ("socks5://PROXY", "socks5://proxy:1080 None"),
            ("socks5://proxy:80", "socks5://proxy:80 None"),
            ("socks5h://[::1]:9", "socks5h://[::1]:9 None"),
            ("socks5://127.0.0.1:9", "socks5://127.0.0.1:9 None"),
            (
                "http://a%40b:c%3A%2Fd@proxy:1",
                "http://proxy:1 Some((\"a@b\", \"c:/d\"))",
            ),
            ("http://me@proxy:1", "http://proxy:1 Some((\"me\", \"\"))"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_proxy_says_why_and_shows_nothing() {
        let long = format!("socks5://canary:{}@proxy", "x".repeat(256));
        for (text, why) in [
            ("", "expected the URL"),
            ("socks4://canary@proxy", "SOCKS4 is not spoken"),
            ("socks4a://proxy", "SOCKS4 is not spoken"),
            ("socks://proxy", "write socks5://"),
            ("ftp://canary@proxy", "of scheme http, https, socks5 or socks5h"),
            ("http://me:canary/x@proxy", "expected the URL"),
            ("http://proxy/canary", "nothing behind the port"),
            ("http://proxy:0", "port 0"),
            ("http://proxy:99999", "invalid port"),
            ("http://can%3Aary:b@proxy", "colon"),
            ("http://me:can%0Aary@proxy", "control character"),
            ("http://me:%FFcanary@proxy", "UTF-8"),
            ("socks5://:canary@proxy", "needs a user name"),
            (&long, "255 bytes"),
        ] {
            let error = ProxyServer::new(text, None).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn nothing_shows_the_credentials() {
        let proxy = ProxyServer::new("http://user:canary@proxy", None).unwrap();
        let shown = format!("{proxy} {proxy:?} {:?} {:?}", proxy.credentials, proxy.authorization());
        assert!(
            !shown.contains("canary") && !shown.contains("dXNlcjpjYW5hcnk"),
            "{shown}"
        );
        assert_eq!(proxy.authorization().unwrap(), "Basic dXNlcjpjYW5hcnk=");
        assert_eq!(shown_url("http://user:canary@proxy:1").unwrap(), "http://proxy:1");
    }
}
