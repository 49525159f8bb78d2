//! Where the time of a request went.

use std::net::SocketAddr;
use std::time::Duration;

use http::Version;
use tokio::time::Instant;

use crate::connect::TlsInfo;
use crate::pool::Sighting;

/// Where the time of a request went, and over which connection: an extension of every response, through both doors.
///
/// Of a request that was sent more than once, it tells of the sending that was answered. The phases of the dial are told
/// by the first request on a connection; the dial may have begun before the request did, for another one.
///
/// ```no_run
/// # async fn example(client: httputil::Client) -> Result<(), httputil::Error> {
/// let response = client.get("https://example.com/").send().await?;
/// if let Some(timings) = response.extensions().get::<httputil::Timings>() {
///     println!(
///         "{:?} for a connection, {:?} to the header, over connection {} (reused: {})",
///         timings.queue(),
///         timings.first_byte(),
///         timings.connection(),
///         timings.reused(),
///     );
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Timings {
    began: Instant,
    asked: Instant,
    sent: Instant,
    wrote: Option<Instant>,
    answered: Instant,
    version: Version,
    sighting: Sighting,
    attempts: u32,
}

impl Timings {
    /// `asked` is when a connection was asked for, `sent` when the request was put on it, `wrote` when the kernel last took some
    /// of it, `answered` when the head came.
    pub(super) fn new(
        began: Instant,
        (asked, sent, answered): (Instant, Instant, Instant),
        wrote: Option<Instant>,
        version: Version,
        sighting: Sighting,
        attempts: u32,
    ) -> Timings {
        Timings {
            began,
            asked,
            sent,
            wrote,
            answered,
            version,
            sighting,
            attempts,
        }
    }

    /// From asking for a connection to having one, dialled for this request or not.
    pub fn queue(&self) -> Duration {
        self.sent.saturating_duration_since(self.asked)
    }

    /// The name look-up of the dial. `None` where the connection was reused, as for the other phases of the dial.
    pub fn dns(&self) -> Option<Duration> {
        self.sighting.spent().dns
    }

    /// The TCP connect of the dial, all addresses together.
    pub fn connect(&self) -> Option<Duration> {
        self.sighting.spent().connect
    }

    /// The exchange with the proxy. `None` without one.
    pub fn proxy(&self) -> Option<Duration> {
        self.sighting.spent().proxy
    }

    /// The TLS handshake of the dial. `None` without TLS.
    pub fn tls(&self) -> Option<Duration> {
        self.sighting.spent().tls
    }

    /// From having a connection to the last byte of the request that the kernel had taken when the answer's header came.
    /// `None` over HTTP/2, where requests share a connection.
    pub fn send(&self) -> Option<Duration> {
        self.wrote.map(|wrote| wrote.saturating_duration_since(self.sent))
    }

    /// From having a connection to the answer's header.
    pub fn first_byte(&self) -> Duration {
        self.answered.saturating_duration_since(self.sent)
    }

    /// From the request's beginning to now: read when the body has ended, the whole request.
    pub fn total(&self) -> Duration {
        self.began.elapsed()
    }

    /// How often it was attempted to send the request, resends and retries included: mostly 1.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether the connection had been used before.
    pub fn reused(&self) -> bool {
        self.sighting.reused
    }

    /// A number of the connection that no other one has in this process.
    pub fn connection(&self) -> u64 {
        self.sighting.facts.number
    }

    /// The other end of the socket: the server, or the proxy. `None` where it has no address.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.sighting.facts.remote
    }

    /// What the TLS handshake with the server agreed on, and its certificates. `None` without TLS, and where
    /// [`RegistryBuilder::tls_info`](crate::RegistryBuilder::tls_info) or
    /// [`ClientConfig::tls_info`](crate::ClientConfig::tls_info) was not called.
    pub fn tls_info(&self) -> Option<&TlsInfo> {
        self.sighting.facts.tls.as_deref()
    }

    /// The version of HTTP that was spoken.
    pub fn version(&self) -> Version {
        self.version
    }
}
