//! Where a dial is, and how long each of its phases has taken.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Phase;

/// The phases of a dial.
const PHASES: [Phase; 4] = [Phase::Dns, Phase::Connect, Phase::ProxyConnect, Phase::TlsHandshake];

/// After so long beyond its TCP connect a dial may be taken for one that hangs, if somebody's time runs out over it. As long as
/// addresses are given one before another (RFC 8305 §5).
const HANGS_AFTER: Duration = Duration::from_millis(250);

/// Where a dial is, readable by those who wait for it; written by the dial alone.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    phase: AtomicU8,
    began: OnceLock<Instant>,
    /// When the phase was entered, in nanoseconds after `began`.
    since: AtomicU64,
    spent: [AtomicU64; PHASES.len()],
    /// The address that was reached, and when.
    reached: OnceLock<(SocketAddr, Instant)>,
    /// When the request that it is for is over, if that is known.
    deadline: Option<Instant>,
}

/// How long the phases of a dial took; none, for one that it did not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) dns: Option<Duration>,
    pub(crate) connect: Option<Duration>,
    pub(crate) proxy: Option<Duration>,
    pub(crate) tls: Option<Duration>,
}

impl Progress {
    /// Of a dial for a request that is over by then.
    pub(crate) fn for_one_until(deadline: Option<Instant>) -> Progress {
        Progress {
            deadline,
            ..Progress::default()
        }
    }

    /// Half of the time that the request has, for what can be done without.
    pub(super) fn half_time(&self) -> Option<Duration> {
        let left = self.deadline?.saturating_duration_since(Instant::now());
        Some(left / 2)
    }

    /// This address of the target has answered the TCP connect.
    pub(crate) fn reach(&self, address: SocketAddr) {
        let _ = self.reached.set((address, Instant::now()));
    }

    /// The address that was reached, if nothing has come of it for a while.
    pub(crate) fn hangs_at(&self, now: Instant) -> Option<SocketAddr> {
        let (address, at) = *self.reached.get()?;
        (now.saturating_duration_since(at) >= HANGS_AFTER).then_some(address)
    }

    /// The phase that the dial is in.
    pub(crate) fn phase(&self) -> Phase {
        let number = usize::from(self.phase.load(Ordering::Relaxed));
        PHASES.get(number).copied().unwrap_or(Phase::TlsHandshake)
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.leave();
        let number = PHASES.iter().position(|other| *other == phase).unwrap_or_default();
        self.phase
            .store(u8::try_from(number).unwrap_or_default(), Ordering::Relaxed);
    }

    /// The phase is over. A phase may come twice, through a proxy that is spoken to over TLS.
    fn leave(&self) {
        let now = Instant::now();
        let began = *self.began.get_or_init(|| now);
        let now = u64::try_from(now.saturating_duration_since(began).as_nanos()).unwrap_or(u64::MAX);
        let since = self.since.swap(now, Ordering::Relaxed);
        if let Some(spent) = self.spent.get(usize::from(self.phase.load(Ordering::Relaxed))) {
            spent.fetch_add(now.saturating_sub(since), Ordering::Relaxed);
        }
    }

    /// The dial has its stream.
    pub(crate) fn finish(&self) -> Spent {
        self.leave();
        let [dns, connect, proxy, tls] = self.spent.each_ref().map(|spent| {
            let nanos = spent.load(Ordering::Relaxed);
            (nanos > 0).then(|| Duration::from_nanos(nanos))
        });
        Spent {
            dns,
            connect,
            proxy,
            tls,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_phase_is_given_its_own_time_also_when_it_comes_twice() {
        let progress = Progress::default();
        for (phase, millis) in [
            (Phase::Dns, 1),
            (Phase::Connect, 20),
            (Phase::TlsHandshake, 300),
            (Phase::ProxyConnect, 4000),
            (Phase::TlsHandshake, 50_000),
        ] {
            progress.enter(phase);
            assert_eq!(progress.phase(), phase);
            tokio::time::advance(Duration::from_millis(millis)).await;
        }
        let millis = |millis| Some(Duration::from_millis(millis));
        assert_eq!(
            progress.finish(),
            Spent {
                dns: millis(1),
                connect: millis(20),
                proxy: millis(4000),
                tls: millis(50_300),
            }
        );
        assert_eq!(Progress::default().finish(), Spent::default());
    }
}
