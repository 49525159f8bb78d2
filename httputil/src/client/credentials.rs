//! Whom a profile's requests say that they are from, and to whom they say it.
//!
//! The rule: credentials and secret headers go to the profile's own origins, and no more once a redirect has led to another
//! one, be it there and back. A request's own `Authorization` replaces the profile's; what the profile gives is added to each
//! sending and not kept in the request.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::execute::Prepared;
#[cfg(feature = "oauth2")]
use super::oauth2::{By, Tokens};
use super::policies::Policies;
use super::retry::Head;
use super::sendings::Sendings;
use super::token_file::TokenFile;
use crate::connect::Target;
use crate::error::{Error, Phase, Problem};
use crate::policy::auth::Origins;
use crate::pool::Pool;
use crate::settings::{Auth, BaseUrl, Basic, Profile, Token, check_origin, check_token};

/// The secrets of a profile.
pub(super) struct Credentials {
    headers: Vec<(HeaderName, HeaderValue)>,
    authorization: Option<Authorization>,
}

/// Where `Authorization` comes from.
enum Authorization {
    Fixed(HeaderValue),
    File(TokenFile),
    /// Tokens that are fetched, and by what.
    #[cfg(feature = "oauth2")]
    Fetched(Arc<Tokens>, Box<By>),
}

/// What `Authorization` holds.
pub(super) enum Now {
    Nothing,
    Value(HeaderValue),
    /// It is to be seen.
    Wait,
}

/// The profile's own origins: those of `auth.origins`, else those of `base_url`.
///
/// # Errors
///
/// That an origin is none.
pub(super) fn own_origins(profile: &Profile, bases: &[BaseUrl]) -> Result<Origins<Target>, Error> {
    let origins = &profile.policy.auth.origins;
    if origins.is_empty() {
        let own = bases.iter().filter_map(|base| Target::of(base.url()).ok());
        return Ok(Origins::new(own.collect()));
    }
    let own = |origin: &String| Target::of(&check_origin(origin)?);
    let own: Result<Vec<Target>, &str> = origins.iter().map(own).collect();
    own.map(Origins::new).map_err(|why| wrong(profile, "auth.origins", why))
}

fn wrong(profile: &Profile, key: &str, why: &str) -> Error {
    let message = format!("{}.{key}: {why}", profile.name);
    Error::config(vec![Problem::new(message)])
}

impl Credentials {
    /// Those of a profile, if it has any.
    ///
    /// # Errors
    ///
    /// That there is no origin that they could go to, that a token's file cannot be used, or what
    /// [`header_mistakes`](crate::settings::header_mistakes) tells of a profile that was never checked.
    pub(super) fn of(
        profile: &Profile,
        origins: &Origins<Target>,
        pool: &Pool,
        policies: &Policies,
    ) -> Result<Option<Credentials>, Error> {
        let Auth { basic, bearer, .. } = &profile.policy.auth;
        let wrong = |key: &str, why: &str| wrong(profile, key, why);
        let mut headers = Vec::new();
        let mut secret_header = None;
        for (name, value) in &profile.policy.headers {
            if value.is_secret(name) {
                let key = format!("headers.{name}");
                let value = HeaderValue::from_str(value.expose());
                let value = value.map_err(|_| wrong(&key, "a header can't hold this text"))?;
                let name = HeaderName::from_bytes(name.as_bytes());
                headers.push((name.map_err(|_| wrong(&key, "no header has this name"))?, secret(value)));
                secret_header.get_or_insert(key);
            }
        }
        let (key, authorization) = match (basic, bearer) {
            (Some(Basic { username, password }), _) => {
                let user = STANDARD.encode(format!("{}:{}", username.expose(), password.expose()));
                let value = HeaderValue::from_str(&format!("Basic {user}"));
                let value = value.map_err(|_| wrong("auth.basic", "a header can't hold it"))?;
                ("auth.basic", Some(Authorization::Fixed(secret(value))))
            }
            (None, Some(Token::Text(token))) => {
                let value = bearer_of(token.expose()).map_err(|why| wrong("auth.bearer", why))?;
                ("auth.bearer", Some(Authorization::Fixed(value)))
            }
            (None, Some(Token::File(path))) => {
                let file = TokenFile::open(path, &profile.name).map_err(|why| wrong("auth.bearer", &why))?;
                ("auth.bearer", Some(Authorization::File(file)))
            }
            (None, None) => match fetched(profile, pool, policies) {
                Some(fetched) => ("auth.oauth2", Some(fetched)),
                None => (secret_header.as_deref().unwrap_or("headers"), None),
            },
        };
        #[cfg(feature = "oauth2")]
        if let Some(Authorization::Fetched(tokens, _)) = &authorization {
            tokens.check().map_err(|why| wrong("auth.oauth2.client_secret", &why))?;
        }
        if authorization.is_none() && headers.is_empty() {
            return Ok(None);
        }
        if origins.is_empty() {
            let why = "a secret goes to the origin of base_url or to those of auth.origins only, and neither is set";
            return Err(wrong(key, why));
        }
        Ok(Some(Credentials { headers, authorization }))
    }

    /// Whether a header of this name is a secret of the profile's, also where a request bears another value.
    pub(super) fn names(&self, name: &HeaderName) -> bool {
        self.headers.iter().any(|(secret, _)| secret == name)
    }

    /// Whether there may be other credentials when those in use are refused.
    pub(super) fn are_renewable(&self) -> bool {
        !matches!(self.authorization, None | Some(Authorization::Fixed(_)))
    }

    /// What `Authorization` holds, where that need not be waited for.
    pub(super) fn now(&self) -> Now {
        let known = match &self.authorization {
            None => return Now::Nothing,
            Some(Authorization::Fixed(value)) => Some(value.clone()),
            Some(Authorization::File(file)) => file.known(),
            #[cfg(feature = "oauth2")]
            Some(Authorization::Fetched(tokens, _)) => tokens.known(),
        };
        known.map_or(Now::Wait, Now::Value)
    }

    /// What `Authorization` holds.
    ///
    /// # Errors
    ///
    /// That a token that has to be fetched cannot be had.
    pub(super) async fn current(&self) -> Result<Option<HeaderValue>, Error> {
        Ok(Some(match &self.authorization {
            None => return Ok(None),
            Some(Authorization::Fixed(value)) => value.clone(),
            Some(Authorization::File(file)) => file.current().await,
            #[cfg(feature = "oauth2")]
            Some(Authorization::Fetched(tokens, by)) => tokens.current(by).await?,
        }))
    }

    /// Other credentials than those that were refused, if there are any.
    pub(super) async fn renewed(&self, refused: &HeaderValue) -> Option<HeaderValue> {
        match self.authorization.as_ref()? {
            Authorization::Fixed(_) => None,
            Authorization::File(file) => file.other_than(refused).await,
            #[cfg(feature = "oauth2")]
            Authorization::Fetched(tokens, by) => tokens.other_than(refused, by).await,
        }
    }

    /// Adds the secret headers that a request does not bear itself.
    pub(super) fn add_to(&self, headers: &mut HeaderMap, authorization: Option<&HeaderValue>) {
        for (name, value) in &self.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        if let Some(authorization) = authorization {
            headers.entry(AUTHORIZATION).or_insert_with(|| authorization.clone());
        }
    }
}

/// Tokens that are fetched, where the profile has some.
#[cfg(feature = "oauth2")]
fn fetched(profile: &Profile, pool: &Pool, policies: &Policies) -> Option<Authorization> {
    let tokens = policies.tokens.as_ref()?;
    let by = Box::new(By::of(profile, pool));
    Some(Authorization::Fetched(Arc::clone(tokens), by))
}

#[cfg(not(feature = "oauth2"))]
fn fetched(_: &Profile, _: &Pool, _: &Policies) -> Option<Authorization> {
    None
}

impl Prepared {
    /// Finds out what the place that the request goes to may be told.
    ///
    /// # Errors
    ///
    /// That a token that it needs cannot be had, or not before the request's time is over.
    pub(super) async fn authorize(&mut self) -> Result<(), Error> {
        let in_force = Arc::clone(&self.in_force);
        let credentials = in_force.credentials.as_ref();
        let told = credentials.filter(|_| in_force.origins.secrets_may_go(&self.target, self.has_strayed));
        self.tells_secrets = told.is_some();
        self.authorization = match told {
            Some(credentials) if !self.draft.headers.contains_key(AUTHORIZATION) => match credentials.now() {
                Now::Nothing => None,
                Now::Value(value) => Some(value),
                // Boxed, so that the future of a request that need not wait stays small.
                Now::Wait => {
                    let current = Box::pin(self.in_time(credentials.current())).await;
                    let current = current.ok_or_else(|| self.failing.deadline(Phase::Token).retryable(true))?;
                    current.map_err(|error| self.failing.describe(error))?
                }
            },
            _ => None,
        };
        Ok(())
    }

    /// What comes of it before the request's time is over.
    async fn in_time<T>(&self, coming: impl Future<Output = T>) -> Option<T> {
        match self.deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, coming).await.ok(),
            None => Some(coming.await),
        }
    }

    /// Whether a 401 may be answered with other credentials, or another signature: if those that it refused were the profile's
    /// or its layer's, and the request can be sent once more.
    pub(super) fn may_renew(&self, sendings: &Sendings) -> bool {
        let is_renewable = self
            .in_force
            .credentials
            .as_ref()
            .is_some_and(Credentials::are_renewable);
        let is_told = is_renewable && self.authorization.is_some();
        (is_told || self.layer.is_some()) && !sendings.is_spent
    }

    /// Whether there is something better to say than what was refused.
    pub(super) async fn renew(&self, head: &Head) -> bool {
        let renewed = match (&self.in_force.credentials, &self.authorization) {
            (Some(credentials), Some(refused)) => self.in_time(credentials.renewed(refused)).await.flatten(),
            _ => None,
        };
        let is_renewed = renewed.is_some() || self.refresh(head).await;
        if is_renewed {
            self.in_force.pool.count_renewal();
        }
        tracing::debug!(
            profile = &*self.in_force.name,
            method = %self.failing.method,
            is_renewed,
            "401: the credentials were looked for again",
        );
        is_renewed
    }
}

/// A token as the Bearer scheme has it (RFC 6750 §2.1).
pub(super) fn bearer_of(token: &str) -> Result<HeaderValue, &'static str> {
    if token.is_empty() {
        return Err("the token is empty");
    }
    check_token(token)?;
    HeaderValue::from_str(&format!("Bearer {token}"))
        .map(secret)
        .map_err(|_| "a header can't hold the token")
}

/// Marked, so that neither `Debug` shows it nor HTTP/2 remembers it for the next request.
pub(super) fn secret(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}
