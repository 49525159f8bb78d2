//! What an error of hyper's says that ended an HTTP/2 stream: whose word it is, and what for.

use ::h2::Reason;

fn h2_error(error: &hyper::Error) -> Option<&::h2::Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<::h2::Error>() {
            return Some(error);
        }
        next = error.source();
    }
    None
}

/// The peer says that it has not acted on the stream: `REFUSED_STREAM` (RFC 9113 §8.7), `HTTP_1_1_REQUIRED`,
/// `INADEQUATE_SECURITY`, or a GOAWAY
/// whose last stream is an earlier one (§6.8).
pub(super) fn is_refused(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(|error| {
        let refuses = matches!(
            error.reason(),
            Some(Reason::REFUSED_STREAM | Reason::HTTP_1_1_REQUIRED | Reason::INADEQUATE_SECURITY)
        );
        error.is_remote() && (error.is_go_away() || (error.is_reset() && refuses))
    })
}

/// Whether the peer complained of too much, with this very stream or with a GOAWAY that ends it; unknown, if the error is
/// not of its saying.
pub(super) fn is_complaint(error: &hyper::Error) -> Option<bool> {
    let said = h2_error(error).filter(|error| error.is_remote())?;
    said.reason().map(|reason| reason == Reason::ENHANCE_YOUR_CALM)
}

/// hyper has no other way to tell.
pub(super) fn is_runtime_gone(error: &hyper::Error) -> bool {
    use std::error::Error as _;
    error.is_user()
        && error
            .source()
            .is_some_and(|source| source.to_string() == "runtime dropped the dispatch task")
}

pub(super) fn is_reset(error: &hyper::Error) -> bool {
    h2_error(error).is_some_and(::h2::Error::is_reset)
}
