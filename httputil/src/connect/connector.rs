//! The phases of a dial, in order.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;

use super::dialer::Dialer;
use super::dns::put_last;
use super::failure::{is_our_own, plain};
use super::{
    Alpn, Answer, DialFailure, Egress, Host, Identity, MaybeTls, Names, Progress, Proxies, Raw, Refusal, Resolver,
    Route, Scheme, Target, TlsInfo, race, tcp, tls,
};
use crate::error::{Kind, Phase};
use crate::settings::{DnsBalance, Transport};

/// So many addresses of one name that refuse TLS are passed over before anybody hears of it.
const MOST_DETOURS: usize = 15;

/// Makes connections as one pool's transport settings say.
pub(crate) struct Connector {
    transport: Transport,
    identity: Arc<Identity>,
    dialer: Dialer,
    pub(super) names: Arc<Names>,
    egress: Option<Arc<Egress>>,
    pub(super) proxies: Proxies,
}

/// A stream on which HTTP can begin.
pub(crate) struct Established<S> {
    pub(crate) stream: MaybeTls<S>,
    pub(crate) alpn: Alpn,
    /// Who we said we are, if the server asked: with TLS 1.3 it answers that after the handshake.
    pub(crate) asked: Option<Arc<Identity>>,
    /// What TLS with the target agreed on, where that is wanted.
    pub(crate) tls: Option<Arc<TlsInfo>>,
    /// The target's address, as far as it is known: not what a proxy makes of a name.
    pub(crate) remote: Option<SocketAddr>,
}

/// Of a handshake: the protocol, whether we were asked who we are, and the rest where it is wanted.
type Agreed = (Alpn, bool, Option<Arc<TlsInfo>>);

/// Whoever has a say in which of a name's addresses a dial goes to.
pub(crate) trait Router: Sync {
    /// The addresses to try, in order: all of them from answers, which have been judged.
    fn route(&self, answer: Answer) -> Vec<SocketAddr>;
    /// The dial has reached one of them; `None` where there is no address to speak of.
    fn reached(&self, address: Option<SocketAddr>);
}

/// Who has a say in the addresses of the place that is dialled.
#[derive(Clone, Copy)]
enum By<'a> {
    Router(&'a dyn Router),
    /// The place is a proxy, and these addresses come last.
    Proxy {
        last: &'a [SocketAddr],
    },
}

impl Connector {
    pub(crate) fn new(
        transport: Transport,
        identity: Arc<Identity>,
        resolver: &Resolver,
        proxies: Proxies,
    ) -> Connector {
        let egress = Egress::of(&transport.egress);
        Connector {
            names: Arc::new(Names::new(transport.dns.clone(), resolver, egress.clone())),
            egress,
            transport,
            identity,
            dialer: Dialer::System,
            proxies,
        }
    }

    /// The same, as the successor of another in one pool: what that one has counted is counted on.
    pub(crate) fn succeeding(self, earlier: &Connector) -> Connector {
        Connector {
            names: Arc::new(self.names.counting_on(&earlier.names)),
            #[cfg(test)]
            dialer: earlier.dialer.clone(),
            ..self
        }
    }

    /// The same, over streams that somebody else makes.
    #[cfg(test)]
    pub(crate) fn dialling_by(self, dialer: Dialer) -> Connector {
        Connector { dialer, ..self }
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) fn names(&self) -> &Arc<Names> {
        &self.names
    }

    #[cfg(feature = "reqwest")]
    pub(crate) fn egress(&self) -> Option<Arc<Egress>> {
        self.egress.clone()
    }

    #[cfg(feature = "reqwest")]
    pub(crate) fn has_proxies(&self) -> bool {
        !self.proxies.are_none()
    }

    /// What a handshake with a target goes by, for a client that is not ours; sessions are its own.
    #[cfg(feature = "reqwest")]
    pub(crate) fn tls_config(&self) -> Result<rustls::ClientConfig, DialFailure> {
        let http2 = &self.transport.http2;
        self.identity
            .config_of_its_own(match (http2.prior_knowledge, http2.enabled) {
                (true, _) => tls::Offer::Http2,
                (false, true) => tls::Offer::Both,
                (false, false) => tls::Offer::Http1,
            })
    }

    /// The way to a target, unless `egress.*` refuses to go there. `needs_tunnel` says whether what is to be said there is
    /// no request that a proxy could pass on.
    pub(crate) fn route(&self, target: &Target, needs_tunnel: impl FnOnce() -> bool) -> Result<Route, Refusal> {
        let route = self
            .proxies
            .route(target, || self.transport.http2.prior_knowledge || needs_tunnel());
        match &self.egress {
            Some(egress) => egress.judge(target, &route).map(|()| route),
            None => Ok(route),
        }
    }

    /// Dials the target by the route. `wrap` puts the caller's socket around the raw stream, beneath TLS. With `http1_only`
    /// no other protocol is offered, whatever the settings say: the server has asked for it.
    ///
    /// Dropping the future abandons the dial and closes what it had opened.
    pub(crate) async fn connect<S>(
        &self,
        target: &Target,
        route: &Route,
        progress: &Progress,
        http1_only: bool,
        router: &dyn Router,
        mut wrap: impl FnMut(Raw) -> S,
    ) -> Result<Established<S>, DialFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut shunned = Vec::new();
        let (stream, remote) = match route.proxy() {
            None => {
                if target.scheme == Scheme::Https {
                    shunned = self.names.blamed(target);
                }
                let (raw, remote) = self.reach_by(target, progress, By::Router(router)).await?;
                router.reached(remote);
                if let Some(remote) = remote {
                    progress.reach(remote);
                }
                (MaybeTls::Plain(wrap(raw)), remote)
            }
            // Boxed: few dials need the room that it takes.
            Some(proxy) => Box::pin(self.through(proxy, route, target, progress, wrap)).await?,
        };
        let http2 = &self.transport.http2;
        let (stream, alpn, asked, info) = match target.scheme {
            Scheme::Http if http2.prior_knowledge && !http1_only => (stream, Alpn::H2, false, None),
            Scheme::Http => (stream, Alpn::H1, false, None),
            Scheme::Https => {
                progress.enter(Phase::TlsHandshake);
                let shaken = match stream {
                    MaybeTls::Plain(stream) => {
                        let shaken = self.shake_hands(target, http1_only, stream).await;
                        shaken
                            .map(|(stream, agreed)| (MaybeTls::Tls(Box::new(stream)), agreed))
                            .map_err(|failure| self.failed_at(target, remote, &shunned, failure))
                    }
                    MaybeTls::Tls(stream) => {
                        let shaken = Box::pin(self.shake_hands(target, http1_only, *stream)).await;
                        shaken.map(|(stream, agreed)| (MaybeTls::Nested(Box::new(stream)), agreed))
                    }
                    MaybeTls::Nested(_) => unreachable!("a proxy is reached over one TLS"),
                };
                let (stream, (alpn, asked, info)) = shaken.map_err(|failure| route.mention(failure))?;
                (stream, alpn, asked, info)
            }
        };
        let asked = asked.then(|| Arc::clone(&self.identity));
        Ok(Established {
            stream,
            alpn,
            asked,
            tls: info,
            remote,
        })
    }

    /// The handshake failed at this address, which did not come last, as the `shunned` did: the name's others come first from
    /// now on, and if one of them may do better, it is to be tried for those who wait. Whoever waited until a handshake took too
    /// long has no time for another.
    fn failed_at(
        &self,
        target: &Target,
        remote: Option<SocketAddr>,
        shunned: &[SocketAddr],
        failure: DialFailure,
    ) -> DialFailure {
        let Some(remote) = remote else { return failure };
        self.names.blame(target, remote);
        let is_detour = self.transport.dns.balance == DnsBalance::First
            && failure.kind == Kind::Tls
            && !shunned.contains(&remote)
            && (1..=MOST_DETOURS).contains(&self.names.blamed(target).len());
        DialFailure {
            passes_over: is_detour.then_some(remote),
            ..failure
        }
    }

    async fn shake_hands<S>(
        &self,
        target: &Target,
        http1_only: bool,
        stream: S,
    ) -> Result<(TlsStream<S>, Agreed), DialFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Transport { timeouts, http2, .. } = &self.transport;
        let offer = match (http2.prior_knowledge, http2.enabled) {
            _ if http1_only => tls::Offer::Http1,
            (true, _) => tls::Offer::Http2,
            (false, true) => tls::Offer::Both,
            (false, false) => tls::Offer::Http1,
        };
        let bound = timeouts.tls_handshake;
        let (stream, alpn, asked) = tls::handshake(&self.identity, target, offer, bound, stream).await?;
        let info = self
            .transport
            .tls_info
            .then(|| Arc::new(TlsInfo::of(stream.get_ref().1)));
        Ok((stream, (alpn, asked, info)))
    }

    /// A raw stream to a place that is not the target, a proxy, and its address: one of `last` if there is no other.
    pub(super) async fn reach(
        &self,
        place: &Target,
        last: &[SocketAddr],
        progress: &Progress,
    ) -> Result<(Raw, Option<SocketAddr>), DialFailure> {
        self.reach_by(place, progress, By::Proxy { last }).await
    }

    /// A raw stream to a place, and its address.
    async fn reach_by(
        &self,
        place: &Target,
        progress: &Progress,
        by: By<'_>,
    ) -> Result<(Raw, Option<SocketAddr>), DialFailure> {
        match &self.dialer {
            Dialer::System => self.dial(place, progress, by).await,
            #[cfg(test)]
            Dialer::Memory(dial) => Ok((Raw::Memory(dial(place)), None)),
        }
    }

    async fn dial(
        &self,
        target: &Target,
        progress: &Progress,
        by: By<'_>,
    ) -> Result<(Raw, Option<SocketAddr>), DialFailure> {
        let Transport { timeouts, tcp, .. } = &self.transport;
        #[cfg(unix)]
        if let Some(path) = target.socket() {
            progress.enter(Phase::Connect);
            return super::unix::dial(path, timeouts.connect)
                .await
                .map(|stream| (Raw::Unix(stream), None));
        }
        progress.enter(Phase::Dns);
        let half_time = progress.half_time();
        let addresses = match by {
            By::Router(router) => router.route(self.names.resolve(target, timeouts.dns, half_time).await?),
            By::Proxy { last } => {
                let answer = self.names.resolve_unjudged(target, timeouts.dns, half_time).await?;
                let mut addresses = answer.addresses;
                put_last(&mut addresses, last);
                addresses
            }
        };
        let addresses = tcp::reachable(addresses, tcp).map_err(|why| {
            DialFailure::new(
                Kind::LimitExceeded,
                format!("no connection to {target} can be made: {why}"),
            )
        })?;
        progress.enter(Phase::Connect);
        // Of very many only some are tried, and those that were not come first the next time.
        let tried: Vec<SocketAddr> = match addresses.get(..race::MAX_ADDRESSES) {
            Some(tried) if tried.len() < addresses.len() => tried.to_vec(),
            _ => Vec::new(),
        };
        let failed = |failure| {
            for address in tried {
                self.names.blame(target, address);
            }
            failure
        };
        let options = tcp.clone();
        let racing = race::race(addresses, move |address| tcp::dial(address, options.clone()));
        let (stream, address) = tokio::time::timeout(timeouts.connect, racing)
            .await
            .map_err(|_| {
                DialFailure::timed_out(
                    Phase::Connect,
                    &target.to_string(),
                    timeouts.connect,
                    "timeouts.connect",
                )
            })
            .and_then(|raced| raced.map_err(|failed| all_failed(target, failed)))
            .map_err(failed)?;
        Ok((Raw::Tcp(stream), Some(address)))
    }
}

fn all_failed(target: &Target, mut failed: race::AllFailed) -> DialFailure {
    let listed: Vec<String> = failed
        .iter()
        .map(|(address, error)| match target.host {
            // The target is the address.
            Host::Ip(_) => plain(error),
            Host::Name(_) | Host::Socket(_) => format!("{address}: {}", plain(error)),
        })
        .collect();
    let kind = if failed.iter().all(|(_, error)| is_our_own(error)) {
        Kind::LimitExceeded
    } else {
        Kind::Connect
    };
    let failure = DialFailure::new(kind, format!("TCP connect to {target} failed: {}", listed.join("; ")));
    match failed.pop() {
        Some((_, error)) => failure.with_source(error),
        None => failure,
    }
}
