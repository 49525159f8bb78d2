//! A thousand clients and one server that fails: what the policies do together, in virtual time and with seeded chance.
//!
//! ```text
//!  0 s         20 s                     50 s          70 s          85 s                              120 s
//!   │ all well  │ half the answers 503   │ all well    │ no answers  │ all well                        │
//! ```
//!
//! Each client has a budget and a breaker of its own, as processes have, and sends five requests a second at random times.
//! The server has room for half as much again as the load, and a queue; what it works on it works on to the end, though
//! nobody waits for it any more. So more load than it bears ends by itself only if the load goes away: clients that retry
//! without budget and breaker keep it down for ever (a metastable failure), which the second run shows. The picture in
//! `docs/simulation.svg` is drawn from both.

#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers of tenths of seconds fit everywhere"
)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::StatusCode;
use tokio::time::Instant;

use super::breaker::{Breaker, Change, Permit, Verdict};
use super::{Budget, Ended, Retry};
use crate::settings;

mod plot;

const CLIENTS: usize = 1000;
/// Of one client, a second.
const RATE: u64 = 5;
/// Of the server, a second.
const CAPACITY: u64 = 7500;
/// A client waits so long.
const PATIENCE: u64 = SECOND;
/// The server's queue is full with so much work.
const QUEUE: u64 = 2 * SECOND;
/// From an answer's sending to its receipt, and back.
const DISTANCE: u64 = SECOND / 100;

/// Times are in nanoseconds since the beginning.
const SECOND: u64 = 1_000_000_000;
const HALF_FAILS: std::ops::Range<u64> = 20 * SECOND..50 * SECOND;
const STALLS: std::ops::Range<u64> = 70 * SECOND..85 * SECOND;
const END: u64 = 120 * SECOND;

/// What is counted together.
const BUCKET: u64 = SECOND / 10;
const BUCKETS: usize = (END / BUCKET) as usize;

/// Seeded: the same run each time, on each machine (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Up to this.
    #[expect(clippy::cast_sign_loss, reason = "a part of a number that fits")]
    fn up_to(&mut self, most: u64) -> u64 {
        (most as f64 * self.next()) as u64
    }
}

/// A server with a queue.
#[derive(Default)]
struct Server {
    /// When it has done what it has taken on.
    free_at: u64,
}

impl Server {
    /// When the answer is there, and whether it is a good one.
    fn ask(&mut self, now: u64, chance: &mut Chance) -> (u64, bool) {
        let begins = if STALLS.contains(&now) { STALLS.end } else { now };
        let starts = begins.max(self.free_at);
        if starts - begins > QUEUE {
            return (now + DISTANCE, false);
        }
        self.free_at = starts + SECOND / CAPACITY;
        let is_good = !HALF_FAILS.contains(&now) || chance.next() < 0.5;
        (self.free_at + DISTANCE, is_good)
    }
}

struct Client {
    budget: Budget,
    breaker: Arc<Breaker>,
}

/// What happens next to a client.
enum Event {
    Arrives,
    Attempts(u32),
    Ended {
        attempt: u32,
        pass: Option<Permit>,
        is_good: bool,
    },
}

struct Due {
    at: u64,
    /// Of those that are due together, first come, first served.
    number: u64,
    client: usize,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Due) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// What was seen, by time.
struct Seen {
    requests: Vec<u32>,
    attempts: Vec<u32>,
    good: Vec<u32>,
    refused: Vec<u32>,
    /// The longest time that a breaker opened for.
    open_for: Duration,
}

impl Seen {
    /// The sum from one second to another.
    fn sum(counts: &[u32], seconds: std::ops::Range<u64>) -> f64 {
        let buckets = (seconds.start * SECOND / BUCKET) as usize..(seconds.end * SECOND / BUCKET) as usize;
        counts[buckets].iter().map(|count| f64::from(*count)).sum()
    }
}

/// A run. `is_careful` is whether clients have budgets and breakers.
struct World {
    is_careful: bool,
    began: Instant,
    rules: Retry,
    chance: Chance,
    clients: Vec<Client>,
    server: Server,
    due: BinaryHeap<Reverse<Due>>,
    number: u64,
    seen: Seen,
}

impl World {
    fn new(is_careful: bool) -> World {
        let (retry, began) = (settings::Retry::default(), Instant::now());
        let client = || Client {
            budget: Budget::new(retry.budget_ratio, retry.budget_min_per_second),
            breaker: Breaker::new_at(settings::Breaker::default(), began),
        };
        let counts = || vec![0; BUCKETS];
        World {
            is_careful,
            began,
            rules: Retry::new(&retry).expect("the defaults are in order"),
            chance: Chance(7),
            clients: (0..CLIENTS).map(|_| client()).collect(),
            server: Server::default(),
            due: BinaryHeap::new(),
            number: 0,
            seen: Seen {
                requests: counts(),
                attempts: counts(),
                good: counts(),
                refused: counts(),
                open_for: Duration::ZERO,
            },
        }
    }

    fn at(&mut self, at: u64, client: usize, event: Event) {
        self.number += 1;
        let number = self.number;
        self.due.push(Reverse(Due {
            at,
            number,
            client,
            event,
        }));
    }

    async fn run(mut self) -> Seen {
        for client in 0..CLIENTS {
            let first = self.chance.up_to(SECOND / RATE);
            self.at(first, client, Event::Arrives);
        }
        let mut clock = 0;
        while let Some(Reverse(due)) = self.due.pop() {
            if due.at >= END {
                continue;
            }
            // The budget looks at tokio's clock.
            if due.at - clock >= SECOND / 100 {
                tokio::time::advance(Duration::from_nanos(due.at - clock)).await;
                clock = due.at;
            }
            self.happens(due);
        }
        self.seen
    }

    fn happens(&mut self, due: Due) {
        let Due { at, client, event, .. } = due;
        let bucket = (at / BUCKET) as usize;
        match event {
            Event::Arrives => {
                let mean = SECOND / RATE;
                let next = at + mean / 2 + self.chance.up_to(mean);
                self.at(next, client, Event::Arrives);
                self.seen.requests[bucket] += 1;
                self.attempts(at, client, 1);
            }
            Event::Attempts(attempt) => self.attempts(at, client, attempt),
            Event::Ended { attempt, pass, is_good } => {
                let now = self.began + Duration::from_nanos(at);
                let verdict = if is_good { Verdict::Success } else { Verdict::Failure };
                let chance = self.chance.next();
                if let Some(Change::Opened { open_for }) = pass.map(|pass| pass.ended_at(verdict, now, || chance)) {
                    self.seen.open_for = self.seen.open_for.max(open_for);
                }
                if is_good {
                    self.seen.good[bucket] += 1;
                } else {
                    self.failed(at, client, attempt, now);
                }
            }
        }
    }

    fn attempts(&mut self, at: u64, client: usize, attempt: u32) {
        let bucket = (at / BUCKET) as usize;
        let now = self.began + Duration::from_nanos(at);
        let Client { budget, breaker } = &self.clients[client];
        let mut pass = None;
        if self.is_careful {
            let Ok(permit) = breaker.permit_at(|| now) else {
                self.seen.refused[bucket] += 1;
                return;
            };
            pass = Some(permit);
            if attempt == 1 {
                budget.deposit();
            }
        }
        self.seen.attempts[bucket] += 1;
        let (answered, is_good) = self.server.ask(at, &mut self.chance);
        let (ends, is_good) = if answered - at > PATIENCE {
            (at + PATIENCE, false)
        } else {
            (answered, is_good)
        };
        self.at(ends, client, Event::Ended { attempt, pass, is_good });
    }

    /// The request's way back to another attempt, in the order of `client::retry`.
    fn failed(&mut self, at: u64, client: usize, attempt: u32, now: Instant) {
        let headers = HeaderMap::new();
        let ended = Ended::Answered(StatusCode::SERVICE_UNAVAILABLE, &headers);
        let chance = self.chance.next();
        let Some(pause) = self
            .rules
            .pause_by(attempt, true, ended, SystemTime::UNIX_EPOCH, chance)
        else {
            return;
        };
        let Client { budget, breaker } = &self.clients[client];
        let is_shut = breaker.refuses_for(now).is_some_and(|left| left > pause);
        if self.is_careful && (is_shut || !budget.withdraw()) {
            return;
        }
        let pause = u64::try_from(pause.as_nanos()).expect("a pause of seconds");
        self.at(at + pause, client, Event::Attempts(attempt + 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_clients_neither_storm_a_failing_server_nor_keep_it_down() {
    let careful = World::new(true).run().await;
    let careless = World::new(false).run().await;
    let load = CLIENTS as f64 * RATE as f64;

    // Retries stay within the budget, whatever happens.
    let amplification = |seen: &Seen, seconds: std::ops::Range<u64>| {
        Seen::sum(&seen.attempts, seconds.clone()) / Seen::sum(&seen.requests, seconds)
    };
    let bound = 1.1 + 1.0 / RATE as f64;
    for start in 0..=110 {
        let amplified = amplification(&careful, start..start + 10);
        assert!(
            amplified <= bound * 1.01,
            "{amplified} from {start} s, {bound} is allowed"
        );
    }
    assert!(amplification(&careful, 20..50) > 1.2, "they do retry");
    // No client is cut off from a server that answers every other request.
    let refused = Seen::sum(&careful.refused, 20..50) / Seen::sum(&careful.requests, 20..50);
    assert!(refused < 0.01, "{refused}");
    let good = |seen: &Seen, seconds: std::ops::Range<u64>| {
        Seen::sum(&seen.good, seconds.clone()) / Seen::sum(&seen.requests, seconds)
    };
    assert!(good(&careful, 21..50) > 0.6, "{}", good(&careful, 21..50));
    assert!(good(&careful, 52..70) > 0.999, "{}", good(&careful, 52..70));

    // While nobody answers, the server is left alone.
    let alone = amplification(&careful, 82..85);
    assert!(alone < 0.25, "{alone}");
    // When it is back, so are all of them within one open period, by themselves.
    let period = careful.open_for.as_secs() + 1;
    assert!(period <= 12, "{period}");
    let recovered = 85 + period;
    for second in recovered..119 {
        let good = good(&careful, second..second + 1);
        assert!(good > 0.99, "{good} at {second} s");
    }
    // They do not come back together, and not in waves.
    let normal = load / 10.0;
    for (bucket, attempts) in careful.attempts.iter().enumerate() {
        let (at, share) = (bucket as u64 / 10, f64::from(*attempts) / normal);
        assert!(
            at < STALLS.end / SECOND || share < 1.25,
            "{share} of the load at {at} s"
        );
        assert!(
            at < recovered || at >= 119 || share > 0.8,
            "{share} of the load at {at} s"
        );
    }

    // The same clients without budget and breaker keep the server down: half as many failures as answers were enough.
    assert!(amplification(&careless, 25..50) > 1.5);
    let kept_down = good(&careless, 110..119);
    assert!(
        kept_down < 0.5,
        "{kept_down}: this server would recover in any case, which shows nothing"
    );
    plot::compare(&careful, &careless);
}
