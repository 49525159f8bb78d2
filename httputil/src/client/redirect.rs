//! The stage of a request's way that goes where an answer sends the request: the outermost one, under the total deadline.
//!
//! [`policy`](crate::policy) decides each hop; here it is made. A hop is a request of its own, with attempts of its own and
//! through every stage beneath, but the resends of all hops together are bounded, and what was left behind at another
//! origin is not taken up again.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use http::StatusCode;
use http_body::Body as _;
use url::Url;

use super::address::{bare, without_user};
use super::execute::{Prepared, aim, refused};
use super::options;
use super::retry::Head;
use super::sendings::Sendings;
use crate::error::{Cut, Error, Kind};
use crate::policy::{Hop, Refusal};
use crate::settings::Redirect;
use crate::wire::{PooledBody, RequestBody};

/// Bytes of an answer's body that are read on before the next hop, so that it can be made over the same connection, and the
/// time that this may take.
const MOST: usize = 64 << 10;
const LONGEST: Duration = Duration::from_millis(50);

/// The redirects that a request followed: an extension of its response, through both doors, if there were any.
///
/// ```no_run
/// # async fn example(client: httputil::Client) -> Result<(), httputil::Error> {
/// let response = client.get("https://example.com/").send().await?;
/// if let Some(redirects) = response.extensions().get::<httputil::Redirects>() {
///     for redirected in redirects.history() {
///         println!("{} answered {}", redirected.url(), redirected.status());
///     }
///     println!("{} answered at last", redirects.url());
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirects {
    history: Vec<Redirected>,
    url: Url,
}

impl Redirects {
    /// The URL that answered at last, as [`reqwest::Response::url`] tells it.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Who sent the request elsewhere, the first one first.
    pub fn history(&self) -> &[Redirected] {
        &self.history
    }
}

/// An answer that sent the request elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirected {
    url: Url,
    status: StatusCode,
}

impl Redirected {
    /// The URL that was asked, without credentials.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl Prepared {
    /// Makes the request ready to go where the answer sends it; `false` if the answer is the user's.
    pub(super) async fn redirect(&mut self, head: &Head, sendings: &mut Sendings) -> Result<bool, Error> {
        let rules = Redirect {
            max: self.max_redirects(),
            ..self.in_force.profile.policy.redirect
        };
        let Some(url) = self.failing.address.url() else {
            return Ok(false);
        };
        let status = head.status();
        let hop = rules.hop(
            &url,
            &self.failing.method,
            status,
            head.headers(),
            self.redirected.len(),
        );
        let hop = match hop {
            None => return Ok(false),
            Some(Err(refusal)) => {
                let words = words(&refusal, status, rules.max);
                let (profile, method) = (&*self.in_force.name, &self.failing.method);
                self.in_force.pool.count_redirect_refused();
                tracing::debug!(profile, %method, "redirect refused: {words}");
                return Err(self.failing.describe(Error::new(Kind::Redirect, words)));
            }
            Some(Ok(hop)) => hop,
        };
        if hop.keeps_body && sendings.is_spent {
            // Nobody can send the body twice but the caller.
            return Ok(false);
        }
        let from = without_user(url.into_owned());
        read_on(self.take_pooled()).await;
        self.leave_host();
        sendings.resends.may_be_done = true;
        self.turn(hop)?;
        self.in_force.pool.count_redirect();
        tracing::debug!(
            profile = &*self.in_force.name,
            method = %self.failing.method,
            hops = self.redirected.len() + 1,
            "redirected by {status} to {}",
            Cut(self.failing.address.shown().as_ref().map_or("", Url::as_str)),
        );
        self.redirected.push(Redirected { url: from, status });
        sendings.go_on(self.options.as_deref());
        Ok(true)
    }

    /// How many redirects it follows: by its own word, else by its profile's.
    pub(super) fn max_redirects(&self) -> u32 {
        options::max_redirects(self.options.as_deref(), self.in_force.profile.policy.redirect.max)
    }

    /// Turns the request to its next place.
    fn turn(&mut self, hop: Hop) -> Result<(), Error> {
        let credentials = self.in_force.credentials.as_ref();
        hop.strip(&mut self.draft.headers, |name| {
            credentials.is_some_and(|credentials| credentials.names(name))
        });
        if !hop.keeps_body {
            self.draft.body = RequestBody::empty();
        }
        self.has_strayed |= hop.crosses_origin;
        self.failing.method = hop.method;
        self.failing.address.turn_to(hop.url);
        self.failing.attempts = 0;
        let Prepared {
            in_force,
            failing,
            draft,
            ..
        } = self;
        let aimed = aim(in_force, failing, &mut draft.headers, &mut draft.body);
        let aimed = aimed.and_then(|aim| match aim.route {
            Ok(route) => Ok((aim.target, route, aim.manner, aim.path)),
            Err(refusal) => Err(refused(&refusal)),
        });
        let (target, route, manner, path) = aimed.map_err(|error| {
            let words = "a redirect led here, and it cannot be gone to: ";
            // What a guard says keeps its class.
            let kind = match error.kind() {
                Kind::Request => Kind::Redirect,
                kind => kind,
            };
            self.failing.describe(error.instead(kind, words))
        })?;
        self.draft.path = Some(path);
        (self.target, self.route, self.manner) = (target, route, manner);
        Ok(())
    }

    /// The redirects that were followed, for the user.
    pub(super) fn take_redirects(&mut self) -> Option<Redirects> {
        if self.redirected.is_empty() {
            return None;
        }
        Some(Redirects {
            history: std::mem::take(&mut self.redirected),
            url: self.failing.address.url()?.into_owned(),
        })
    }
}

/// Reads an answer that nobody wants to its end, if that is near.
pub(super) async fn read_on(mut body: PooledBody) {
    let mut read = 0;
    let reading = async {
        while read <= MOST
            && !body.is_end_stream()
            && let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
        {
            read += frame.data_ref().map_or(0, bytes::Bytes::len);
        }
    };
    let _ = tokio::time::timeout(LONGEST, reading).await;
}

/// Why a redirect is not followed, and what would be right.
fn words(refusal: &Refusal, status: StatusCode, max: u32) -> String {
    let status = status.as_u16();
    match refusal {
        Refusal::TooMany => format!("redirected more than {max} times (redirect.max)"),
        Refusal::CrossOrigin(url) => format!(
            "redirected by {status} to another origin, {} (redirect.cross_origin = false)",
            Cut(bare(url.clone()).as_str())
        ),
        Refusal::Downgrade(url) => format!(
            "redirected by {status} from https to {} (redirect.downgrade = false)",
            Cut(bare(url.clone()).as_str())
        ),
        Refusal::BadLocation => {
            format!("redirected by {status} to no one http or https URL: the answer's Location names none, or several")
        }
    }
}
