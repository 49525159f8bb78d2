//! A stream to a target through a proxy: reaching the proxy, then what is said to it.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::health::Attempt;
use super::{ProxyServer, Route, connect, failure, socks};
use crate::connect::{Connector, DialFailure, MaybeTls, Progress, Raw, Target, tls};
use crate::error::{Kind, Phase};

/// So many addresses of one name a proxy is asked for, as many as are raced without one.
const MAX_ADDRESSES: usize = 16;

impl Connector {
    /// A stream on which the target, or for [`Route::Forward`] the proxy, takes HTTP or TLS, and the target's address, if the
    /// proxy was asked for one. Of the addresses of a name that was looked up here it is asked for one after the other, each
    /// over a connection of its own: SOCKS has no second question. None is begun after `timeouts.connect`.
    pub(in crate::connect) async fn through<S>(
        &self,
        proxy: &ProxyServer,
        route: &Route,
        target: &Target,
        progress: &Progress,
        mut wrap: impl FnMut(Raw) -> S,
    ) -> Result<(MaybeTls<S>, Option<SocketAddr>), DialFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if proxy.speaks_http() {
            let stream = self.through_once(proxy, route, target, None, progress, &mut wrap).await;
            return stream.map(|stream| (stream, None));
        }
        // A name that is ours to look up comes first: if there is none, the proxy need not be troubled.
        let addresses = self.socks_addresses(proxy, target, progress).await?;
        let (began, count) = (Instant::now(), addresses.len());
        let mut tried = 0;
        loop {
            let address = addresses.get(tried);
            tried += 1;
            let reached = self
                .through_once(proxy, route, target, address, progress, &mut wrap)
                .await;
            match reached {
                Err(failure)
                    if tried < count && !failure.of_proxy && began.elapsed() < self.transport().timeouts.connect =>
                {
                    tracing::debug!("{}; its next address is tried", failure.message);
                }
                Err(failure) if tried > 1 => {
                    let message = format!("{} (the last of {tried} addresses that were tried)", failure.message).into();
                    return Err(DialFailure { message, ..failure });
                }
                reached => {
                    let asked = address.and_then(|address| address.at(target.port));
                    return reached.map(|stream| (stream, asked));
                }
            }
        }
    }

    async fn through_once<S>(
        &self,
        proxy: &ProxyServer,
        route: &Route,
        target: &Target,
        address: Option<&socks::Address>,
        progress: &Progress,
        wrap: impl FnOnce(Raw) -> S,
    ) -> Result<MaybeTls<S>, DialFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let attempt = proxy.health.begin(Instant::now())?;
        let mut remote = None;
        let mut stream = match self.reach_proxy(proxy, target, progress, &mut remote, wrap).await {
            Ok(stream) => stream,
            Err(failure) => {
                self.blame_proxy(proxy, remote);
                let failure = failure::blame(proxy, failure);
                attempt.failed(&failure);
                return Err(failure);
            }
        };
        if route.forwards().is_some() {
            attempt.reached();
            return Ok(stream);
        }
        progress.enter(Phase::ProxyConnect);
        let bound = self.transport().timeouts.proxy_connect;
        let mut was_named = false;
        let said = tokio::time::timeout(bound, async {
            let Some(address) = address else {
                was_named = true;
                return connect::open_tunnel(proxy, target, &mut stream).await;
            };
            socks::log_in(proxy, &mut stream).await?;
            was_named = true;
            socks::ask(proxy, address, target, &mut stream).await
        });
        let said = said.await.unwrap_or_else(|_| {
            Err(DialFailure {
                // Until then it cannot be the target's.
                of_proxy: !was_named,
                ..failure::timed_out(proxy, target, bound)
            })
        });
        let said = said.map_err(|failure| DialFailure {
            of_proxy: failure.of_proxy || is_hang_up(&failure) && !was_named,
            ..failure
        });
        let said = match (said, remote) {
            (Err(failure), Some(remote)) if is_mute(&failure) && !failure.of_proxy => {
                let is_its_own = self.proxy_was_silent(proxy, remote, target);
                Err(DialFailure {
                    of_proxy: is_its_own && is_hang_up(&failure),
                    ..failure
                })
            }
            (said, _) => said,
        };
        match (&said, remote) {
            (Err(failure), Some(_)) if is_mute(failure) && !failure.of_proxy => {}
            (Err(failure), _) if failure.of_proxy => self.blame_proxy(proxy, remote),
            (_, Some(remote)) => proxy.health.was_heard(remote, target),
            (_, None) => {}
        }
        settle(attempt, &said);
        said.map(|()| stream)
    }

    async fn reach_proxy<S>(
        &self,
        proxy: &ProxyServer,
        target: &Target,
        progress: &Progress,
        remote: &mut Option<SocketAddr>,
        wrap: impl FnOnce(Raw) -> S,
    ) -> Result<MaybeTls<S>, DialFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let last = proxy.health.silent_for(target, Instant::now());
        let (raw, address) = self.reach(&proxy.place, &last, progress).await?;
        *remote = address;
        let stream = wrap(raw);
        if !proxy.is_tls() {
            return Ok(MaybeTls::Plain(stream));
        }
        progress.enter(Phase::ProxyConnect);
        let Some(identity) = self.proxies.identity() else {
            // Never in clear.
            return Err(DialFailure::new(
                Kind::Tls,
                "there is nothing to verify its certificate by",
            ));
        };
        let bound = self.transport().timeouts.tls_handshake;
        let shaking = tls::handshake(identity, &proxy.place, tls::Offer::Http1, bound, stream);
        let (stream, _alpn, _asked) = shaking.await?;
        Ok(MaybeTls::Tls(Box::new(stream)))
    }

    /// At this address of the proxy something failed, or was not answered: its others come first for a while.
    fn blame_proxy(&self, proxy: &ProxyServer, remote: Option<SocketAddr>) {
        if let Some(remote) = remote {
            self.names.blame(&proxy.place, remote);
        }
    }

    /// At this address of the proxy nothing was answered once the target was named; whether that is the address's own fault.
    fn proxy_was_silent(&self, proxy: &ProxyServer, remote: SocketAddr, target: &Target) -> bool {
        let is_its_own = proxy.health.was_silent(remote, target, Instant::now());
        if is_its_own {
            self.blame_proxy(proxy, Some(remote));
        }
        is_its_own
    }

    async fn socks_addresses(
        &self,
        proxy: &ProxyServer,
        target: &Target,
        progress: &Progress,
    ) -> Result<Vec<socks::Address>, DialFailure> {
        if let Some(address) = socks::Address::of(proxy, target)? {
            return Ok(vec![address]);
        }
        progress.enter(Phase::Dns);
        let bound = self.transport().timeouts.dns;
        let answer = self.names.resolve(target, bound, progress.half_time()).await?;
        if answer.addresses.is_empty() {
            let message = format!("name look-up of {target} gave no address");
            return Err(DialFailure::new(Kind::Dns, message));
        }
        let addresses = answer.addresses.iter().take(MAX_ADDRESSES);
        Ok(addresses.map(|address| socks::Address::Ip(address.ip())).collect())
    }
}

fn settle(attempt: Attempt<'_>, said: &Result<(), DialFailure>) {
    match said {
        Err(failure) if failure.of_proxy => attempt.failed(failure),
        // Whether a silent proxy, or one that hangs up, is to blame cannot be told.
        Err(failure) if is_mute(failure) => drop(attempt),
        _ => attempt.succeeded(),
    }
}

/// Whether the proxy gave no answer.
fn is_mute(failure: &DialFailure) -> bool {
    matches!(failure.kind, Kind::Timeout { .. }) || is_hang_up(failure)
}

/// Whether it closed the connection instead.
fn is_hang_up(failure: &DialFailure) -> bool {
    let source = failure.source.as_ref();
    source.is_some_and(|source| source.downcast_ref::<std::io::Error>().is_some())
}
