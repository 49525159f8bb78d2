//! From a target to a connection that takes requests.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::counted::Counted;
use super::crew::Crew;
use super::head::{HeadSigns, HeadWatch};
use super::pings::KeepAlive;
use super::signs::{Signs, Tap};
use super::{H1, H2, Home, Link, Seat, Socket};
use crate::connect::{Alpn, Connector, DialFailure, Established, Progress, Route, Router, Target};
use crate::error::Kind;
use crate::settings::{self, Http1};

/// A new connection.
#[derive(Debug)]
pub(crate) enum Connection {
    H1(H1),
    H2(H2),
}

/// Dials `target` by `route` and starts HTTP on the stream. The connection reports to `home` from then on.
///
/// `seat` is asked again when an address has been reached. Dropping the future abandons the dial.
pub(crate) async fn open(
    connector: &Connector,
    target: &Target,
    route: &Route,
    progress: &Progress,
    home: Arc<dyn Home>,
    seat: impl Fn() -> Seat,
    router: &dyn Router,
) -> Result<Connection, DialFailure> {
    let mut socket = None;
    let established = connector.connect(target, route, progress, seat().http1_only, router, |raw| {
        let wrapped = Socket::new(raw);
        socket = Some(wrapped.handle());
        wrapped
    });
    let Established {
        stream,
        alpn,
        asked,
        tls,
        remote,
    } = established.await?;
    let seat = seat();
    let spent = progress.finish();
    let socket = socket.expect("a stream was wrapped before it was established");
    let failed = |error: hyper::Error| {
        DialFailure::new(
            Kind::Protocol,
            format!("HTTP could not be started with {target}: {error}"),
        )
        .with_source(error)
    };
    let settings::Pool {
        max_lifetime,
        max_requests_per_connection: max_requests,
        ..
    } = connector.transport().pool;
    match alpn {
        Alpn::H1 => {
            let received = Arc::new(AtomicU64::new(0));
            let head = Arc::<HeadSigns>::default();
            let watch = HeadWatch::new(Arc::clone(&head));
            let wire = TokioIo::new(Counted::new(stream, Arc::clone(&received), watch).asked(asked, &socket));
            let settings = &connector.transport().http1;
            let mut builder = http1::Builder::new();
            builder
                .max_header_size(many(settings.max_header_bytes))
                .title_case_headers(settings.title_case_headers);
            if settings.max_headers != Http1::DEFAULT_MAX_HEADERS {
                builder.max_headers(many(settings.max_headers));
            }
            let wired = builder.handshake(wire).await.map_err(failed)?;
            let link = Link::new(home, seat, socket.clone(), remote, spent, tls, max_lifetime);
            socket.attach(Arc::clone(&link));
            Ok(Connection::H1(H1::start(
                builder,
                wired,
                link,
                (received, head),
                max_requests,
            )))
        }
        Alpn::H2 => {
            let settings = &connector.transport().http2;
            let signs = Signs::new(settings.keepalive_timeout, Arc::clone(&seat.complaints));
            let keep_alive = KeepAlive::new(settings, Arc::clone(&seat.complaints));
            let tap = Tap::new(Arc::clone(&signs), socket.clone(), keep_alive);
            let wire = TokioIo::new(Counted::tapped(stream, tap).asked(asked, &socket));
            let crew = Crew::default();
            let mut builder = http2::Builder::new(crew.clone());
            builder
                .initial_stream_window_size(settings.initial_stream_window)
                .initial_connection_window_size(settings.initial_connection_window)
                .max_frame_size(settings.max_frame_size)
                .max_header_list_size(settings.max_header_list_size)
                // Its keep-alive is off: see `pings`.
                .timer(TokioTimer::new());
            if settings.adaptive_window {
                builder.adaptive_window(true);
            }
            let bound = connector.transport().timeouts.connect;
            let (sender, connection) = tokio::time::timeout(bound, builder.handshake(wire))
                .await
                .map_err(|_| {
                    DialFailure::timed_out(
                        crate::error::Phase::Connect,
                        &target.to_string(),
                        bound,
                        "timeouts.connect",
                    )
                })?
                .map_err(failed)?;
            let link = Link::new(home, seat, socket.clone(), remote, spent, tls, max_lifetime);
            socket.attach(Arc::clone(&link));
            Ok(Connection::H2(H2::start(
                sender,
                connection,
                link,
                signs,
                crew,
                connector.transport(),
            )))
        }
    }
}

fn many(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
