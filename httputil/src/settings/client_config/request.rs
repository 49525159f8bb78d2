//! Where relative requests go, and what all of them bear.

use std::path::PathBuf;

use super::ClientConfig;
use crate::settings::{Basic, DefaultHeader, OAuth2, Secret, Token};

impl ClientConfig {
    /// The prefix of relative request URLs, or `unix:/path` of a socket; default none.
    ///
    /// ```
    /// use httputil::{Client, ClientConfig};
    ///
    /// let client = Client::new(ClientConfig::default().base_url("https://api.example/v1"))?;
    /// let request = client.get("users/7").build()?;
    /// assert_eq!(request.url().as_str(), "https://api.example/v1/users/7");
    /// # Ok::<(), httputil::Error>(())
    /// ```
    #[must_use]
    pub fn base_url(mut self, base_url: impl Into<String>) -> ClientConfig {
        self.profile.policy.base_url = vec![base_url.into()];
        self
    }

    /// Several prefixes of relative request URLs, endpoints of one service: each attempt goes to one of them, with all that the
    /// request bears itself, its `Host` and its `Authorization` included. What is meant for one of them is written with its
    /// whole URL.
    ///
    /// ```
    /// use httputil::ClientConfig;
    ///
    /// let config = ClientConfig::default().base_urls(["https://a.example/v1", "https://b.example/v1"]);
    /// ```
    #[must_use]
    pub fn base_urls<U: Into<String>>(mut self, base_urls: impl IntoIterator<Item = U>) -> ClientConfig {
        self.profile.policy.base_url = base_urls.into_iter().map(Into::into).collect();
        self
    }

    /// `User-Agent` of requests that name none; default `httputil/<version>`.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> ClientConfig {
        self.profile.policy.user_agent = user_agent.into();
        self
    }

    /// A header of requests that bear none of this name. One whose name tells a secret (`authorization`, `cookie`, `…token…`,
    /// `…secret…`, `…password…`, `…api-key…`) goes to the client's own origins only, as
    /// [`secret_header`](ClientConfig::secret_header) does.
    ///
    /// That name or value can stand in no header is an error of [`Client::new`](crate::Client::new).
    #[must_use]
    pub fn default_header(mut self, name: impl AsRef<str>, value: impl Into<String>) -> ClientConfig {
        let headers = &mut self.profile.policy.headers;
        let name = name.as_ref().to_ascii_lowercase();
        let value = DefaultHeader::under(&name, value.into());
        headers.insert(name, value);
        self
    }

    /// The same, to the client's own origins only: that of `base_url`, or [`auth_origins`](ClientConfig::auth_origins). The
    /// value is never shown.
    #[must_use]
    pub fn secret_header(mut self, name: impl AsRef<str>, value: impl Into<Secret>) -> ClientConfig {
        let headers = &mut self.profile.policy.headers;
        headers.insert(name.as_ref().to_ascii_lowercase(), DefaultHeader::Secret(value.into()));
        self
    }

    /// `Authorization` by the Basic scheme (RFC 7617), for requests that bear none, to the client's own origins only.
    #[must_use]
    pub fn basic_auth(mut self, username: impl Into<Secret>, password: impl Into<Secret>) -> ClientConfig {
        let (username, password) = (username.into(), password.into());
        self.profile.policy.auth.basic = Some(Basic { username, password });
        self.profile.policy.auth.bearer = None;
        self.profile.policy.auth.oauth2 = None;
        self
    }

    /// `Authorization` by the Bearer scheme (RFC 6750), for requests that bear none, to the client's own origins only.
    ///
    /// ```
    /// use httputil::{Client, ClientConfig};
    ///
    /// let config = ClientConfig::default().base_url("https://api.example/v1").bearer_auth("token");
    /// let client = Client::new(config)?;
    /// // Without an origin of its own the token would go nowhere.
    /// assert!(Client::new(ClientConfig::default().bearer_auth("token")).is_err());
    /// # Ok::<(), httputil::Error>(())
    /// ```
    #[must_use]
    pub fn bearer_auth(mut self, token: impl Into<Secret>) -> ClientConfig {
        self.profile.policy.auth.bearer = Some(Token::Text(token.into()));
        self.profile.policy.auth.basic = None;
        self.profile.policy.auth.oauth2 = None;
        self
    }

    /// The same with a file's token, which is read again when the file has changed, and when an answer is 401: the request
    /// is sent once more then.
    #[must_use]
    pub fn bearer_auth_file(mut self, file: impl Into<PathBuf>) -> ClientConfig {
        self.profile.policy.auth.bearer = Some(Token::File(file.into()));
        self.profile.policy.auth.basic = None;
        self.profile.policy.auth.oauth2 = None;
        self
    }

    /// The same with tokens that an authorization server gives, as [`OAuth2`] says. Needs the feature `oauth2`, without which
    /// it is refused.
    #[must_use]
    pub fn oauth2(mut self, oauth2: OAuth2) -> ClientConfig {
        let auth = &mut self.profile.policy.auth;
        auth.oauth2 = Some(oauth2);
        (auth.basic, auth.bearer) = (None, None);
        self
    }

    /// Where credentials and secret headers may go: origins such as `https://api.example`; default that of `base_url`.
    #[must_use]
    pub fn auth_origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> ClientConfig {
        self.profile.policy.auth.origins = origins.into_iter().map(Into::into).collect();
        self
    }
}
