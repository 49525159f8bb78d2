//! The pool without sockets, for the benchmarks: what it costs alone, and with very many hosts or connections.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Clock};

use tokio::runtime::{Handle, Runtime};
use tokio::time::Instant;

use super::budget::Budget;
use super::core::{Core, World};
use super::key::{Key, KeyRef};
use super::state::fakes::{Many, One};
use super::state::{Ask, Delivery, Dial, Limits, Outcome, Protocol};
use crate::connect::{Route, Target};
use crate::settings;
use crate::wire::{CloseReason, Seat};

/// A world in which a dial is put aside, and nothing happens by itself.
#[derive(Default)]
struct Still {
    dials: Mutex<Vec<Dial>>,
}

impl World for Still {
    type One = One;
    type Many = Many;

    fn dial(core: &Arc<Core<Still>>, dial: Dial) {
        core.world
            .dials
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(dial);
    }

    fn reap(_: &Arc<Core<Still>>, _: &Key) {}

    fn look_up(_: &Arc<Core<Still>>, _: &Arc<Key>) {}
}

/// A pool of connections that are numbers.
pub struct Pool {
    core: Arc<Core<Still>>,
    targets: Vec<Target>,
    handle: Handle,
    _runtime: Runtime,
}

impl Pool {
    /// A pool that knows so many hosts, with so many idle connections to each.
    ///
    /// # Panics
    ///
    /// Where no runtime can be built.
    #[must_use]
    pub fn new(hosts: usize, idle_per_host: usize) -> Pool {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime without drivers needs nothing");
        let limits = Limits {
            pool: settings::Pool {
                max_idle: usize::MAX,
                max_idle_per_host: usize::MAX,
                ..settings::Pool::default()
            },
            max_shared_per_host: 1,
            spreads: false,
        };
        let core = Core::new("bench".into(), limits, Budget::new(None), Still::default());
        core.with_state(|state, _| state.leases = 1);
        let pool = Pool {
            core,
            targets: (0..hosts).map(target).collect(),
            handle: runtime.handle().clone(),
            _runtime: runtime,
        };
        for target in &pool.targets {
            for _ in 0..idle_per_host {
                pool.core.ready(pool.dial(target));
            }
        }
        pool
    }

    /// A request's way through the pool: the host is looked up, an idle connection is taken, and comes home.
    ///
    /// # Panics
    ///
    /// If there is no such host or nothing of it is idle.
    pub fn round(&self, host: usize) {
        let target = &self.targets[host];
        let now = Instant::now();
        let (key, outcome) = self.core.with_state(|state, todo| {
            let ask = Ask {
                now,
                turn: state.next_turn(),
                deadline: None,
                fresh: false,
            };
            let host = state.find(self.key(target)).expect("the host is known");
            (state.key(host).map(Arc::clone), state.checkout(host, ask, todo))
        });
        let Outcome::Idle(one, _) = outcome else {
            unreachable!("a connection is idle")
        };
        self.core.ready(one);
        drop(key);
    }

    /// The whole of a host's life: it is asked for, dialled, used, and its connection closed.
    pub fn meet(&self, number: usize) {
        let one = self.dial(&target(number));
        let host = one.host();
        drop(one);
        self.core.closed(host, Seat::NO_SITE, CloseReason::PeerClosed);
    }

    /// Closes everything that is idle because it is due. Says how often it took the lock, and for how long at most.
    #[must_use]
    pub fn reap(&self) -> (usize, Duration) {
        let later = Instant::now() + Duration::from_hours(1);
        let (mut times, mut longest) = (0, Duration::ZERO);
        loop {
            let (due, held) = self.core.with_state(|state, todo| {
                let began = Clock::now();
                let due = state.reap(later, todo);
                (due, began.elapsed())
            });
            times += 1;
            longest = longest.max(held);
            if due.is_none() {
                return (times, longest);
            }
        }
    }

    /// Reads the statistics of the pool and of all hosts; says how many hosts there are.
    #[must_use]
    pub fn statistics(&self) -> usize {
        let stats = self.core.counters.read(&self.core.name);
        let hosts = self.core.directory.read(|_| None);
        hosts.len().max(usize::from(stats.open > 0))
    }

    /// Idle connections.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.core.with_state(|state, _| state.idle())
    }

    fn key<'a>(&self, target: &'a Target) -> KeyRef<'a> {
        KeyRef {
            target,
            route: &Route::Direct,
            runtime: self.handle.id(),
        }
    }

    /// A new connection to a host, in the hands of a request.
    fn dial(&self, target: &Target) -> One {
        let now = Instant::now();
        let outcome = self.core.with_state(|state, todo| {
            let ask = Ask {
                now,
                turn: state.next_turn(),
                deadline: None,
                // Only a new one will do.
                fresh: true,
            };
            let host = state.find(self.key(target)).unwrap_or_else(|| {
                let key = Key::new(target.clone(), Route::Direct, self.handle.clone()).expect("the name is one");
                state.add_host(Arc::new(key), Protocol::H1, now)
            });
            state.checkout(host, ask, todo)
        });
        let Outcome::Wait(mut waiting) = outcome else {
            unreachable!("a new connection is dialled")
        };
        let dial = self
            .core
            .world
            .dials
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let dial = dial.expect("it is dialled for");
        let one = One::at(0, dial.seat.host, None);
        self.core
            .with_state(|state, todo| state.dialled_exclusive(&dial, one, now, todo));
        match waiting.receiver.try_recv() {
            Ok(Delivery::Exclusive(one)) => one,
            _ => unreachable!("it was dialled for"),
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("hosts", &self.targets.len())
            .finish_non_exhaustive()
    }
}

fn target(number: usize) -> Target {
    let url = format!("http://host{number}.example/").parse().expect("it is a URL");
    Target::of(&url).expect("it names a host")
}
