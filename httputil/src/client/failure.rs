//! Making the one [`Error`] of whatever went wrong below.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::HeaderName;
use tokio::time::Instant;

use super::address::Address;
use super::handle::Inner;
use super::in_force::InForce;
use super::retry::Fault;
use crate::connect::{DialFailure, ProxyServer, Route, system_words};
use crate::error::{Error, Human, Kind, Phase};
use crate::policy::deadline::Deadline;
use crate::pool::CheckoutFailure;
use crate::settings::Http1;
use crate::wire::{BodyFailure, Cause, Late, Processed, SendFailure};

/// What an error about this request needs to know.
pub(super) struct Failing {
    in_force: Arc<InForce>,
    pub(super) method: Method,
    pub(super) address: Address,
    pub(super) began: Instant,
    pub(super) total: Deadline,
    /// `timeouts.attempt`, where the attempt under way has less time than the whole request.
    pub(super) attempt: Option<Duration>,
    pub(super) attempts: u32,
    /// Whether the last attempt was the first request on its connection.
    pub(super) is_first: bool,
}

impl Failing {
    pub(super) fn new(
        in_force: &Arc<InForce>,
        method: Method,
        address: Address,
        began: Instant,
        total: Deadline,
    ) -> Failing {
        Failing {
            in_force: Arc::clone(in_force),
            method,
            address,
            began,
            total,
            attempt: None,
            attempts: 0,
            is_first: false,
        }
    }

    /// The same for a second attempt beside the first.
    pub(super) fn twin(&self) -> Failing {
        Failing {
            in_force: Arc::clone(&self.in_force),
            method: self.method.clone(),
            address: self.address.twin(),
            attempts: self.attempts + 1,
            ..*self
        }
    }

    /// For a request that is still being built.
    pub(super) fn of_built(client: &Inner, request: &reqwest::Request) -> Failing {
        let began = Instant::now();
        let address = reqwest::Request::new(request.method().clone(), request.url().clone());
        Failing::new(
            &client.in_force.load(),
            request.method().clone(),
            Address::Url(Box::new(address)),
            began,
            Deadline::of(began, None, None),
        )
    }

    pub(super) fn of_building(&self, mistake: Building) -> Error {
        let Building { what, source } = mistake;
        let error = Error::new(Kind::Request, format!("the request cannot be built: {what}"));
        self.describe(error.with_source(source))
    }

    /// Adds the request to an error.
    pub(super) fn describe(&self, error: Error) -> Error {
        error.for_request(
            &self.method,
            self.address.shown(),
            &self.in_force.name,
            self.attempts,
            self.began.elapsed(),
        )
    }

    /// What becomes of an attempt that is not made.
    pub(super) fn not_sent(&self, is_redirected: bool) -> &'static str {
        match (self.attempts, is_redirected) {
            (0, false) => "not sent",
            (0, true) => "not sent on",
            _ => "not sent again",
        }
    }

    pub(super) fn of_dial(&self, failure: DialFailure) -> Error {
        let may_pass = failure.kind != Kind::Egress;
        let error = Error::new(failure.kind, &*failure.message).retryable(may_pass);
        self.describe(match failure.source {
            Some(source) => error.with_source(source),
            None => error,
        })
    }

    /// The proxy answered 407 to a request that it was to pass on.
    pub(super) fn of_proxy_login(&self, proxy: &ProxyServer) -> Error {
        self.of_dial(proxy.login_refused())
    }

    pub(super) fn of_checkout(&self, failure: CheckoutFailure, pool_wait: Duration) -> Fault {
        let error = match failure {
            CheckoutFailure::Dial(failure) => {
                let (again_at, is_lasting, is_our_own) = (failure.again_at, failure.is_lasting, failure.is_echo);
                let fault = Fault::from(self.of_dial(failure));
                return Fault {
                    again_at,
                    is_our_own,
                    is_lasting: is_lasting || fault.is_lasting,
                    ..fault
                };
            }
            CheckoutFailure::Deadline(phase) => self.deadline(phase).retryable(true),
            CheckoutFailure::PoolWait(cap) => {
                let kind = Kind::Timeout {
                    phase: Phase::PoolWait,
                    after: pool_wait,
                };
                let message = format!(
                    "no connection became free within {} (timeouts.pool_wait): {cap}",
                    Human(pool_wait)
                );
                self.describe(Error::new(kind, message).retryable(true))
            }
            CheckoutFailure::Refused(why) => self.describe(Error::new(Kind::Egress, why)),
            CheckoutFailure::NoRuntime => self.describe(Error::new(
                Kind::Request,
                "a request must be sent from within a tokio runtime, and there is none here",
            )),
            CheckoutFailure::BadHost => {
                self.describe(Error::new(Kind::Request, "the URL's host cannot stand in a request"))
            }
        };
        error.into()
    }

    pub(super) fn fault_of_send(&self, failure: SendFailure, route: &Route) -> Fault {
        let is_our_own = matches!(failure.cause, Cause::RuntimeGone);
        let fault = Fault::from(self.of_send(failure, route));
        Fault { is_our_own, ..fault }
    }

    fn of_send(&self, failure: SendFailure, route: &Route) -> Error {
        let error = match failure.cause {
            Cause::Deadline(phase) => return self.deadline(phase).retryable(failure.processed == Processed::No),
            Cause::Late(late) => return self.late(late).retryable(failure.processed == Processed::No),
            Cause::Ping(after) => {
                let message = format!("{}{}", no_answer(after), hint(failure.processed));
                let error = Error::new(Kind::Connection, message);
                return self.describe(error.retryable(failure.processed == Processed::No));
            }
            Cause::NoStream => {
                let message = "the server allows no stream on its HTTP/2 connection (MAX_CONCURRENT_STREAMS is 0)";
                return self.describe(Error::new(Kind::Protocol, message).retryable(true));
            }
            Cause::RuntimeGone => {
                let message = format!(
                    "the tokio runtime that drove the connection was shut down{}",
                    hint(failure.processed)
                );
                let error = Error::new(Kind::Connection, message);
                return self.describe(error.retryable(failure.processed == Processed::No));
            }
            Cause::Unasked => {
                return self.describe(Error::new(
                    Kind::Protocol,
                    "the server sent bytes that no request had asked for: does it speak HTTP/1 on this port?",
                ));
            }
            Cause::UnaskedUpgrade => {
                return self.describe(Error::new(
                    Kind::Protocol,
                    "the server answered 101 to a request that had asked for no other protocol",
                ));
            }
            Cause::WrongUpgrade(asked) => {
                let message = format!(
                    "the server answered 101, but not in HTTP/1.1 with connection: upgrade and upgrade: {asked}, as \
                     the request had asked"
                );
                return self.describe(Error::new(Kind::Protocol, message));
            }
            Cause::RequestBody(why) => {
                return self.describe(Error::new(Kind::Request, format!("the request's body failed: {why}")));
            }
            Cause::Rejected(rejection) => {
                // The handshake has failed after all: the server has not looked at any request.
                let message = format!("TLS handshake failed: {}", rejection.words);
                let error = Error::new(Kind::Tls, message).with_source(Arc::new(rejection.source()));
                return self.describe(error.retryable(true));
            }
            Cause::Hyper(error) => error,
        };
        // hyper has one word for all three.
        let (mut kind, mut message) = if error.is_parse() && root(&error) == "message head is too large" {
            let Http1 {
                max_header_bytes: bytes,
                max_headers,
                ..
            } = self.in_force.profile.transport.http1;
            let message = format!(
                "the answer's header is larger than {bytes} bytes (http1.max_header_bytes), has more than \
                 {max_headers} lines (http1.max_headers), or states a length that is too large"
            );
            (Kind::Protocol, message)
        } else if may_be_too_large_for_h2(&error) {
            let message = format!(
                "the answer's header is larger than {} bytes (http2.max_header_list_size) or breaks the protocol: {}",
                self.in_force.profile.transport.http2.max_header_list_size,
                root(&error)
            );
            (Kind::Protocol, message)
        } else if failure.has_answer && (error.is_incomplete_message() || is_cut(&error)) {
            let message = "the server closed the connection in the middle of the answer's header; the request may have been processed";
            (Kind::Connection, message.to_owned())
        } else {
            classify(&error, failure.processed)
        };
        match route {
            Route::Direct => message.push_str(self.suspicion(&error)),
            // It is the one that was asked: had the server behind it failed, it would have said 502.
            Route::Forward(proxy) if kind == Kind::Connection && !failure.has_answer => {
                kind = Kind::Proxy;
                message = message.replace("the server", &format!("the proxy {proxy}"));
            }
            // Which of the two it was cannot be told.
            Route::Forward(proxy) | Route::Tunnel(proxy) => message = format!("{message} (through the proxy {proxy})"),
        }
        let error = Error::new(kind, message).with_source(Arc::new(error));
        self.describe(error.retryable(failure.processed == Processed::No))
    }

    pub(super) fn of_body(&self, failure: BodyFailure) -> Error {
        match failure {
            BodyFailure::Deadline => self.deadline(Phase::Body),
            BodyFailure::Late(late) => self.late(late),
            BodyFailure::Unread(after) => {
                let phase = Phase::Body;
                let message = format!(
                    "timed out after {} (timeouts.read), {phase}: nobody asked for more of it",
                    Human(after)
                );
                self.in_force.pool.count_timed_out();
                self.describe(Error::new(Kind::Timeout { phase, after }, message))
            }
            BodyFailure::Ping(after) => {
                let message = format!("{} while the response's body was awaited", no_answer(after));
                self.describe(Error::new(Kind::Body, message))
            }
            BodyFailure::Short(missing) => {
                let message = format!(
                    "the server ended the response's body {missing} bytes before the length that it had stated"
                );
                self.describe(Error::new(Kind::Body, message))
            }
            BodyFailure::RuntimeGone => self.describe(Error::new(
                Kind::Body,
                "the tokio runtime that drove the connection was shut down before the response's body had ended",
            )),
            BodyFailure::Cut => self.describe(Error::new(
                Kind::Body,
                "the server reset the stream before the response's body had ended",
            )),
            BodyFailure::Hyper(error) => {
                let message = if error.is_incomplete_message() || is_cut(&error) {
                    "the connection was closed before the response's body had ended"
                } else if error.is_parse() {
                    "the response's body breaks the protocol"
                } else {
                    "the response's body failed"
                };
                let message = format!("{message}: {}", root(&error));
                self.describe(Error::new(Kind::Body, message).with_source(Arc::new(error)))
            }
        }
    }

    /// What a server may be that fails the first request of a connection like this.
    fn suspicion(&self, error: &hyper::Error) -> &'static str {
        if !self.is_first || self.address.is_tls() || error.is_user() {
            ""
        } else if self.in_force.profile.transport.http2.prior_knowledge && may_not_speak_h2(error) {
            " (http2.prior_knowledge = true: does it speak HTTP/2 without TLS on this port?)"
        } else if error.is_parse() && root(error).starts_with("invalid HTTP version") {
            " (is this a TLS port? then the URL must begin with https)"
        } else {
            ""
        }
    }

    /// The deadline of the whole request has passed, or that of the attempt.
    pub(super) fn deadline(&self, phase: Phase) -> Error {
        let Deadline { after, by, .. } = self.total;
        let (after, by) = self.attempt.map_or((after, by), |after| (after, "timeouts.attempt"));
        self.timed_out(phase, after, by)
    }

    /// The bound of a phase was reached.
    fn late(&self, late: Late) -> Error {
        let by = match late.phase {
            Phase::Write => "timeouts.write",
            Phase::Body => "timeouts.read",
            _ => "timeouts.response_header",
        };
        self.timed_out(late.phase, late.after, by)
    }

    fn timed_out(&self, phase: Phase, after: Duration, by: &str) -> Error {
        let message = format!("timed out after {} ({by}), {phase}", Human(after));
        self.in_force.pool.count_timed_out();
        tracing::debug!(profile = &*self.in_force.name, method = %self.method, "{message}");
        self.describe(Error::new(Kind::Timeout { phase, after }, message))
    }
}

/// Why a request cannot be built. Only names and the words of errors are told: a value may be a secret.
pub(super) struct Building {
    what: String,
    source: Arc<dyn StdError + Send + Sync>,
}

impl Building {
    pub(super) fn new(what: &str, source: impl StdError + Send + Sync + 'static) -> Building {
        Building {
            what: format!("{what}: {source}"),
            source: Arc::new(source),
        }
    }

    /// A name that is none is not repeated: it may be a value in the wrong place.
    pub(super) fn header_name(earlier: Option<&HeaderName>, error: http::Error) -> Building {
        let what = earlier.map_or_else(
            || "the first header".to_owned(),
            |earlier| format!("a header after {earlier}"),
        );
        Building::new(&what, error)
    }

    pub(super) fn header_value(name: &HeaderName, error: http::Error) -> Building {
        Building::new(&format!("header {name}"), error)
    }

    pub(super) fn json(error: serde_json::Error) -> Building {
        Building::new("json", error)
    }

    /// reqwest's own words say less than those of the cause.
    pub(super) fn by_reqwest(what: &str, error: reqwest::Error) -> Building {
        let error = error.without_url();
        let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        Building {
            what: format!("{what}: {why}"),
            source: Arc::new(error),
        }
    }
}

/// A URL that is none is not repeated: nobody knows which part of it would be a secret.
pub(super) fn of_url(client: &Inner, error: reqwest::Error) -> Error {
    let error = error.without_url();
    let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    Error::new(Kind::Request, format!("the request cannot be built: {why}"))
        .with_source(Arc::new(error))
        .for_client(&client.name)
}

/// The same of text that makes no URL.
pub(super) fn of_text(client: &Inner, why: &str) -> Error {
    Error::new(Kind::Request, format!("the request cannot be built: {why}")).for_client(&client.name)
}

fn no_answer(after: Duration) -> String {
    format!(
        "the server answered no ping within {} (http2.keepalive_timeout)",
        Human(after)
    )
}

fn hint(processed: Processed) -> &'static str {
    match processed {
        Processed::No => "; the server has not processed it",
        Processed::Unknown | Processed::Maybe => "; it may have been processed",
    }
}

fn classify(error: &hyper::Error, processed: Processed) -> (Kind, String) {
    let hint = hint(processed);
    if error.is_user() {
        return (Kind::Request, format!("the request's body failed: {}", root(error)));
    }
    if error.is_parse() {
        return (
            Kind::Protocol,
            format!("the server's answer breaks the protocol: {}", root(error)),
        );
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return (
            Kind::Connection,
            format!("the server closed the connection before it answered{hint}"),
        );
    }
    if is_cut(error) {
        return (
            Kind::Connection,
            format!("the connection was reset before the server answered{hint}"),
        );
    }
    (
        Kind::Connection,
        format!(
            "the connection failed before the server answered: {}{hint}",
            root(error)
        ),
    )
}

/// Whether a peer that speaks no HTTP/2 would end a connection like this: by closing it, or with bytes that make no frame.
fn may_not_speak_h2(error: &hyper::Error) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(h2) = error.downcast_ref::<h2::Error>() {
            let is_no_frame = !h2.is_remote() && h2.reason() == Some(h2::Reason::FRAME_SIZE_ERROR);
            return is_no_frame || h2.get_io().is_some_and(is_cut_io);
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return is_cut_io(io);
        }
        next = error.source();
    }
    true
}

/// Whether h2 may have refused an answer for the size of its header: it resets the stream, or ends a connection whose
/// headers go on and on, and has no word of its own for it.
fn may_be_too_large_for_h2(error: &hyper::Error) -> bool {
    use h2::Reason;
    let h2 = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    h2.is_some_and(|h2| match h2.reason() {
        Some(Reason::PROTOCOL_ERROR) => h2.is_library() && h2.is_reset(),
        Some(Reason::ENHANCE_YOUR_CALM | Reason::COMPRESSION_ERROR) => h2.is_library() && h2.is_go_away(),
        _ => false,
    })
}

/// Whether the peer ended the connection: with a reset, or with a FIN where more was promised.
fn is_cut(error: &hyper::Error) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return is_cut_io(io);
        }
        next = error.source();
    }
    false
}

fn is_cut_io(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), ConnectionReset | BrokenPipe | UnexpectedEof)
}

/// The innermost cause, in its own words.
fn root(error: &hyper::Error) -> String {
    let mut innermost: &(dyn StdError + 'static) = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.downcast_ref() {
        Some(io) => system_words(io),
        None => innermost.to_string(),
    }
}
