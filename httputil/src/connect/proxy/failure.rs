//! What a proxy has done, in words.

use std::io;
use std::time::Duration;

use super::ProxyServer;
use crate::connect::{DialFailure, Target, system_words};
use crate::error::{Human, Kind, Phase};

/// The proxy did something that concerns this target only.
pub(super) fn for_target(proxy: &ProxyServer, what: &str) -> DialFailure {
    DialFailure::new(Kind::Proxy, format!("the proxy {proxy} {what}"))
}

/// The proxy did something that it would do for any target.
pub(super) fn for_all(proxy: &ProxyServer, what: &str) -> DialFailure {
    DialFailure {
        of_proxy: true,
        ..for_target(proxy, what)
    }
}

/// The connection broke while the proxy was to answer.
pub(super) fn broken(proxy: &ProxyServer, error: io::Error) -> DialFailure {
    let what = match error.kind() {
        io::ErrorKind::UnexpectedEof => "closed the connection before its answer was whole".to_owned(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "reset the connection before its answer was whole".to_owned()
        }
        _ => format!("did not answer: {}", system_words(&error)),
    };
    for_target(proxy, &what).with_source(error)
}

/// The proxy took longer than `timeouts.proxy_connect` to say whether it reaches the target. Whose fault that is cannot
/// be told once the target has been named, so that it is not remembered against the proxy.
pub(super) fn timed_out(proxy: &ProxyServer, target: &Target, after: Duration) -> DialFailure {
    let message = format!(
        "{} ({target} through {proxy}) timed out after {} (timeouts.proxy_connect)",
        Phase::ProxyConnect,
        Human(after)
    );
    let phase = Phase::ProxyConnect;
    DialFailure::new(Kind::Timeout { phase, after }, message)
}

/// What went wrong on the way to the proxy, said of the proxy. What is this process's own fault stays that.
pub(super) fn blame(proxy: &ProxyServer, failure: DialFailure) -> DialFailure {
    let kind = match failure.kind {
        Kind::LimitExceeded => return failure,
        Kind::Timeout { after, .. } => {
            let phase = Phase::ProxyConnect;
            Kind::Timeout { phase, after }
        }
        _ => Kind::Proxy,
    };
    // A handshake's words, which are mostly said of servers.
    let what = failure.message.replace("the server", "the proxy");
    DialFailure {
        kind,
        message: format!("the proxy {proxy} cannot be used: {what}").into(),
        of_proxy: true,
        ..failure
    }
}

/// The proxy wants credentials, or others than it got.
pub(super) fn credentials(proxy: &ProxyServer, said: &str) -> DialFailure {
    let what = match proxy.credentials {
        None => format!("wants credentials {said}; set proxy.username and proxy.password, or write them in its URL"),
        Some(_) => format!("refused the credentials {said}; look at proxy.username and proxy.password, or at its URL"),
    };
    DialFailure {
        is_lasting: true,
        ..for_all(proxy, &what)
    }
}

/// Bytes before TLS has begun cannot be the target's.
pub(super) fn early(proxy: &ProxyServer) -> DialFailure {
    for_target(
        proxy,
        "sent bytes behind its answer before TLS had begun, which are nobody's",
    )
}
