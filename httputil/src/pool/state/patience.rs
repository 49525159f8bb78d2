//! How long a dial is waited for while another host waits for its slot.
//!
//! A dial has a second, and three in its TLS handshake, which has found a host that is there. Dials that all take longer
//! would stop each other for ever so: the next dial to a host that gave way has 4 s, and 8 s in its handshake or with a
//! proxy. To a
//! newcomer, a host that has not given way itself, that one gives way after a second, too, unless it is the oldest such
//! and not the only slot. If the long time was in vain, the host swallows dials, and they have one second for a minute.
//! And as long as hosts take connections of late and say nothing for three seconds, a second is all that a newcomer has
//! before the next one: many such hosts would hold a cap for three seconds each.
//!
//! A dial that connects, or fails by itself, clears the record.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Phase;

/// A host that has waited for a slot for so long asks for another's, and no dial gives way sooner.
pub(in crate::pool) const GIVES_WAY_AFTER: Duration = Duration::from_secs(1);

const IN_TLS: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_secs(4);
const LONG_ONCE_CONNECTED: Duration = Duration::from_secs(8);

/// For how long a host is given up that has had the long time in vain, and hosts are taken for silent of which one was.
const GIVEN_UP_FOR: Duration = Duration::from_mins(1);

/// What a dial has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    Usual,
    /// Its host has given way before.
    Long,
    /// That was in vain.
    Least,
}

/// Whether dials to a host have given way since one came to its end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Record {
    #[default]
    Clean,
    Stopped,
    GivenUp {
        until: Instant,
    },
}

/// Whether hosts that take connections have said nothing of late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Silence(Option<Instant>);

impl Silence {
    pub(super) fn is_likely(self, now: Instant) -> bool {
        self.0.is_some_and(|until| now < until)
    }

    /// A dial has given way after so much time.
    pub(super) fn gave_way(&mut self, after: Duration, now: Instant) {
        if after >= IN_TLS {
            self.0 = now.checked_add(GIVEN_UP_FOR);
        }
    }

    /// A dial has connected after so much time: who takes long may only be slow.
    pub(super) fn connected(&mut self, after: Duration) {
        if after >= GIVES_WAY_AFTER {
            self.0 = None;
        }
    }
}

impl Patience {
    /// The whole of it, in this phase.
    pub(super) fn whole(self, phase: Phase) -> Duration {
        match (self, phase) {
            (Patience::Usual, Phase::TlsHandshake) => IN_TLS,
            (Patience::Long, Phase::TlsHandshake | Phase::ProxyConnect) => LONG_ONCE_CONNECTED,
            (Patience::Long, _) => LONG,
            (Patience::Usual | Patience::Least, _) => GIVES_WAY_AFTER,
        }
    }
}

impl Record {
    /// What a dial has that begins now.
    pub(super) fn patience(self, now: Instant) -> Patience {
        match self {
            Record::Stopped => Patience::Long,
            Record::GivenUp { until } if now < until => Patience::Least,
            Record::Clean | Record::GivenUp { .. } => Patience::Usual,
        }
    }

    pub(super) fn is_newcomer(self, now: Instant) -> bool {
        self.patience(now) == Patience::Usual
    }

    /// A dial gave way that has had the whole of its time.
    pub(super) fn gave_way(&mut self, had: Patience, now: Instant) {
        *self = match had {
            Patience::Usual if self.is_newcomer(now) => Record::Stopped,
            Patience::Long => now
                .checked_add(GIVEN_UP_FOR)
                .map_or(Record::Stopped, |until| Record::GivenUp { until }),
            Patience::Usual | Patience::Least => *self,
        };
    }
}
