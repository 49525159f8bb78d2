//! Tokens that an authorization server gives (`auth.oauth2`, RFC 6749 §4.4): one fetch for all who wait.
//!
//! ```text
//! good ──► it is used; late in its life it is renewed beside        a fetch is a task: who began it may go, the others
//! none ──► fetch ──► all who wait get it, or hear why not           wait on; who comes after a failure hears of it at once
//! 401  ──► fetch, once, while the others use what they have         until the pause is over
//! ```
//!
//! The task is of the runtime whose request began it, and others wait for it, too. So it gives signs of life: a runtime that
//! nobody drives any more gives none, and whoever waits begins anew.
//!
//! A fetch is a request of the profile's own pool, with its TLS, proxy and egress rules, and with hardly anything else of the
//! profile, as it is by then: no redirect, no retry, no breaker, and a bound on its time and its answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::Client;
use super::address::bare;
use super::credentials::{bearer_of, secret};
use super::policies::Policies;
use crate::error::{Cut, Error, Kind};
use crate::files;
use crate::pool::Pool;
use crate::settings::{Breaker, ClientAuth, OAuth2, Policy, Profile, Token};
use crate::wire::chance;

/// A fetch takes no longer, and no more of an answer.
const LONGEST: Duration = Duration::from_secs(30);
const LARGEST: u64 = 64 << 10;
/// A token's life: a server that says "at once" must not be asked for each request.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);
const LONGEST_LIFE: Duration = Duration::from_hours(365 * 24);
/// After a failure; doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Between two fetches that refused tokens ask for.
const BETWEEN_REFUSALS: Duration = Duration::from_secs(5);
/// A fetch that ends without a word, since its runtime did or stands still, is made again so often.
const TRIES: usize = 4;
/// Between two signs of life of a fetch, and after how long without one its runtime stands still.
const SIGNS_EACH: Duration = Duration::from_millis(100);
const STANDS_STILL: Duration = Duration::from_secs(1);

/// The tokens of a profile.
pub(super) struct Tokens {
    settings: OAuth2,
    /// The profile's name.
    profile: String,
    state: Mutex<State>,
}

/// What a fetch goes by: the pool and the profile of the settings in force, which a token may outlive.
pub(super) struct By {
    pool: Pool,
    profile: Profile,
}

#[derive(Default)]
struct State {
    token: Option<Known>,
    /// The fetch under way; what comes by the channel are signs of its life, and its end closes it.
    fetch: Option<(watch::Receiver<()>, AbortHandle)>,
    failure: Option<Failure>,
    /// When a refusal asked for one last.
    refused: Option<Instant>,
}

#[derive(Clone)]
struct Known {
    header: HeaderValue,
    /// When it is renewed, and when it is over; `None` if nobody said.
    life: Option<(Instant, Instant)>,
}

struct Failure {
    error: Arc<Error>,
    pause: Duration,
    until: Instant,
}

impl By {
    pub(super) fn of(profile: &Profile, pool: &Pool) -> By {
        let policy = &profile.policy;
        let mut own = Policy {
            timeout: Some(policy.timeout.map_or(LONGEST, |timeout| timeout.min(LONGEST))),
            pool_wait: policy.pool_wait,
            user_agent: policy.user_agent.clone(),
            breaker: Breaker {
                enabled: false,
                ..Breaker::default()
            },
            max_response_bytes: Some(LARGEST),
            ..Policy::default()
        };
        own.retry.max_attempts = 1;
        own.redirect.max = 0;
        own.compression.accept = Vec::new();
        By {
            pool: pool.clone(),
            profile: Profile {
                policy: own,
                ..profile.clone()
            },
        }
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        if let Some((_, task)) = self.state().fetch.take() {
            task.abort();
        }
    }
}

impl Tokens {
    /// Those of a profile, if it asks for any. Nothing is fetched yet.
    pub(super) fn of(profile: &Profile) -> Option<Arc<Tokens>> {
        let settings = profile.policy.auth.oauth2.clone()?;
        Some(Arc::new(Tokens {
            settings,
            profile: profile.name.clone(),
            state: Mutex::default(),
        }))
    }

    /// Whether a secret that is in a file can be read.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(super) fn check(&self) -> Result<(), String> {
        match &self.settings.client_secret {
            Token::Text(_) => Ok(()),
            Token::File(path) => files::secret(path).map(drop),
        }
    }

    /// A token that is good now and need not be renewed yet.
    pub(super) fn known(&self) -> Option<HeaderValue> {
        let now = Instant::now();
        let state = self.state();
        let token = state.token.as_ref()?;
        let is_young = token.life.is_none_or(|(renewal, _)| now < renewal);
        is_young.then(|| token.header.clone())
    }

    /// A token, fetched by this if there is none.
    ///
    /// Dropping the future leaves the fetch to those who wait for it, too.
    ///
    /// # Errors
    ///
    /// Why none could be had: now, or at the last try, if the next one is not due yet.
    pub(super) async fn current(self: &Arc<Self>, by: &By) -> Result<HeaderValue, Error> {
        for _ in 0..TRIES {
            let mut fetch = {
                let mut state = self.state();
                let now = Instant::now();
                if let Some(Known { header, life }) = state.token.clone()
                    && life.is_none_or(|(_, end)| now < end)
                {
                    let is_due = life.is_some_and(|(renewal, _)| renewal <= now);
                    if is_due && state.may_fetch(now) && state.under_way().is_none() {
                        self.begin(&mut state, by);
                    }
                    return Ok(header);
                }
                match state.under_way() {
                    Some(fetch) => fetch,
                    None if state.may_fetch(now) => self.begin(&mut state, by),
                    None => return Err(self.failed(&state)),
                }
            };
            self.see_out(&mut fetch).await;
        }
        Err(self.failed(&self.state()))
    }

    /// Another token than this one, which was refused; `None` if none is to be had now.
    pub(super) async fn other_than(self: &Arc<Self>, refused: &HeaderValue, by: &By) -> Option<HeaderValue> {
        let mut fetch = {
            let mut state = self.state();
            let now = Instant::now();
            if let Some(other) = state.other_than(refused) {
                return Some(other);
            }
            let is_calm = state.refused.is_none_or(|last| BETWEEN_REFUSALS <= now - last);
            match state.under_way() {
                Some(fetch) => fetch,
                None if is_calm && state.may_fetch(now) => {
                    state.refused = Some(now);
                    self.begin(&mut state, by)
                }
                None => return None,
            }
        };
        self.see_out(&mut fetch).await;
        self.state().other_than(refused)
    }

    /// Waits for the end of a fetch, told or not; one whose runtime stands still is none any more.
    async fn see_out(&self, fetch: &mut watch::Receiver<()>) {
        loop {
            match tokio::time::timeout(STANDS_STILL, fetch.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => break,
            }
        }
        let mut state = self.state();
        let stopped = state.fetch.take_if(|(known, _)| known.same_channel(fetch));
        drop(state);
        if let Some((_, task)) = stopped {
            task.abort();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(self: &Arc<Self>, state: &mut State, by: &By) -> watch::Receiver<()> {
        let (end, fetch) = watch::channel(());
        // The task keeps nothing alive that nobody waits for.
        let (tokens, pool) = (Arc::downgrade(self), by.pool.clone());
        let (settings, profile) = (self.settings.clone(), by.profile.clone());
        let task = tokio::spawn(async move {
            let mut fetching = Box::pin(fetch_by(&settings, profile, pool.clone()));
            let mut signs = tokio::time::interval(SIGNS_EACH);
            let outcome = loop {
                tokio::select! {
                    outcome = fetching.as_mut() => break outcome,
                    _ = signs.tick() => end.send_replace(()),
                }
            };
            if let Some(tokens) = tokens.upgrade() {
                pool.count_token(outcome.is_ok());
                tokens.note(outcome);
            }
            drop(end);
        });
        state.fetch = Some((fetch.clone(), task.abort_handle()));
        fetch
    }

    fn note(&self, outcome: Result<Known, Error>) {
        let profile = &*self.profile;
        let mut state = self.state();
        state.fetch = None;
        match outcome {
            Ok(token) => {
                tracing::debug!(profile, "a token was fetched (auth.oauth2)");
                state.token = Some(token);
                state.failure = None;
            }
            Err(error) => {
                let pause = state.failure.as_ref().map(|failure| failure.pause * 2);
                if pause.is_none() {
                    tracing::warn!(profile, "no token could be fetched (auth.oauth2): {error}");
                }
                let pause = pause.unwrap_or(FIRST_PAUSE).min(LONGEST_PAUSE);
                state.failure = Some(Failure {
                    error: Arc::new(error),
                    pause,
                    until: Instant::now() + pause.mul_f64(0.5 + chance() / 2.0),
                });
            }
        }
    }

    fn failed(&self, state: &State) -> Error {
        let url = shown(&self.settings.token_url);
        match &state.failure {
            Some(Failure { error, .. }) => {
                let message = format!("no token could be had (auth.oauth2): {error}");
                Error::new(Kind::Token, message).with_source(Arc::clone(error) as _)
            }
            None => Error::new(Kind::Token, format!("no token could be had (auth.oauth2) from {url}")),
        }
        .retryable(true)
    }
}

impl State {
    fn may_fetch(&self, now: Instant) -> bool {
        self.failure.as_ref().is_none_or(|failure| failure.until <= now)
    }

    /// The fetch under way. One whose runtime has ended is none.
    fn under_way(&self) -> Option<watch::Receiver<()>> {
        let (fetch, _) = self.fetch.as_ref()?;
        fetch.has_changed().is_ok().then(|| fetch.clone())
    }

    fn other_than(&self, refused: &HeaderValue) -> Option<HeaderValue> {
        let token = self.token.as_ref().map(|token| token.header.clone());
        token.filter(|token| token != refused)
    }
}

/// What a token's answer holds (RFC 6749 §5.1).
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    /// A number, or, of some servers, a text that is one.
    expires_in: Option<serde_json::Value>,
}

/// What a refusal holds (RFC 6749 §5.2). Its description is text of the server's that may repeat what it was told.
#[derive(Deserialize)]
struct Denied {
    error: String,
}

async fn fetch_by(settings: &OAuth2, profile: Profile, pool: Pool) -> Result<Known, Error> {
    let secret = secret_of(&settings.client_secret).await?;
    let policies = Policies::of(&profile)?;
    let client = Client::on(pool, profile, policies)?;
    let request = client
        .post(settings.token_url.as_str())
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let request = match settings.client_auth {
        ClientAuth::Basic => request.header(AUTHORIZATION, basic_of(&settings.client_id, &secret)?),
        ClientAuth::Body => request,
    };
    let began = Instant::now();
    let response = request.body(form_of(settings, &secret)).send().await?;
    let status = response.status();
    let told = |why: String| {
        let url = shown(&settings.token_url);
        Error::new(Kind::Token, format!("{url} {why}"))
    };
    let bytes = response.bytes().await;
    let bytes = bytes.map_err(|error| told(format!("answered {status}, and its answer broke off: {error}")))?;
    if !status.is_success() {
        let denied = serde_json::from_slice(&bytes).ok();
        let word = denied.map(|Denied { error }| error).filter(|word| is_word(word));
        let word = word.map_or_else(String::new, |word| format!(" {word}"));
        return Err(told(format!("answered {}{word}", status.as_u16())));
    }
    let granted: Granted = serde_json::from_slice(&bytes).map_err(|_| {
        told("answered no token: expected JSON with access_token and token_type (RFC 6749 §5.1)".into())
    })?;
    if !granted.token_type.eq_ignore_ascii_case("bearer") {
        let kind = Cut(&granted.token_type);
        return Err(told(format!("gave a token of the type {kind}: expected Bearer")));
    }
    let header = bearer_of(&granted.access_token).map_err(|why| told(format!("gave none that can be used: {why}")))?;
    let life = granted.expires_in.as_ref().and_then(seconds);
    let life = life.map(|life| {
        let life = life.clamp(SHORTEST_LIFE, LONGEST_LIFE);
        // Not in step with others who got theirs at the same time.
        (began + life.mul_f64(0.75 + 0.15 * chance()), began + life.mul_f64(0.95))
    });
    Ok(Known { header, life })
}

/// As the codes of refusals are (`invalid_client`); what is not may be anything.
fn is_word(text: &str) -> bool {
    text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn shown(url: &str) -> String {
    let url = url::Url::parse(url).map(bare);
    url.map_or_else(|_| String::new(), |url| Cut(url.as_str()).to_string())
}

fn seconds(value: &serde_json::Value) -> Option<Duration> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    // Beyond all durations it is as long as one can be; what is no number at all is not said.
    (!number.is_nan()).then(|| Duration::try_from_secs_f64(number.clamp(0.0, 1e12)).unwrap_or(LONGEST_LIFE))
}

/// RFC 6749 §4.4.2.
fn form_of(settings: &OAuth2, client_secret: &str) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if !settings.scopes.is_empty() {
        form.append_pair("scope", &settings.scopes.join(" "));
    }
    form.extend_pairs(settings.audience.iter().map(|audience| ("audience", audience)));
    if settings.client_auth == ClientAuth::Body {
        form.append_pair("client_id", &settings.client_id);
        form.append_pair("client_secret", client_secret);
    }
    form.finish()
}

/// RFC 6749 §2.3.1: both are encoded as in a form before they are joined.
fn basic_of(client_id: &str, client_secret: &str) -> Result<HeaderValue, Error> {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = STANDARD.encode(format!("{}:{}", encoded(client_id), encoded(client_secret)));
    let value = HeaderValue::from_str(&format!("Basic {pair}"));
    value
        .map(secret)
        .map_err(|_| Error::new(Kind::Token, "a header can't hold the client's secret"))
}

/// The secret as it is now. A file is read by a thread of its own: it may be on a network's disk that hangs.
async fn secret_of(secret: &Token) -> Result<String, Error> {
    let told = |why: String| Error::new(Kind::Token, format!("auth.oauth2.client_secret: {why}"));
    let path = match secret {
        Token::Text(secret) => return Ok(secret.expose().to_owned()),
        Token::File(path) => path.clone(),
    };
    let (done, read) = oneshot::channel();
    let reading = move || drop(done.send(files::secret(&path)));
    let thread = std::thread::Builder::new().name("httputil-token".to_owned());
    let thread = thread.spawn(reading);
    thread.map_err(|error| told(format!("no thread could be started to read it: {error}")))?;
    match tokio::time::timeout(LONGEST, read).await {
        Ok(Ok(text)) => text.map_err(told),
        _ => Err(told("its file could not be read in time".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_goes_on_failing_is_asked_ever_more_seldom_and_once_a_minute_at_last() {
        let mut profile = Profile::named("test");
        profile.policy.auth.oauth2 = Some(OAuth2::new("http://login.test/token", "id", "secret"));
        let tokens = Tokens::of(&profile).unwrap();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            tokens.note(Err(Error::new(Kind::Token, "no")));
            let pause = Duration::from_secs(seconds);
            let now = Instant::now();
            assert!(
                !tokens.state().may_fetch(now + pause / 2 - Duration::from_millis(1)),
                "{seconds}"
            );
            assert!(tokens.state().may_fetch(now + pause), "{seconds}");
        }
        let header = HeaderValue::from_static("Bearer t");
        tokens.note(Ok(Known { header, life: None }));
        tokens.note(Err(Error::new(Kind::Token, "no")));
        assert!(tokens.state().may_fetch(Instant::now() + FIRST_PAUSE), "it begins anew");
    }

    #[test]
    fn a_client_is_encoded_before_it_is_joined() {
        let value = basic_of("a b:ü", "c/+%&").unwrap();
        assert!(value.is_sensitive());
        let expected = STANDARD.encode("a+b%3A%C3%BC:c%2F%2B%25%26");
        assert_eq!(value, format!("Basic {expected}"));
    }

    #[test]
    fn a_life_is_a_number_in_either_form_and_never_beyond_all_times() {
        let life = |text: &str| seconds(&serde_json::from_str(text).unwrap());
        assert_eq!(life("3600"), Some(Duration::from_hours(1)));
        assert_eq!(life("\"3599\""), Some(Duration::from_secs(3599)));
        assert_eq!(life("-5"), Some(Duration::ZERO));
        assert_eq!(life("1e300"), Some(Duration::from_secs(1_000_000_000_000)));
        for none in ["\"soon\"", "null", "\"NaN\"", "[1]"] {
            assert_eq!(life(none), None, "{none}");
        }
    }
}
