//! Tokens that an authorization server gives.

use std::borrow::Cow;

use url::Url;

use super::{Policy, Secret, Token, check_url_text};

/// `[auth.oauth2]`: tokens by client credentials (RFC 6749 §4.4), sent by the Bearer scheme. Needs the feature `oauth2`.
///
/// The clients of a profile share a token. It is fetched when the first request needs it, over their own pool, once for all
/// that wait; renewed in the background in the last quarter of its life, at a time that chance names; and once when an answer
/// is 401, whose request is then sent again. While none can be had, a token that is still good serves on, and the server is
/// asked again after a second, doubling to a minute.
///
/// ```
/// use httputil::ClientConfig;
/// use httputil::settings::OAuth2;
///
/// let oauth2 = OAuth2::new("https://login.example/token", "billing", "secret").scope("invoices.read");
/// let config = ClientConfig::default().base_url("https://api.example/v1").oauth2(oauth2);
/// # let _ = config;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OAuth2 {
    /// `auth.oauth2.token_url`: where tokens are had, `http` or `https`.
    pub token_url: String,
    /// `auth.oauth2.client_id`
    pub client_id: String,
    /// `auth.oauth2.client_secret`; that of a file is read for each token.
    pub client_secret: Token,
    /// `auth.oauth2.scopes`: what is asked for. Default empty: what the server gives unasked.
    pub scopes: Vec<String>,
    /// `auth.oauth2.audience`: whom the token is for, where the server wants to be told. Default none.
    pub audience: Option<String>,
    /// `auth.oauth2.client_auth`: how the secret is told. Default by the Basic scheme.
    pub client_auth: ClientAuth,
}

/// How an authorization server is told who asks (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientAuth {
    /// `"basic"`: by the Basic scheme, which every server must understand.
    #[default]
    Basic,
    /// `"body"`: in the request's body, for servers that understand nothing else.
    Body,
}

impl OAuth2 {
    /// Tokens from there, by this name and secret.
    pub fn new(token_url: impl Into<String>, client_id: impl Into<String>, client_secret: impl Into<Secret>) -> OAuth2 {
        OAuth2 {
            token_url: token_url.into(),
            client_id: client_id.into(),
            client_secret: Token::Text(client_secret.into()),
            scopes: Vec::new(),
            audience: None,
            client_auth: ClientAuth::Basic,
        }
    }

    /// Asks for a scope, too.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> OAuth2 {
        self.scopes.push(scope.into());
        self
    }
}

/// What a token URL must be.
pub(crate) fn check_token_url(text: &str) -> Result<(), &'static str> {
    const WANTED: &str = "expected a URL such as \"https://login.example/token\", without user, password and fragment";
    check_url_text(text)?;
    let url = Url::parse(text).map_err(|_| WANTED)?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.port() != Some(0);
    let is_open = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (is_web && is_open).then_some(()).ok_or(WANTED)
}

/// What a scope must be (RFC 6749 §3.3).
pub(crate) fn check_scope(text: &str) -> Result<(), &'static str> {
    let is_fit = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    (!text.is_empty() && text.bytes().all(is_fit))
        .then_some(())
        .ok_or("expected a scope such as \"invoices.read\", without spaces and quotes")
}

/// The mistakes among `auth.oauth2`, by key. No value is told.
pub(super) fn mistakes(policy: &Policy) -> Vec<(&'static str, Cow<'static, str>)> {
    let Some(oauth2) = &policy.auth.oauth2 else {
        return Vec::new();
    };
    let mut mistakes = Vec::new();
    let mut add = |key, why: Option<&'static str>| mistakes.extend(why.map(|why| (key, why.into())));
    add("auth.oauth2.token_url", check_token_url(&oauth2.token_url).err());
    add(
        "auth.oauth2.scopes",
        oauth2.scopes.iter().find_map(|scope| check_scope(scope).err()),
    );
    let missing = (!cfg!(feature = "oauth2"))
        .then_some("this program was built without it; turn on httputil's feature \"oauth2\", or leave it out");
    add("auth.oauth2.token_url", missing);
    let empty = "expected a text that is not empty";
    add("auth.oauth2.client_id", oauth2.client_id.is_empty().then_some(empty));
    let is_unsaid = matches!(&oauth2.client_secret, Token::Text(secret) if secret.expose().is_empty());
    add("auth.oauth2.client_secret", is_unsaid.then_some(empty));
    let is_second = policy.auth.basic.is_some() || policy.auth.bearer.is_some();
    let second = "contradicts auth.basic and auth.bearer: a request bears one Authorization";
    add("auth.oauth2.token_url", is_second.then_some(second));
    mistakes
}
