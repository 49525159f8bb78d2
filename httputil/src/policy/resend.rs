//! What may be sent again. Always on, and no retry: the server has not acted on the request, or could not have.
//!
//! | what the wire says | sent again |
//! |---|---|
//! | the server has certainly not acted on it | on any connection, whatever the method; after two of these on a new one |
//! | a reused connection closed before any byte of the answer | once, on a new one, if it may be repeated |
//! | `ENHANCE_YOUR_CALM` | after a pause, if it may be repeated; the retry budget pays |
//! | `421 Misdirected Request` | once, on a new connection |
//! | it may have been acted on | never |
//!
//! The rule: only with a body that can be had again, and four times a request, whatever else is attempted again or beside it. Not
//! offered to others: only a wire that counts the bytes of its own sockets knows these cases apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};

use super::retry::Retry;
use crate::wire::{Processed, jittered};

/// Sends of one request beyond the first, at most.
const MAX_RESENDS: u32 = 4;

/// Those of them that go over whatever connection there is.
const MAX_SHARED: u32 = 2;

/// What to do with a request that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Send it again, on any connection.
    Again,
    /// Send it again, on a connection that nobody has used.
    AgainFresh,
    /// Send it again, but not at once: the peer complained of too much.
    AgainAfter(Duration),
    GiveUp,
}

/// The first pause after a complaint; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

/// How often a request has been sent again.
#[derive(Debug, Default)]
pub(crate) struct Resends {
    all: All,
    unknown: u32,
    calmed: u32,
    misdirected: bool,
    /// A server may have acted on what was sent so far, here or at another place.
    pub(crate) may_be_done: bool,
}

/// Of one attempt, or of two at once together.
#[derive(Debug)]
enum All {
    Own(u32),
    Shared(Arc<AtomicU32>),
}

impl Default for All {
    fn default() -> All {
        All::Own(0)
    }
}

impl All {
    fn so_far(&self) -> u32 {
        match self {
            All::Own(all) => *all,
            All::Shared(all) => all.load(Ordering::Relaxed),
        }
    }

    /// Counts another one, if it may be.
    fn another(&mut self) -> bool {
        match self {
            All::Own(all) => {
                let may_be = *all < MAX_RESENDS;
                *all += u32::from(may_be);
                may_be
            }
            All::Shared(all) => {
                let counted = |all: u32| (all < MAX_RESENDS).then_some(all + 1);
                all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted).is_ok()
            }
        }
    }
}

impl Resends {
    /// Those of a second attempt beside this one: both count as one.
    pub(crate) fn beside(&mut self) -> Resends {
        let all = match &self.all {
            All::Own(all) => Arc::new(AtomicU32::new(*all)),
            All::Shared(all) => Arc::clone(all),
        };
        self.all = All::Shared(Arc::clone(&all));
        Resends {
            all: All::Shared(all),
            ..*self
        }
    }

    /// `calm` is whether the peer said `ENHANCE_YOUR_CALM`; `may_repeat`, what [`may_repeat`] says of the request.
    pub(crate) fn judge(&mut self, processed: Processed, calm: bool, may_repeat: bool, can_replay: bool) -> Verdict {
        if !can_replay || self.all.so_far() >= MAX_RESENDS {
            return Verdict::GiveUp;
        }
        let verdict = match processed {
            // Whether or not it was processed.
            _ if calm && may_repeat => {
                self.calmed += 1;
                Verdict::AgainAfter(jittered(PAUSE * (1 << (self.calmed - 1))))
            }
            _ if calm => return Verdict::GiveUp,
            Processed::No if self.all.so_far() < MAX_SHARED => Verdict::Again,
            // What others share may be refused once more with them: a server that leaves every few streams, on a busy machine.
            Processed::No => Verdict::AgainFresh,
            // A second unknown end is not a race any more.
            Processed::Unknown if self.unknown == 0 && may_repeat => {
                self.unknown += 1;
                Verdict::AgainFresh
            }
            Processed::Unknown | Processed::Maybe => return Verdict::GiveUp,
        };
        // The other one may have been faster.
        if self.all.another() { verdict } else { Verdict::GiveUp }
    }

    /// Whether an answer says that another connection is the right one: `421 Misdirected Request` may be sent again once,
    /// whatever the method (RFC 9110 §15.5.20).
    pub(crate) fn is_misdirected(&mut self, status: StatusCode, can_replay: bool) -> bool {
        if status != StatusCode::MISDIRECTED_REQUEST || !can_replay || self.misdirected {
            return false;
        }
        self.misdirected = self.all.another();
        self.misdirected
    }
}

/// Whether the request may reach the server twice: by its method, or since it bears an idempotency key, by which a caller
/// says that the server takes a request that comes twice for one (draft-ietf-httpapi-idempotency-key-header).
pub(crate) fn may_repeat(method: &Method, headers: &HeaderMap, rules: &Retry) -> bool {
    is_idempotent(method) || rules.bears_key(headers)
}

/// RFC 9110 §9.2.2. Extension methods are not known to be.
fn is_idempotent(method: &Method) -> bool {
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
    use http::HeaderName;

    use super::*;

    #[test]
    fn an_unprocessed_request_is_sent_again_four_times_whatever_its_method() {
        let mut resends = Resends::default();
        for again in [Verdict::Again, Verdict::Again, Verdict::AgainFresh, Verdict::AgainFresh] {
            assert_eq!(resends.judge(Processed::No, false, false, true), again);
        }
        assert_eq!(resends.judge(Processed::No, false, false, true), Verdict::GiveUp);
    }

    #[test]
    fn two_attempts_at_once_and_those_after_them_share_the_four() {
        let mut first = Resends::default();
        assert_eq!(first.judge(Processed::No, false, false, true), Verdict::Again);
        let mut second = first.beside();
        assert_eq!(second.judge(Processed::No, false, false, true), Verdict::Again);
        for resends in [&mut second, &mut first] {
            assert_eq!(resends.judge(Processed::No, false, false, true), Verdict::AgainFresh);
        }
        let mut later = first.beside();
        for resends in [&mut first, &mut second, &mut later] {
            assert_eq!(resends.judge(Processed::No, false, false, true), Verdict::GiveUp);
            assert!(!resends.is_misdirected(StatusCode::MISDIRECTED_REQUEST, true));
        }
    }

    #[test]
    fn an_unknown_end_is_sent_again_once_if_idempotent() {
        let mut resends = Resends::default();
        assert_eq!(
            resends.judge(Processed::Unknown, false, true, true),
            Verdict::AgainFresh
        );
        assert_eq!(resends.judge(Processed::Unknown, false, true, true), Verdict::GiveUp);
        let mut post = Resends::default();
        assert_eq!(post.judge(Processed::Unknown, false, false, true), Verdict::GiveUp);
    }

    #[test]
    fn what_cannot_be_replayed_or_may_have_been_processed_is_never_sent_again() {
        assert_eq!(
            Resends::default().judge(Processed::No, false, true, false),
            Verdict::GiveUp
        );
        assert_eq!(
            Resends::default().judge(Processed::Maybe, false, true, true),
            Verdict::GiveUp
        );
    }

    #[test]
    fn after_a_complaint_only_the_idempotent_are_sent_again_and_ever_later() {
        let mut resends = Resends::default();
        let mut least = PAUSE.mul_f64(0.9);
        for _ in 0..4 {
            match resends.judge(Processed::No, true, true, true) {
                Verdict::AgainAfter(pause) => assert!(pause >= least && pause <= least * 2, "{pause:?}"),
                other => panic!("{other:?}"),
            }
            least *= 2;
        }
        assert_eq!(resends.judge(Processed::No, true, true, true), Verdict::GiveUp);
        let mut post = Resends::default();
        assert_eq!(post.judge(Processed::No, true, false, true), Verdict::GiveUp);
    }

    #[test]
    fn a_misdirected_request_is_sent_again_once() {
        let mut resends = Resends::default();
        assert!(!resends.is_misdirected(StatusCode::OK, true));
        assert!(!resends.is_misdirected(StatusCode::MISDIRECTED_REQUEST, false));
        assert!(resends.is_misdirected(StatusCode::MISDIRECTED_REQUEST, true));
        assert!(!resends.is_misdirected(StatusCode::MISDIRECTED_REQUEST, true));
    }

    #[test]
    fn a_request_may_be_repeated_by_its_method_or_its_idempotency_key() {
        let rules = Retry::new(&crate::settings::Retry::default()).unwrap();
        let may_repeat = |method: &Method, headers: &HeaderMap| may_repeat(method, headers, &rules);
        let none = HeaderMap::new();
        assert!(may_repeat(&Method::DELETE, &none));
        assert!(!may_repeat(&Method::POST, &none));
        let name = HeaderName::from_static("idempotency-key");
        let keyed = |key: &'static str| HeaderMap::from_iter([(name.clone(), key.parse().unwrap())]);
        assert!(may_repeat(
            &Method::POST,
            &keyed("8e03978e-40d5-43dd-bc93-6894a57f9324")
        ));
        assert!(may_repeat(&Method::PATCH, &keyed("\"quoted\"")));
        assert!(!may_repeat(&Method::POST, &keyed("")), "no key at all");
    }
}
