//! A stream to a target through a proxy: reaching the proxy, then what is said to it.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::health::Attempt;
use super::{ProxyServer, Route, connect, failure, socks};
use crate::connect::{Connector, DialFailure, MaybeTls, Progress, Raw, Target, tls};
use crate::error::{Kind, Phase};

impl Connector {
    /// A stream on which the target, or for [`Route::Forward`] the proxy, takes HTTP or TLS.
    pub(in crate::connect) async fn through<S>(
        &self,
        proxy: &ProxyServer,
        route: &Route,
        target: &Target,
        progress: &Progress,
        wrap: impl FnOnce(Raw) -> S,
    ) -> Result<MaybeTls<S>, DialFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // A name that is ours to look up comes first: if there is none, the proxy need not be troubled.
        let address = if proxy.speaks_http() {
            None
        } else {
            Some(self.socks_address(proxy, target, progress).await?)
        };
        let attempt = proxy.health.begin(Instant::now())?;
        let mut stream = match self.reach_proxy(proxy, progress, wrap).await {
            Ok(stream) => stream,
            Err(failure) => {
                let failure = failure::blame(proxy, failure);
                attempt.failed(&failure);
                return Err(failure);
            }
        };
        if route.forwards().is_some() {
            attempt.succeeded();
            return Ok(stream);
        }
        progress.enter(Phase::ProxyConnect);
        let bound = self.transport().timeouts.proxy_connect;
        let said = tokio::time::timeout(bound, async {
            match &address {
                Some(address) => socks::exchange(proxy, address, target, &mut stream).await,
                None => connect::open_tunnel(proxy, target, &mut stream).await,
            }
        });
        let said = said
            .await
            .unwrap_or_else(|_| Err(failure::timed_out(proxy, target, bound)));
        settle(attempt, &said);
        said.map(|()| stream)
    }

    async fn reach_proxy<S>(
        &self,
        proxy: &ProxyServer,
        progress: &Progress,
        wrap: impl FnOnce(Raw) -> S,
    ) -> Result<MaybeTls<S>, DialFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = wrap(self.reach(&proxy.place, progress).await?);
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

    async fn socks_address(
        &self,
        proxy: &ProxyServer,
        target: &Target,
        progress: &Progress,
    ) -> Result<socks::Address, DialFailure> {
        if let Some(address) = socks::Address::of(proxy, target)? {
            return Ok(address);
        }
        progress.enter(Phase::Dns);
        let answer = self.names.resolve(target, self.transport().timeouts.dns).await?;
        match answer.addresses.first() {
            Some(address) => Ok(socks::Address::Ip(address.ip())),
            None => Err(DialFailure::new(
                Kind::Dns,
                format!("name look-up of {target} gave no address"),
            )),
        }
    }
}

fn settle(attempt: Attempt<'_>, said: &Result<(), DialFailure>) {
    match said {
        Err(failure) if failure.of_proxy => attempt.failed(failure),
        // Whether a silent proxy is to blame cannot be told.
        Err(failure) if matches!(failure.kind, Kind::Timeout { .. }) => drop(attempt),
        _ => attempt.succeeded(),
    }
}
