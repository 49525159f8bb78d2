//! Which side is asked: pure, told of what happened and when.

use std::time::Duration;

use tokio::time::Instant;

/// A side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that is meant.
    Rdma,
    /// The one that is always there.
    Http,
}

/// When a side is left, and when it is taken back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// So many failures of RDMA, with no success between them, and it is left.
    pub(super) fail_after: u32,
    /// The first stay away from it; each further one is twice as long, if it did not last as long in between.
    pub(super) stay: Duration,
    pub(super) longest_stay: Duration,
    /// After the stay it is probed so often,
    pub(super) probe_every: Duration,
    /// and taken back after so many good probes, one after another.
    pub(super) good_probes: u32,
}

#[derive(Debug)]
pub(super) struct Switch {
    rules: Rules,
    stay: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    OnRdma {
        /// Since when it is back, if it was away.
        since: Option<Instant>,
        failures: u32,
    },
    OnHttp {
        next_probe: Instant,
        is_probing: bool,
        good: u32,
    },
}

impl Switch {
    pub(super) fn new(rules: Rules) -> Switch {
        Switch {
            rules,
            stay: rules.stay,
            state: State::OnRdma {
                since: None,
                failures: 0,
            },
        }
    }

    pub(super) fn side(&self) -> Side {
        match self.state {
            State::OnRdma { .. } => Side::Rdma,
            State::OnHttp { .. } => Side::Http,
        }
    }

    /// RDMA served.
    pub(super) fn served(&mut self) {
        if let State::OnRdma { failures, .. } = &mut self.state {
            *failures = 0;
        }
    }

    /// RDMA failed; whether it is left for that.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        let State::OnRdma { since, failures } = &mut self.state else {
            return false;
        };
        *failures += 1;
        if *failures < self.rules.fail_after.max(1) {
            return false;
        }
        // It was away before, and has come back only to fail.
        let is_flapping = since.is_some_and(|since| now.duration_since(since) < self.stay);
        self.stay = if is_flapping {
            (self.stay * 2).min(self.rules.longest_stay)
        } else {
            self.rules.stay
        };
        self.state = State::OnHttp {
            next_probe: now + self.stay,
            is_probing: false,
            good: 0,
        };
        true
    }

    /// Whether somebody is to probe RDMA now: whoever is told so does it, and nobody else until it has told what came of it.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        match &mut self.state {
            State::OnHttp {
                next_probe,
                is_probing: is_probing @ false,
                ..
            } if now >= *next_probe => {
                *is_probing = true;
                true
            }
            _ => false,
        }
    }

    /// What came of a probe; whether RDMA is taken back for that.
    pub(super) fn probed(&mut self, is_well: bool, now: Instant) -> bool {
        let State::OnHttp {
            next_probe,
            is_probing,
            good,
        } = &mut self.state
        else {
            return false;
        };
        *is_probing = false;
        *next_probe = now + self.rules.probe_every;
        *good = if is_well { *good + 1 } else { 0 };
        let is_back = *good >= self.rules.good_probes.max(1);
        if is_back {
            self.state = State::OnRdma {
                since: Some(now),
                failures: 0,
            };
        }
        is_back
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Rules, Side, Switch};

    const SECOND: Duration = Duration::from_secs(1);

    fn switch() -> Switch {
        let rules = Rules {
            fail_after: 2,
            stay: SECOND * 5,
            longest_stay: SECOND * 15,
            probe_every: SECOND,
            good_probes: 2,
        };
        Switch::new(rules)
    }

    /// Back on RDMA by good probes from this time on; when it is.
    fn return_at(switch: &mut Switch, mut now: Instant) -> Instant {
        loop {
            if switch.is_due(now) && switch.probed(true, now) {
                return now;
            }
            now += SECOND;
        }
    }

    #[test]
    fn one_failure_between_successes_leaves_nothing() {
        let now = Instant::now();
        let mut switch = switch();
        for _ in 0..10 {
            assert!(!switch.failed(now));
            switch.served();
        }
        assert_eq!(switch.side(), Side::Rdma);
        assert!(!switch.is_due(now), "what serves is not probed");
    }

    #[test]
    fn it_comes_back_after_its_stay_and_good_probes_in_a_row_and_one_prober_at_a_time() {
        let now = Instant::now();
        let mut switch = switch();
        assert!(!switch.failed(now) && switch.failed(now));
        assert_eq!(switch.side(), Side::Http);
        assert!(!switch.failed(now), "others that were under way change nothing");
        assert!(!switch.is_due(now + SECOND * 4));
        let mut at = now + SECOND * 5;
        assert!(switch.is_due(at) && !switch.is_due(at));
        assert!(!switch.probed(true, at));
        assert!(!switch.is_due(at), "probes are apart");
        at += SECOND;
        assert!(switch.is_due(at) && !switch.probed(false, at));
        at = return_at(&mut switch, at);
        assert_eq!((switch.side(), at), (Side::Rdma, now + SECOND * 8));
    }

    #[test]
    fn the_stay_doubles_while_it_comes_and_goes_and_is_short_again_when_it_has_lasted() {
        let begin = Instant::now();
        let mut switch = switch();
        let mut now = begin + SECOND * 60;
        let mut stays = Vec::new();
        for _ in 0..4 {
            switch.failed(now);
            switch.failed(now);
            let back = return_at(&mut switch, now);
            // The second good probe comes a second behind the stay.
            stays.push((back - (now + SECOND)).as_secs());
            now = back + SECOND;
        }
        assert_eq!(stays, [5, 10, 15, 15]);
        now += SECOND * 60;
        switch.failed(now);
        switch.failed(now);
        assert_eq!(return_at(&mut switch, now) - now, SECOND * 6);
    }
}
