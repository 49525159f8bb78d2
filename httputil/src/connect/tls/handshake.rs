//! The TLS handshake over any stream.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::identity::{Identity, Offer};
use super::{client_certificate, failure};
use crate::connect::{Alpn, DialFailure, Host, Target};
use crate::error::{Kind, Phase};

/// Shakes hands with the target over `stream`, within `bound` (`timeouts.tls_handshake`). Whether the server asked for a
/// client certificate comes back, too.
pub(in crate::connect) async fn handshake<S>(
    identity: &Arc<Identity>,
    target: &Target,
    offer: Offer,
    bound: Duration,
    stream: S,
) -> Result<(TlsStream<S>, Alpn, bool), DialFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = identity.config(offer).await?;
    let name = match identity.server_name() {
        Some(name) => name,
        None => server_name(target)?,
    };
    let whom = target.to_string();
    let connecting = TlsConnector::from(config).connect(name, stream);
    let (connected, asked) = client_certificate::watched(tokio::time::timeout(bound, connecting)).await;
    let stream = connected
        .map_err(|_| DialFailure::timed_out(Phase::TlsHandshake, &whom, bound, "timeouts.tls_handshake"))?
        .map_err(|error| failure::explain(error, &whom, asked.then_some(&**identity)))?;
    let alpn = match (offer, stream.get_ref().1.alpn_protocol()) {
        (_, Some(b"h2")) => Alpn::H2,
        (Offer::Http2, _) => {
            return Err(DialFailure::new(
                Kind::Tls,
                format!("{whom} did not agree to HTTP/2, which http2.prior_knowledge = true asks for"),
            ));
        }
        _ => Alpn::H1,
    };
    Ok((stream, alpn, asked))
}

fn server_name(target: &Target) -> Result<ServerName<'static>, DialFailure> {
    match &target.host {
        Host::Socket(_) => Err(DialFailure::new(
            Kind::Tls,
            format!("{target} has no name that a certificate can bear"),
        )),
        Host::Ip(ip) => Ok(ServerName::IpAddress((*ip).into())),
        // A trailing dot means "fully qualified" to the resolver and is no part of the certificate's name (RFC 6066 §3).
        Host::Name(name) => ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned())
            .map_err(|_| DialFailure::new(Kind::Tls, format!("{name} is not a name that a certificate can bear"))),
    }
}
