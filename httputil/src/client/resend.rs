//! What may be sent again. Always on, and no retry: the server has not acted on the request, or could not have.

use http::Method;

use crate::wire::Processed;

/// Sends of one request beyond the first, at most.
const MAX_RESENDS: u32 = 4;

/// What to do with a request that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send it again, on any connection.
    Again,
    /// Send it again, on a connection that nobody has used.
    AgainFresh,
    GiveUp,
}

/// How often a request has been sent again.
#[derive(Debug, Default)]
pub(super) struct Resends {
    all: u32,
    unknown: u32,
}

impl Resends {
    pub(super) fn judge(&mut self, processed: Processed, method: &Method, can_replay: bool) -> Verdict {
        if !can_replay || self.all >= MAX_RESENDS {
            return Verdict::GiveUp;
        }
        let verdict = match processed {
            Processed::No => Verdict::Again,
            // A second unknown end is not a race any more.
            Processed::Unknown if self.unknown == 0 && is_idempotent(method) => {
                self.unknown += 1;
                Verdict::AgainFresh
            }
            Processed::Unknown | Processed::Maybe => return Verdict::GiveUp,
        };
        self.all += 1;
        verdict
    }
}

/// RFC 9110 §9.2.2. Extension methods are not known to be.
pub(super) fn is_idempotent(method: &Method) -> bool {
    [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
    ]
    .contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unprocessed_request_is_sent_again_four_times_whatever_its_method() {
        let mut resends = Resends::default();
        for _ in 0..4 {
            assert_eq!(resends.judge(Processed::No, &Method::POST, true), Verdict::Again);
        }
        assert_eq!(resends.judge(Processed::No, &Method::POST, true), Verdict::GiveUp);
    }

    #[test]
    fn an_unknown_end_is_sent_again_once_if_idempotent() {
        let mut resends = Resends::default();
        assert_eq!(
            resends.judge(Processed::Unknown, &Method::GET, true),
            Verdict::AgainFresh
        );
        assert_eq!(resends.judge(Processed::Unknown, &Method::GET, true), Verdict::GiveUp);
        let mut post = Resends::default();
        assert_eq!(post.judge(Processed::Unknown, &Method::POST, true), Verdict::GiveUp);
    }

    #[test]
    fn what_cannot_be_replayed_or_may_have_been_processed_is_never_sent_again() {
        assert_eq!(
            Resends::default().judge(Processed::No, &Method::GET, false),
            Verdict::GiveUp
        );
        assert_eq!(
            Resends::default().judge(Processed::Maybe, &Method::GET, true),
            Verdict::GiveUp
        );
    }
}
