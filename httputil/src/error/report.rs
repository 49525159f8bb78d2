//! The one error type.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use url::Url;

use super::words::{Cut, one_line};
use super::{Kind, Problem};

/// Any error of anybody's, as layers and bodies give it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Any failure of this crate.
///
/// `Display` is one line that says what happened, to whom, and what to do (one line a problem for [`Kind::Config`], and
/// with `{:#}` the file's line below it, its key underlined and its value left out); `source()` keeps the chain of causes.
/// Neither ever shows a secret: URLs lose credentials, query and fragment.
pub struct Error(Box<Inner>);

#[derive(Default)]
struct Inner {
    kind: Option<Kind>,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    problems: Vec<Problem>,
    retryable: bool,
    method: Option<Method>,
    url: Option<Url>,
    profile: Option<Arc<str>>,
    attempts: u32,
    elapsed: Option<Duration>,
}

impl Error {
    /// What class of failure this is.
    pub fn kind(&self) -> Kind {
        self.0.kind.unwrap_or(Kind::Request)
    }

    /// Whether the server has certainly not acted on the request, so that sending it again is safe for any method.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// Whether this is a time-out, of whatever phase.
    pub fn is_timeout(&self) -> bool {
        matches!(self.kind(), Kind::Timeout { .. })
    }

    /// After what time the request may be made again: of a [`Kind::BreakerOpen`] error.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind() {
            Kind::BreakerOpen { retry_after } => Some(retry_after),
            _ => None,
        }
    }

    /// Whether the configuration is to blame.
    pub fn is_config(&self) -> bool {
        self.kind() == Kind::Config
    }

    /// The request's URL, without credentials, query and fragment.
    pub fn url(&self) -> Option<&Url> {
        self.0.url.as_ref()
    }

    /// The request's host.
    pub fn host(&self) -> Option<&str> {
        self.0.url.as_ref().and_then(Url::host_str)
    }

    /// The profile that the request was made through.
    pub fn profile(&self) -> Option<&str> {
        self.0.profile.as_deref()
    }

    /// How often it was attempted to send the request, resends and retries included; 0 if it was refused before.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The time from the request's start to its failure.
    pub fn elapsed(&self) -> Option<Duration> {
        self.0.elapsed
    }

    /// The problems of a [`Kind::Config`] error, in the order of the files.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// Finds our error in the chain of any other, such as the `reqwest::Error` that reading a body returned.
    ///
    /// ```
    /// # async fn read(response: reqwest::Response) {
    /// if let Err(error) = response.bytes().await {
    ///     if let Some(ours) = httputil::Error::of(&error) {
    ///         eprintln!("{ours}, after {:?}", ours.elapsed());
    ///     }
    /// }
    /// # }
    /// ```
    pub fn of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(ours) = error.downcast_ref::<Error>() {
                return Some(ours);
            }
            // An io::Error shows its payload's source as its own, so the payload itself is looked at first.
            if let Some(io) = error.downcast_ref::<std::io::Error>()
                && let Some(payload) = io.get_ref()
                && let Some(ours) = Error::of(payload)
            {
                return Some(ours);
            }
            next = error.source();
        }
        None
    }

    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind: Some(kind),
            message: one_line(message.into()),
            ..Inner::default()
        }))
    }

    /// One error out of all problems found; never call it with none.
    pub(crate) fn config(problems: Vec<Problem>) -> Error {
        debug_assert!(!problems.is_empty(), "a configuration error without a problem");
        Error(Box::new(Inner {
            kind: Some(Kind::Config),
            problems,
            ..Inner::default()
        }))
    }

    /// The problems of a configuration error, to be finished.
    pub(crate) fn problems_mut(&mut self) -> &mut [Problem] {
        &mut self.0.problems
    }

    /// The same mistake, of another class and with words before its own.
    pub(crate) fn instead(mut self, kind: Kind, words: &str) -> Error {
        self.0.kind = Some(kind);
        self.0.message.insert_str(0, words);
        self
    }

    /// The problems of a configuration error, taken out.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.0.problems
    }

    pub(crate) fn with_source(mut self, source: Arc<dyn StdError + Send + Sync>) -> Error {
        self.0.source = Some(source);
        self
    }

    pub(crate) fn retryable(mut self, retryable: bool) -> Error {
        self.0.retryable = retryable;
        self
    }

    /// Adds the client whose request failed before it was one.
    pub(crate) fn for_client(mut self, profile: &Arc<str>) -> Error {
        self.0.profile = Some(Arc::clone(profile));
        self.0.elapsed = Some(Duration::ZERO);
        self
    }

    /// Adds the request that failed. The URL, where there is one, comes without credentials, query and fragment.
    pub(crate) fn for_request(
        mut self,
        method: &Method,
        url: Option<Url>,
        profile: &Arc<str>,
        attempts: u32,
        elapsed: Duration,
    ) -> Error {
        self.0.method = Some(method.clone());
        self.0.url = url;
        self.0.profile = Some(Arc::clone(profile));
        self.0.attempts = attempts;
        self.0.elapsed = Some(elapsed);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        if inner.kind == Some(Kind::Config) && !inner.problems.is_empty() {
            for (index, problem) in inner.problems.iter().enumerate() {
                if index > 0 {
                    f.write_str("\n")?;
                }
                // With its own flags: `{:#}` is for the problems.
                fmt::Display::fmt(problem, f)?;
            }
            return Ok(());
        }
        if let (Some(method), Some(url)) = (&inner.method, &inner.url) {
            write!(f, "{method} {}: ", Cut(url.as_str()))?;
        }
        f.write_str(&inner.message)?;
        match (&inner.profile, inner.attempts) {
            (Some(profile), 0 | 1) => write!(f, " (profile {profile})"),
            (Some(profile), attempts) => write!(f, " (profile {profile}, {attempts} attempts)"),
            (None, _) => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.kind()).field("message", &self.to_string());
        if let Some(elapsed) = inner.elapsed {
            debug.field("elapsed", &elapsed);
        }
        if let Some(source) = &inner.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| &**source as &(dyn StdError + 'static))
    }
}
