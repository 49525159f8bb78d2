//! Headers that a profile gives each of its requests, and who it says that we are.

use std::borrow::Cow;
use std::path::PathBuf;

use http::HeaderValue;
use http::header::{AUTHORIZATION, COOKIE, HeaderName};
use url::Url;

use super::secret::tells_a_secret;
use super::{OAuth2, Policy, Secret, check_url_text, oauth2};

/// The value of a default header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultHeader {
    /// Sent to every origin, and shown, unless the header's name tells a secret: `authorization`, `cookie`, `…token…`,
    /// `…secret…`, `…password…`, `…api-key…`.
    Plain(String),
    /// Sent to the profile's own origins only ([`Auth::origins`]), and never shown.
    Secret(Secret),
}

impl DefaultHeader {
    /// The value, for whoever must send it.
    pub fn expose(&self) -> &str {
        match self {
            DefaultHeader::Plain(text) => text,
            DefaultHeader::Secret(secret) => secret.expose(),
        }
    }

    /// A value under a name that is in lower case: a secret, if the name tells one.
    pub(crate) fn under(name: &str, text: String) -> DefaultHeader {
        if tells_a_secret(name) {
            DefaultHeader::Secret(text.into())
        } else {
            DefaultHeader::Plain(text)
        }
    }

    /// Whether it goes to the profile's own origins only, under this name, which is in lower case.
    pub(crate) fn is_secret(&self, name: &str) -> bool {
        matches!(self, DefaultHeader::Secret(_)) || tells_a_secret(name)
    }
}

/// Who a profile says that we are: `Authorization` of requests that name none, to the profile's own origins only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Auth {
    /// `auth.basic`: by the Basic scheme (RFC 7617). Default none.
    pub basic: Option<Basic>,
    /// `auth.bearer`: by the Bearer scheme (RFC 6750). Default none.
    pub bearer: Option<Token>,
    /// `auth.oauth2`: by the Bearer scheme with tokens that an authorization server gives (RFC 6749 §4.4). Default none.
    pub oauth2: Option<OAuth2>,
    /// `auth.origins`: scheme, host and port of where credentials and secret headers may go, as URLs. Default empty, which
    /// is the origin of `base_url`.
    pub origins: Vec<String>,
}

/// A user and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basic {
    /// Without a colon.
    pub username: Secret,
    /// May be empty.
    pub password: Secret,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// It stays as it is.
    Text(Secret),
    /// It is the file's text, but for a line break at its end, and read again when the file has changed: looked at once a
    /// second by the requests that are made, and at once when an answer is 401.
    File(PathBuf),
}

/// Headers that frame a message, route it or belong to another key: no profile gives them to all requests.
const NOT_BY_DEFAULT: [(&str, &str); 14] = [
    ("host", "the URL says it"),
    ("content-length", "the body says it"),
    ("transfer-encoding", "the body says it"),
    ("connection", "the pool says it"),
    ("keep-alive", "the pool says it"),
    ("proxy-connection", "the pool says it"),
    ("upgrade", "a request asks for it"),
    ("http2-settings", "a request asks for it"),
    ("te", "a request asks for it"),
    ("trailer", "a request says it of its body"),
    ("expect", "a request asks for it"),
    ("proxy-authorization", "write proxy.username and proxy.password"),
    ("user-agent", "write user_agent"),
    ("referer", "it speaks of one request"),
];

const UNFIT: &str = "a header can't hold this text: line breaks and control characters must go";

/// The mistakes among the default headers and the credentials of a profile, by key. No value is told.
pub(crate) fn header_mistakes(policy: &Policy) -> Vec<(String, Cow<'static, str>)> {
    let mut mistakes = Vec::new();
    let mut add = |key: &str, why: Cow<'static, str>| mistakes.push((key.to_owned(), why));
    for (name, value) in &policy.headers {
        let key = format!("headers.{name}");
        if HeaderName::from_bytes(name.as_bytes()).is_err() || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            add(&key, "expected the name of a header in lower case".into());
        } else if let Some((_, instead)) = NOT_BY_DEFAULT.iter().find(|(refused, _)| refused == name) {
            add(&key, format!("this header can't be a default: {instead}").into());
        } else if !is_fit(value.expose()) {
            add(&key, UNFIT.into());
        }
    }
    let Auth {
        basic,
        bearer,
        oauth2,
        origins,
    } = &policy.auth;
    if let Some(Basic { username, password }) = basic {
        if username.expose().contains(':') {
            add(
                "auth.basic.username",
                "a user's name can't hold a colon (RFC 7617)".into(),
            );
        } else if has_control(username) || has_control(password) {
            add(
                "auth.basic.username",
                "control characters can't stand in a user's name or password".into(),
            );
        }
        if bearer.is_some() {
            add(
                "auth.bearer",
                "contradicts auth.basic: a request bears one Authorization".into(),
            );
        }
    }
    if let Some(Token::Text(token)) = bearer {
        if !is_fit(token.expose()) {
            add("auth.bearer", UNFIT.into());
        } else if let Err(why) = check_token(token.expose()) {
            add("auth.bearer", why.into());
        }
    }
    if (basic.is_some() || bearer.is_some() || oauth2.is_some()) && policy.headers.contains_key(AUTHORIZATION.as_str())
    {
        add(
            "headers.authorization",
            "contradicts auth: a request bears one Authorization".into(),
        );
    }
    if policy.cookies && policy.headers.contains_key(COOKIE.as_str()) {
        add(
            "headers.cookie",
            "contradicts cookies = true: a request bears one Cookie".into(),
        );
    }
    for (key, why) in oauth2::mistakes(policy) {
        add(key, why);
    }
    for origin in origins {
        if let Err(why) = check_origin(origin) {
            add("auth.origins", why.into());
        }
    }
    mistakes
}

/// Whether a token is one that a header can hold, without the word that goes before it.
pub(crate) fn check_token(token: &str) -> Result<(), &'static str> {
    match token.get(.."bearer ".len()) {
        Some(word) if word.eq_ignore_ascii_case("bearer ") => {
            Err("the token alone is wanted, the word Bearer is put before it")
        }
        _ if HeaderValue::from_str(token).is_err() => {
            Err("a header can't hold the token: line breaks and control characters must go")
        }
        _ => Ok(()),
    }
}

/// Whether the text is an origin: an `http` or `https` URL of which nothing but scheme, host and port is written.
pub(crate) fn check_origin(text: &str) -> Result<Url, &'static str> {
    const WANTED: &str = "expected an origin such as \"https://api.example\" or \"http://host:8080\"";
    check_url_text(text)?;
    let url = Url::parse(text).map_err(|_| WANTED)?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_open = url.username().is_empty() && url.password().is_none();
    let is_web = matches!(url.scheme(), "http" | "https") && url.port() != Some(0);
    if is_bare && is_open && is_web {
        Ok(url)
    } else {
        Err(WANTED)
    }
}

fn is_fit(text: &str) -> bool {
    !text.is_empty() && HeaderValue::from_str(text).is_ok()
}

fn has_control(secret: &Secret) -> bool {
    secret.expose().chars().any(char::is_control)
}
