//! Which proxy a request takes: the profile's keys first, then the environment's variables.
//!
//! `proxy.http` and `proxy.https` count before `proxy.url`, that before the variables. A proxy that is written in a
//! profile has the profile's exceptions; one of the environment has `NO_PROXY`'s unless the profile has some, and is
//! never taken for a loopback host, as in Go.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::credentials::Credentials;
use super::environment::{self, Variable};
use super::exceptions::Exception;
use super::{ProxyServer, Route};
use crate::connect::{Identity, Scheme, Target};
use crate::error::Problem;
use crate::settings::{self, Environment, Profile, ProxyChoice};

/// The proxies of one pool, looked at once when the pool is built.
#[derive(Clone, Default)]
pub(crate) struct Proxies {
    http: Option<Chosen>,
    https: Option<Chosen>,
    /// For TLS with a proxy.
    identity: Option<Arc<Identity>>,
}

/// A proxy, and where it is not taken.
#[derive(Clone, PartialEq)]
struct Chosen {
    proxy: Arc<ProxyServer>,
    exceptions: Arc<[Exception]>,
    spares_loopback: bool,
}

impl Chosen {
    fn applies(&self, target: &Target) -> bool {
        let spared = self.spares_loopback && target.is_loopback();
        !spared && !self.exceptions.iter().any(|exception| exception.covers(target))
    }
}

impl Proxies {
    /// What a profile and the variables say. The problems name the key or the variable, and show no value.
    pub(crate) fn of(profile: &Profile, environment: &Environment) -> Result<Proxies, Vec<Problem>> {
        let mut reading = Reading::of(profile, environment);
        let (http, mut https) = reading.read();
        // One proxy is one proxy, so that its failures are known to both.
        if let (Some(http), Some(https)) = (&http, &mut https)
            && http.proxy == https.proxy
        {
            https.proxy = Arc::clone(&http.proxy);
        }
        if reading.wrong.is_empty() {
            return Ok(Proxies {
                http,
                https,
                identity: None,
            });
        }
        let told = |wrong| match wrong {
            Wrong::Key(key, why) => Problem::new(format!("{}.{key}: {why}", profile.name)),
            Wrong::Variable(problem) => problem,
        };
        Err(reading.wrong.into_iter().map(told).collect())
    }

    /// The keys of a profile that make no proxy together, and why; values are not shown.
    pub(crate) fn mistaken_keys(profile: &Profile) -> Vec<(&'static str, Cow<'static, str>)> {
        let environment = Environment::empty();
        let mut reading = Reading::of(profile, &environment);
        reading.read();
        let keys = reading.wrong.into_iter().filter_map(|wrong| match wrong {
            Wrong::Key(key, why) => Some((key, why)),
            Wrong::Variable(_) => None,
        });
        keys.collect()
    }

    /// Whether no request takes one.
    #[cfg(feature = "reqwest")]
    pub(crate) fn are_none(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }

    /// Whether a proxy is spoken to over TLS.
    pub(crate) fn need_tls(&self) -> bool {
        let is_tls = |chosen: &Option<Chosen>| chosen.as_ref().is_some_and(|chosen| chosen.proxy.is_tls());
        is_tls(&self.http) || is_tls(&self.https)
    }

    /// With whom to trust as a proxy, and as whom.
    pub(crate) fn with_identity(self, identity: Arc<Identity>) -> Proxies {
        let identity = Some(identity);
        Proxies { identity, ..self }
    }

    /// Whether both lead the same ways, as the same user and over the same TLS.
    pub(crate) fn are(&self, other: &Proxies) -> bool {
        let identity = |proxies: &Proxies| proxies.identity.as_ref().map(Arc::as_ptr);
        self.http == other.http && self.https == other.https && identity(self) == identity(other)
    }

    pub(in crate::connect) fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    /// The way to a target. `needs_tunnel` says whether what is to be said there is no request that a proxy could pass on.
    pub(crate) fn route(&self, target: &Target, needs_tunnel: impl FnOnce() -> bool) -> Route {
        let chosen = match target.scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        match chosen {
            // A socket is on this machine, and no proxy's to reach.
            Some(_) if target.socket().is_some() => Route::Direct,
            Some(chosen) if chosen.applies(target) => {
                let proxy = Arc::clone(&chosen.proxy);
                if target.scheme == Scheme::Http && proxy.speaks_http() && !needs_tunnel() {
                    Route::Forward(proxy)
                } else {
                    Route::Tunnel(proxy)
                }
            }
            _ => Route::Direct,
        }
    }
}

type ForScheme = for<'a> fn(&'a Environment) -> Result<Option<Variable<'a>>, Problem>;

struct Reading<'a> {
    settings: &'a settings::Proxy,
    environment: &'a Environment,
    wrong: Vec<Wrong>,
}

#[derive(PartialEq)]
enum Wrong {
    Key(&'static str, Cow<'static, str>),
    Variable(Problem),
}

impl<'a> Reading<'a> {
    fn of(profile: &'a Profile, environment: &'a Environment) -> Reading<'a> {
        Reading {
            settings: &profile.transport.proxy,
            environment,
            wrong: Vec::new(),
        }
    }

    fn read(&mut self) -> (Option<Chosen>, Option<Chosen>) {
        let settings = self.settings;
        let http = self.choose("proxy.http", settings.http.as_ref(), environment::for_http);
        let https = self.choose("proxy.https", settings.https.as_ref(), environment::for_https);
        (http, https)
    }

    fn add(&mut self, wrong: Wrong) {
        if !self.wrong.contains(&wrong) {
            self.wrong.push(wrong);
        }
    }

    fn in_key(&mut self, key: &'static str, why: impl Into<Cow<'static, str>>) {
        self.add(Wrong::Key(key, why.into()));
    }

    fn choose(&mut self, key: &'static str, own: Option<&ProxyChoice>, variable: ForScheme) -> Option<Chosen> {
        let user = self.user();
        let (key, choice) = match own {
            Some(own) => (key, Some(own)),
            None => ("proxy.url", self.settings.url.as_ref()),
        };
        let environment = self.environment;
        match choice {
            Some(ProxyChoice::Direct) => None,
            Some(ProxyChoice::Through(url)) => match ProxyServer::new(url.expose(), user.as_ref()) {
                Ok(proxy) => Some(Chosen {
                    proxy: Arc::new(proxy),
                    exceptions: self.own_exceptions().unwrap_or_default(),
                    spares_loopback: false,
                }),
                Err(why) => {
                    self.in_key(key, why);
                    None
                }
            },
            None if !self.settings.from_env => None,
            None => {
                let variable = self.told(variable(environment)).flatten()?;
                let exceptions = self.own_exceptions().unwrap_or_else(|| {
                    let listed = environment::exceptions(environment);
                    self.told(listed).unwrap_or_default().into()
                });
                match ProxyServer::new(variable.value, user.as_ref()) {
                    Ok(proxy) => Some(Chosen {
                        proxy: Arc::new(proxy),
                        exceptions,
                        spares_loopback: true,
                    }),
                    Err(why) => {
                        self.add(Wrong::Variable(variable.problem(why)));
                        None
                    }
                }
            }
        }
    }

    fn told<T>(&mut self, read: Result<T, Problem>) -> Option<T> {
        read.map_err(|problem| self.add(Wrong::Variable(problem))).ok()
    }

    fn user(&mut self) -> Option<Credentials> {
        let settings::Proxy { username, password, .. } = self.settings;
        let username = username.as_ref().map(|username| username.expose().to_owned());
        let password = password.as_ref().map(|password| password.expose().to_owned());
        if username.is_none() && password.is_some() {
            self.in_key("proxy.password", "there is no proxy.username beside it");
        }
        username.map(|username| Credentials {
            username,
            password: password.unwrap_or_default(),
        })
    }

    fn own_exceptions(&mut self) -> Option<Arc<[Exception]>> {
        let listed = self.settings.no_proxy.as_ref()?;
        let mut exceptions = Vec::new();
        for entry in listed {
            match Exception::parse(entry) {
                Ok(exception) => exceptions.push(exception),
                Err(why) => self.in_key("proxy.no_proxy", why),
            }
        }
        Some(exceptions.into())
    }
}

/// Names only.
impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |chosen: &Option<Chosen>| chosen.as_ref().map(|chosen| chosen.proxy.to_string());
        f.debug_struct("Proxies")
            .field("http", &shown(&self.http))
            .field("https", &shown(&self.https))
            .finish_non_exhaustive()
    }
}
