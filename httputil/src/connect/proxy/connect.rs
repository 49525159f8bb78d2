//! `CONNECT`, RFC 9110 §9.3.6: a tunnel through a proxy that speaks HTTP/1.
//!
//! The request bears `Host`, `User-Agent`, `Proxy-Authorization`, and nothing of the request that the tunnel is for. Any
//! 2xx is success; whatever else comes is the proxy's answer, never the target's.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::head::{self, NoHead};
use super::{ProxyServer, failure};
use crate::connect::{DialFailure, Scheme, Target};

/// Who asks: a dial serves the pool, whose profiles may each have a `user_agent` of their own.
const USER_AGENT: &str = concat!("httputil/", env!("CARGO_PKG_VERSION"));

/// Asks the proxy at the other end of `stream` for a tunnel to `target`. Unbounded in time: `timeouts.proxy_connect` is
/// the caller's to keep.
pub(super) async fn open_tunnel<S>(proxy: &ProxyServer, target: &Target, stream: &mut S) -> Result<(), DialFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broken = |error| failure::broken(proxy, error);
    let mut request =
        format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {USER_AGENT}\r\n").into_bytes();
    if let Some(authorization) = proxy.authorization() {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;

    // A server may speak first where there is no TLS (HTTP/2 with prior knowledge).
    let exactly = target.scheme == Scheme::Http;
    let head = head::read(stream, exactly).await.map_err(|error| match error {
        NoHead::Io(error) => broken(error),
        NoHead::Garbage => failure::for_all(proxy, "answered CONNECT with what is not HTTP/1 (is it a proxy?)"),
        NoHead::TooLong => failure::for_all(proxy, "answered CONNECT with a header of more than 16 KiB"),
    })?;
    let said = format!("{} {}", head.status, head.reason);
    let said = said.trim_end();
    match head.status {
        200..300 if head.has_more => Err(failure::early(proxy)),
        200..300 => Ok(()),
        // tinyproxy asks for a login by 407, and refuses a wrong one by 401.
        401 | 407 => Err(failure::credentials(proxy, &format!("({said})"))),
        _ => Err(failure::for_target(
            proxy,
            &format!("refused a tunnel to {target}: {said}"),
        )),
    }
}
