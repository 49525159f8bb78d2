//! SOCKS5, RFC 1928, with user and password, RFC 1929.
//!
//! Every length is known before it is read, so that nothing behind the last reply is taken off the stream, and a peer
//! that talks without end is heard no further than its reply goes.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::server::Protocol;
use super::{ProxyServer, failure};
use crate::connect::{DialFailure, Host, Scheme, Target};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NOTHING_SUITS: u8 = 0xff;

/// What the proxy is to connect to.
#[derive(Clone, Debug)]
pub(super) enum Address {
    Ip(IpAddr),
    /// At most 255 bytes.
    Name(String),
}

impl Address {
    /// The address of a target as its URL has it; `None` if its name is to be looked up here first.
    pub(super) fn of(proxy: &ProxyServer, target: &Target) -> Result<Option<Address>, DialFailure> {
        match &target.host {
            Host::Ip(ip) => Ok(Some(Address::Ip(*ip))),
            Host::Name(_) if proxy.protocol == Protocol::Socks5 => Ok(None),
            Host::Name(name) if name.len() > 255 => Err(failure::for_target(
                proxy,
                "cannot be asked for the host: its name has more than the 255 bytes that SOCKS5 can bear",
            )),
            Host::Name(name) => Ok(Some(Address::Name(name.to_string()))),
            Host::Socket(_) => Err(failure::for_target(proxy, "cannot be asked for a Unix socket")),
        }
    }

    /// With a port, unless it is a name.
    pub(super) fn at(&self, port: u16) -> Option<SocketAddr> {
        match self {
            Address::Ip(ip) => Some(SocketAddr::new(*ip, port)),
            Address::Name(_) => None,
        }
    }
}

/// Asks the proxy at the other end of `stream`, which has let us in, to connect to `address`. Unbounded in time:
/// `timeouts.proxy_connect` is the caller's to keep.
pub(super) async fn ask<S>(
    proxy: &ProxyServer,
    address: &Address,
    target: &Target,
    stream: &mut S,
) -> Result<(), DialFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = vec![VERSION, 1, 0];
    match address {
        Address::Ip(IpAddr::V4(ip)) => {
            request.push(1);
            request.extend_from_slice(&ip.octets());
        }
        Address::Ip(IpAddr::V6(ip)) => {
            request.push(4);
            request.extend_from_slice(&ip.octets());
        }
        Address::Name(name) => {
            request.push(3);
            push_text(&mut request, name);
        }
    }
    request.extend_from_slice(&target.port.to_be_bytes());
    say(proxy, stream, &request).await?;

    let [version, reply] = hear(proxy, stream).await?;
    check_version(proxy, version)?;
    if reply != 0 {
        let what = format!("could not connect to {target}: {}", in_words(reply));
        return Err(failure::for_target(proxy, &what));
    }
    let [_reserved, kind] = hear(proxy, stream).await?;
    let length = match kind {
        1 => 4,
        3 => usize::from(hear::<1, _>(proxy, stream).await?[0]),
        4 => 16,
        _ => {
            let what = format!("answered with an address of a kind that SOCKS5 does not have ({kind})");
            return Err(failure::for_all(proxy, &what));
        }
    };
    // Address and port at the proxy's other side, which nobody needs.
    let mut bound = vec![0; length + 2];
    let read = stream.read_exact(&mut bound).await;
    read.map_err(|error| failure::broken(proxy, error))?;
    if target.scheme == Scheme::Https && has_bytes(stream).await {
        return Err(failure::early(proxy));
    }
    Ok(())
}

/// Agrees on a way to log in, and does. Unbounded in time, too. The target has not been named yet: whatever fails here is the
/// proxy's own.
pub(super) async fn log_in<S>(proxy: &ProxyServer, stream: &mut S) -> Result<(), DialFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let greeted = greet(proxy, stream).await;
    greeted.map_err(|failure| DialFailure {
        of_proxy: true,
        ..failure
    })
}

async fn greet<S>(proxy: &ProxyServer, stream: &mut S) -> Result<(), DialFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let offer: &[u8] = match proxy.credentials {
        None => &[VERSION, 1, NO_LOGIN],
        Some(_) => &[VERSION, 2, NO_LOGIN, USER_AND_PASSWORD],
    };
    say(proxy, stream, offer).await?;
    let [version, method] = hear(proxy, stream).await?;
    check_version(proxy, version)?;
    match (method, &proxy.credentials) {
        (NO_LOGIN, _) => Ok(()),
        (USER_AND_PASSWORD, Some(user)) => {
            let mut login = vec![1];
            push_text(&mut login, &user.username);
            push_text(&mut login, &user.password);
            say(proxy, stream, &login).await?;
            // Some servers repeat SOCKS's version here instead of the login's.
            let [_version, status] = hear(proxy, stream).await?;
            match status {
                0 => Ok(()),
                status => Err(failure::credentials(proxy, &format!("(status {status})"))),
            }
        }
        (NOTHING_SUITS, None) => Err(failure::credentials(proxy, "(it takes nobody without a login)")),
        (NOTHING_SUITS, Some(_)) => Err(failure::for_all(
            proxy,
            "takes neither a user with a password nor nobody: no way to log in suits it",
        )),
        (method, _) => {
            let what = format!("chose a way to log in that was not offered ({method})");
            Err(failure::for_all(proxy, &what))
        }
    }
}

/// A length of one byte, then the text; lengths were checked when the text was taken.
fn push_text(message: &mut Vec<u8>, text: &str) {
    message.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    message.extend_from_slice(text.as_bytes());
}

async fn say<S: AsyncWrite + Unpin>(proxy: &ProxyServer, stream: &mut S, message: &[u8]) -> Result<(), DialFailure> {
    let broken = |error| failure::broken(proxy, error);
    stream.write_all(message).await.map_err(broken)?;
    stream.flush().await.map_err(broken)
}

async fn hear<const N: usize, S>(proxy: &ProxyServer, stream: &mut S) -> Result<[u8; N], DialFailure>
where
    S: AsyncRead + Unpin,
{
    let mut heard = [0; N];
    let read = stream.read_exact(&mut heard).await;
    read.map_err(|error| failure::broken(proxy, error))?;
    Ok(heard)
}

fn check_version(proxy: &ProxyServer, version: u8) -> Result<(), DialFailure> {
    match version {
        VERSION => Ok(()),
        _ => Err(failure::for_all(proxy, "does not speak SOCKS5 (is it an http proxy?)")),
    }
}

/// Whether bytes have come already.
async fn has_bytes<S: AsyncRead + Unpin>(stream: &mut S) -> bool {
    let mut byte = [0];
    let mut buffer = ReadBuf::new(&mut byte);
    poll_fn(|_| {
        // Whoever reads next leaves a waker that counts.
        let polled = Pin::new(&mut *stream).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer);
        Poll::Ready(matches!(polled, Poll::Ready(Ok(()))) && !buffer.filled().is_empty())
    })
    .await
}

/// RFC 1928 §6.
fn in_words(reply: u8) -> String {
    match reply {
        1 => "general failure (reply 1)".to_owned(),
        2 => "its rules do not allow it (reply 2)".to_owned(),
        3 => "network is unreachable (reply 3)".to_owned(),
        4 => "host is unreachable (reply 4)".to_owned(),
        5 => "connection refused (reply 5)".to_owned(),
        6 => "TTL expired (reply 6)".to_owned(),
        7 => "it does not know the command (reply 7)".to_owned(),
        8 => "it does not know this kind of address (reply 8)".to_owned(),
        other => format!("for a reason that SOCKS5 does not have (reply {other})"),
    }
}
