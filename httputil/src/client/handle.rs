//! The handle that services hold.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Method;
use tokio::time::Instant;

use super::around::{Around, RequestLayer};
use super::execute::{Written, prepare};
use super::in_code;
use super::in_force::InForce;
use super::layer::{AttemptLayer, Layer};
use super::message::to_reqwest;
use super::policies::Policies;
use super::{Breaker, IntoUrl, RequestBuilder, RequestOptions};
use crate::connect::{Connector, Identities, Identity, Proxies, Resolver, Target};
use crate::error::{Error, Kind, Problem};
use crate::pool::{Budget, HostStats, Lease, Pool, PoolStats};
use crate::settings::{ClientConfig, Environment, MaxConnections, Profile, unverified};

/// A lease on a shared connection pool, with a profile's policies. Cheap to clone; clones share the lease.
///
/// The lease ends at [`stop`](Client::stop), or when the last clone is dropped; when a pool's last lease is back, its
/// idle connections are closed.
///
/// Requests are made within a tokio runtime with its I/O and time drivers on; the client itself can be made anywhere.
#[derive(Clone)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
    pub(super) layer: Option<Layer>,
    pub(super) around: Option<Around>,
}

pub(super) struct Inner {
    pub(super) lease: Arc<Lease>,
    /// The profile's.
    pub(super) name: Arc<str>,
    /// What the next request follows.
    pub(super) in_force: ArcSwap<InForce>,
    /// Done once, when the lease ends.
    farewell: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// The lease is the client's: a request under way, which holds the pool's side of it, must not keep it alive.
impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}

impl Inner {
    /// Ends the lease; the first time, what was wished to be done then is done.
    fn end(&self) {
        if self.lease.end()
            && let Some(farewell) = self.farewell.get()
        {
            farewell();
        }
    }
}

/// A client that keeps nothing alive.
#[derive(Clone, Debug)]
pub(crate) struct WeakClient {
    inner: Weak<Inner>,
    lease: Weak<Lease>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("profile", &self.name)
            .finish_non_exhaustive()
    }
}

impl WeakClient {
    /// Whether its lease has not ended. Never holds the client, not even for a moment: asked under a lock, it may be about
    /// to end, and whatever is done at its end would be done here.
    pub(crate) fn is_live(&self) -> bool {
        self.lease.upgrade().is_some_and(|lease| !lease.has_ended())
    }

    /// The client, which may be the last one by the time that it is dropped: not under a lock.
    pub(crate) fn upgrade(&self) -> Option<Client> {
        self.inner.upgrade().map(|inner| Client {
            inner,
            layer: None,
            around: None,
        })
    }
}

/// What [`Client::shutdown`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// Requests that were under way and ended within the grace, bodies included.
    pub finished: usize,
    /// Requests still under way when the grace was over. They go on.
    pub left: usize,
}

impl Shutdown {
    /// The sum of two.
    #[must_use]
    pub fn and(self, other: Shutdown) -> Shutdown {
        Shutdown {
            finished: self.finished + other.finished,
            left: self.left + other.left,
        }
    }
}

impl Client {
    /// A client with a pool of its own, made in code: no file and no `HTTPUTIL_*` variable is read, except that
    /// `HTTPUTIL_ENV` must allow `tls.insecure_skip_verify`. The proxy variables count unless `proxy.from_env` is off.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`] if a time-out is zero, a file of `tls.*` cannot be used, `base_url` or a proxy's URL or variable names
    /// none, the user agent cannot be a header's value, or certificates are not to be verified and the process's
    /// `HTTPUTIL_ENV` is neither `development` nor `test`.
    pub fn new(config: ClientConfig) -> Result<Client, Error> {
        Client::new_in(config, &Environment::of_process())
    }

    pub(super) fn new_in(config: ClientConfig, environment: &Environment) -> Result<Client, Error> {
        let ClientConfig { profile } = config;
        let mut problems = in_code::mistakes(&profile);
        problems.extend(Proxies::of(&profile, environment).err().into_iter().flatten());
        if profile.transport.tls.insecure_skip_verify {
            match unverified::refusal_in(environment) {
                Some(why) => {
                    let message = format!("{}.tls.insecure_skip_verify = true: {why}", profile.name);
                    problems.push(Problem::new(message));
                }
                None => unverified::warn(&profile.name, "set in code"),
            }
        }
        match Identities::default().intern(&profile.transport.tls) {
            Ok(identity) if problems.is_empty() => Client::alone(profile, identity, environment),
            Ok(_) => Err(Error::config(problems)),
            Err(problem) => {
                problems.push(problem);
                Err(Error::config(problems))
            }
        }
    }

    /// [`Client::new`] with every default but the total time-out.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`] if it is zero.
    pub fn with_timeout(timeout: Duration) -> Result<Client, Error> {
        Client::new(ClientConfig::default().timeout(timeout))
    }

    /// A client with a pool of its own that uses your rustls configuration. Its ALPN list is replaced by ours.
    pub fn with_tls(timeout: Duration, tls: rustls::ClientConfig) -> Result<Client, Error> {
        let profile = ClientConfig::default().timeout(timeout).profile;
        let problems = in_code::mistakes(&profile);
        if !problems.is_empty() {
            return Err(Error::config(problems));
        }
        Client::alone(profile, Identity::custom(tls), &Environment::of_process())
    }

    fn alone(profile: Profile, identity: Arc<Identity>, environment: &Environment) -> Result<Client, Error> {
        let proxies = Proxies::of(&profile, environment).map_err(Error::config)?;
        let proxies = if proxies.need_tls() {
            proxies.with_identity(identity.for_proxies())
        } else {
            proxies
        };
        let connector = Connector::new(profile.transport.clone(), identity, &Resolver::system(), proxies);
        let pool = Pool::new(profile.pool.as_str(), connector, Budget::of(MaxConnections::Auto));
        let policies = Policies::of(&profile)?;
        Client::on(pool, profile, policies)
    }

    /// A new lease on a pool; `policies` are the profile's.
    pub(crate) fn on(pool: Pool, profile: Profile, policies: Arc<Policies>) -> Result<Client, Error> {
        let in_force = InForce::new(pool.clone(), profile, policies)?;
        Ok(Client {
            inner: Arc::new(Inner {
                lease: Lease::new(pool),
                name: Arc::clone(&in_force.name),
                in_force: ArcSwap::new(in_force),
                farewell: OnceLock::new(),
            }),
            layer: None,
            around: None,
        })
    }

    /// The same client, on the same lease, whose requests go through a layer of your own, each attempt on its final headers:
    /// to be signed. Clones have it too, this handle does not; a layer that it had before is replaced.
    #[must_use]
    pub fn with_attempt_layer(&self, layer: impl AttemptLayer) -> Client {
        Client {
            layer: Some(Layer::new(layer)),
            ..self.clone()
        }
    }

    /// The same client, on the same lease, whose requests pass a layer of your own as a whole. Clones have it too, this handle
    /// does not; a layer that it had before is replaced.
    #[must_use]
    pub fn with_request_layer(&self, layer: impl RequestLayer) -> Client {
        Client {
            around: Some(Around::new(layer)),
            ..self.clone()
        }
    }

    /// Begins a `GET`. A URL that cannot be parsed is an error of `send()`; a relative one is joined to the profile's
    /// `base_url`, as [`IntoUrl`] says.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// Begins a `POST`.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// Begins a `PUT`.
    pub fn put(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// Begins a `PATCH`.
    pub fn patch(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// Begins a `DELETE`.
    pub fn delete(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// Begins a `HEAD`.
    pub fn head(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// Begins a request of any method.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        RequestBuilder::new(self.clone(), method, url)
    }

    /// Sends a request that was built elsewhere.
    ///
    /// The request's time begins with this call. Dropping the future abandons the request: an HTTP/1 connection it was
    /// written to is closed, an HTTP/2 stream is reset, a place in the queue is left.
    ///
    /// # Errors
    ///
    /// Any [`Kind`] but `Config`; see [`Error`]. An answer with an error status is no error.
    pub fn execute(
        &self,
        request: reqwest::Request,
    ) -> impl Future<Output = Result<reqwest::Response, Error>> + Send + use<> {
        self.clone().send(Ok(Written::of(Box::new(request), None)))
    }

    /// [`execute`](Client::execute) with what this request wants otherwise than the profile: reqwest's request has a place
    /// for a time-out, and for no other option.
    pub fn execute_with(
        &self,
        request: reqwest::Request,
        options: RequestOptions,
    ) -> impl Future<Output = Result<reqwest::Response, Error>> + Send + use<> {
        self.clone()
            .send(Ok(Written::of(Box::new(request), Some(Box::new(options)))))
    }

    pub(super) fn send(
        self,
        request: Result<Written, Error>,
    ) -> impl Future<Output = Result<reqwest::Response, Error>> + Send + use<> {
        // The request's time begins now, unless a layer is asked first.
        let begun = match self.around {
            None => Ok(request.and_then(|request| prepare(&self.inner, request))),
            Some(_) => Err(request.map(Box::new)),
        };
        // Written where it stays, as `Prepared` is: a future of the caller's that awaits it is smaller by it, too.
        Box::into_pin(Box::write(Box::new_uninit(), async move {
            // The whole client, so that the request keeps the lease to its end.
            let client = &self;
            match (begun, &client.around) {
                (Ok(prepared), _) => prepared?.layered(client.layer.as_ref()).run(to_reqwest).await,
                (Err(request), Some(around)) => Box::pin(around.send_reqwest(client, request?)).await,
                (Err(request), None) => Box::pin(prepare(&client.inner, *request?)?.run(to_reqwest)).await,
            }
        }))
    }

    /// The profile's name.
    pub fn profile(&self) -> &str {
        &self.inner.name
    }

    /// The pool's statistics.
    pub fn stats(&self) -> PoolStats {
        self.inner.in_force.load().pool.stats()
    }

    /// The pool's statistics, host by host, sorted by name.
    pub fn host_stats(&self) -> Vec<HostStats> {
        let now = Instant::now();
        let in_force = self.inner.in_force.load();
        let state = |target: &Target| Some(in_force.policies.met(target)?.breaker.as_ref()?.state_at(now));
        in_force.pool.host_stats(state)
    }

    /// The breaker of a host, which the clients of this profile share: an origin, such as `https://host:8443` or
    /// `unix:/run/app.sock`; without a scheme it is that of `base_url` with this host and port, else of `https`.
    ///
    /// # Errors
    ///
    /// [`Kind::Request`] if `breaker.enabled` is false, or this is no host.
    pub fn breaker(&self, host: &str) -> Result<Breaker, Error> {
        Breaker::of(&self.inner.in_force.load().policies, &self.inner.name, host)
    }

    /// Closes the pool's idle connections now, for everybody who shares the pool. Those in use close when their requests
    /// have ended; later requests dial anew.
    pub fn close_idle_connections(&self) {
        self.inner.in_force.load().pool.close_idle();
    }

    /// Forgets the cookies that answers have set, for all clients that share them: those of the profile, but for types with a
    /// pool of their own, which have cookies of their own, too. What answers set from then on is kept. Does nothing where the
    /// profile keeps no `cookies`.
    pub fn clear_cookies(&self) {
        self.inner.in_force.load().cookies.clear();
    }

    /// Ends the lease, for all clones: later requests fail with [`Kind::Stopped`], those under way finish. Closes the
    /// pool's idle connections if nobody else holds a lease. Stopping twice does nothing.
    pub fn stop(&self) {
        self.inner.end();
    }

    /// Whether the lease has ended.
    pub fn is_stopped(&self) -> bool {
        self.inner.lease.has_ended()
    }

    /// [`stop`](Client::stop), then waits up to `grace` for the requests begun through this lease, bodies included.
    ///
    /// Dropping the future stops the waiting; the lease stays ended.
    pub async fn shutdown(&self, grace: Duration) -> Shutdown {
        let lease = &self.inner.lease;
        self.inner.end();
        let under_way = lease.under_way();
        if under_way == 0 {
            return Shutdown { finished: 0, left: 0 };
        }
        let _ = tokio::time::timeout(grace, lease.drained()).await;
        let left = lease.under_way();
        Shutdown {
            finished: under_way.saturating_sub(left),
            left,
        }
    }

    /// The name of its pool.
    pub(crate) fn pool(&self) -> String {
        self.inner.in_force.load().profile.pool.clone()
    }

    pub(crate) fn downgrade(&self) -> WeakClient {
        WeakClient {
            inner: Arc::downgrade(&self.inner),
            lease: Arc::downgrade(&self.inner.lease),
        }
    }

    /// Does this once, when the lease ends; only the first wish counts. It must not panic: it is done in `drop`, too.
    pub(crate) fn at_the_end(&self, farewell: impl Fn() + Send + Sync + 'static) {
        let _ = self.inner.farewell.set(Box::new(farewell));
    }

    /// Ends the lease if this is its last clone: what dropping the clone would do, but now.
    #[doc(hidden)]
    pub fn release(&self) {
        if Arc::strong_count(&self.inner) == 1 {
            self.inner.end();
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("profile", &self.inner.name)
            .field("pool", &self.pool())
            .field("layered", &(self.layer.is_some() || self.around.is_some()))
            .field("stopped", &self.is_stopped())
            .finish()
    }
}

/// An error that belongs to no request.
pub(super) fn stopped() -> Error {
    Error::new(
        Kind::Stopped,
        "the client was stopped; make a new one from the registry",
    )
}
