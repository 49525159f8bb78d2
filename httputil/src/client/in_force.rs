//! The settings that a client's requests follow.
//!
//! The rule: a request takes them once, when it begins, and keeps them to its end, so that whatever it does it does by one
//! set of settings, also where others are in force meanwhile.

use std::sync::Arc;

use http::header::ACCEPT_ENCODING;
use http::{HeaderName, HeaderValue};

use super::Client;
use super::address::FirstTarget;
use super::cookies::Cookies;
use super::credentials::{Credentials, own_origins};
use super::into_url::First;
use super::message::Made;
use super::policies::Policies;
use super::reading::Codings;
use crate::connect::Target;
use crate::error::{Error, Problem};
use crate::policy::auth::Origins;
use crate::pool::Pool;
use crate::settings::{BaseUrl, Policy, Profile};
use crate::wire::Phases;

/// A profile as requests read it, with what is remembered while it is in force.
pub(super) struct InForce {
    pub(super) profile: Profile,
    pub(super) name: Arc<str>,
    /// Where connections come from.
    pub(super) pool: Pool,
    pub(super) user_agent: HeaderValue,
    /// `headers` but for the secret ones.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Where secrets may go.
    pub(super) origins: Origins<Target>,
    /// `auth`, and the secret ones of `headers`.
    pub(super) credentials: Option<Credentials>,
    /// `cookies`
    pub(super) cookies: Cookies,
    /// `base_url`, or the first of them.
    pub(super) base: Option<BaseUrl>,
    /// The bounds of `timeouts.{response_header,read,write}`, if any is on.
    pub(super) phases: Option<Arc<Phases>>,
    pub(super) made: Made,
    pub(super) first: First,
    pub(super) first_target: FirstTarget,
    pub(super) policies: Arc<Policies>,
    /// Those that answers may have, if any.
    pub(super) codings: Option<Codings>,
}

impl InForce {
    /// `policies` are the profile's.
    ///
    /// # Errors
    ///
    /// That the profile has values that no request can be made with.
    pub(super) fn new(pool: Pool, profile: Profile, policies: Arc<Policies>) -> Result<Arc<InForce>, Error> {
        let user_agent = HeaderValue::from_str(&profile.policy.user_agent).map_err(|_| {
            let message = format!(
                "{}.user_agent: holds a character that a header cannot bear",
                profile.name
            );
            Error::config(vec![Problem::new(message)])
        })?;
        let bases = profile.policy.base_url.iter().map(|base| BaseUrl::parse(base));
        let bases = bases.collect::<Result<Vec<_>, _>>().map_err(|why| {
            let message = format!("{}.base_url: {why}", profile.name);
            Error::config(vec![Problem::new(message)])
        })?;
        let origins = own_origins(&profile, &bases)?;
        let credentials = Credentials::of(&profile, &origins, &pool, &policies)?;
        let plain = profile.policy.headers.iter();
        let plain = plain.filter(|(name, value)| !value.is_secret(name));
        let headers = plain.map(|(name, value)| {
            Some((
                HeaderName::from_bytes(name.as_bytes()).ok()?,
                HeaderValue::from_str(value.expose()).ok()?,
            ))
        });
        let headers: Vec<(HeaderName, HeaderValue)> = headers.collect::<Option<_>>().ok_or_else(|| {
            let message = format!("{}.headers: one of them can stand in no request", profile.name);
            Error::config(vec![Problem::new(message)])
        })?;
        // What the profile asks for by a header of its own is its users' to undo.
        let asks_itself = headers.iter().any(|(name, _)| name == ACCEPT_ENCODING);
        let codings = Codings::of(&profile.policy.compression).filter(|_| !asks_itself);
        Ok(Arc::new(InForce {
            phases: phases_of(&profile.policy),
            headers,
            origins,
            credentials,
            cookies: policies.cookies.of_client(&profile),
            codings,
            name: Arc::from(profile.name.as_str()),
            profile,
            pool,
            user_agent,
            base: bases.into_iter().next(),
            made: Made::default(),
            first: First::default(),
            first_target: FirstTarget::default(),
            policies,
        }))
    }
}

/// Settings that wait to be put in force under a client. Nothing of this can fail any more.
pub(crate) struct Successor {
    client: Client,
    in_force: Arc<InForce>,
}

impl Client {
    /// Other settings for this client; none if they are those that are in force.
    ///
    /// # Errors
    ///
    /// As with a new client of these settings.
    pub(crate) fn succeed(
        self,
        pool: Pool,
        profile: Profile,
        policies: Arc<Policies>,
    ) -> Result<Option<Successor>, Error> {
        let now = self.inner.in_force.load();
        if now.pool.is(&pool) && now.profile == profile && Arc::ptr_eq(&now.policies, &policies) {
            return Ok(None);
        }
        let cookies = now.cookies.clone();
        drop(now);
        let mut in_force = InForce::new(pool, profile, policies)?;
        if let Some(later) = Arc::get_mut(&mut in_force) {
            later.cookies = std::mem::take(&mut later.cookies).or_earlier(&cookies);
        }
        Ok(Some(Successor { client: self, in_force }))
    }
}

impl Successor {
    /// The next request follows them. Those under way go on as they began.
    pub(crate) fn put_in_force(self) {
        let Successor { client, in_force } = self;
        // Held before a request draws from it.
        client.inner.lease.move_to(&in_force.pool);
        client.inner.in_force.store(in_force);
    }
}

fn phases_of(policy: &Policy) -> Option<Arc<Phases>> {
    let phases = Phases {
        response_header: policy.response_header,
        read: policy.read.beside(policy.timeout),
        write: policy.write.beside(policy.timeout),
    };
    phases.any()
}
