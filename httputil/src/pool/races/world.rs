//! Requests, dials and sockets, a thread each, with chance for a world.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};

use shuttle::rand::Rng;
use shuttle::{future, thread};
use tokio::runtime::{Handle, Runtime};
use tokio::time::Instant;

use super::super::budget::Budget;
use super::super::core::{Core, StateOf, World};
use super::super::key::{Key, KeyRef};
use super::super::queued::Queued;
use super::super::reaper::Running;
use super::super::state::fakes::{Many, One, Place, Seat, Tie};
use super::super::state::{Ask, Bond, Delivery, Dial, Exclusive, Limits, Outcome, Presser, Protocol};
use crate::connect::{DialFailure, Route, Target};
use crate::error::Kind;
use crate::settings;
use crate::wire::CloseReason;

type Threads = shuttle::sync::Mutex<Vec<thread::JoinHandle<()>>>;

/// A world in which dials end as chance has it.
pub(super) struct Chance {
    protocol: Protocol,
    dialled: AtomicUsize,
    closed: AtomicUsize,
    ties: shuttle::sync::Mutex<Vec<Arc<Tie>>>,
    threads: Threads,
}

/// A pool with one host.
pub(super) struct Room {
    core: Arc<Core<Chance>>,
    key: Arc<Key>,
}

#[derive(Clone, Copy)]
pub(super) enum Wish {
    /// So many requests, one after another, each waited for.
    Requests(usize),
    /// One that must have a new connection.
    Fresh,
    /// A request that goes away when it has waited a little.
    GoesAway,
    /// The peer closes some connection.
    PeerCloses,
    CloseIdle,
    Reap,
    /// A look at what a request waits for.
    Looks,
    /// Somebody has waited for long at the cap over all pools.
    Presses,
    /// Other settings come into force; now and then the host has another way, which is the same once more.
    Renews,
}

fn handle() -> Handle {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| tokio::runtime::Builder::new_current_thread().build().unwrap());
    runtime.handle().clone()
}

fn limits() -> Limits {
    Limits {
        pool: settings::Pool::default(),
        max_shared_per_host: 2,
        spreads: false,
    }
}

fn chance(one_in: u32) -> bool {
    shuttle::rand::thread_rng().gen_ratio(1, one_in)
}

impl Chance {
    fn spawn(&self, act: impl FnOnce() + Send + 'static) {
        let thread = thread::spawn(act);
        self.threads.lock().unwrap().push(thread);
    }
}

impl Place for Core<Chance> {
    fn gone(&self, tie: &Tie) {
        tie.is_gone.store(true, Ordering::SeqCst);
        self.retired(tie);
        self.world.closed.fetch_add(1, Ordering::Relaxed);
        self.closed(tie.host(), tie.site(), CloseReason::PeerClosed);
    }

    fn places_changed(&self, tie: &Tie) {
        Core::places_changed(self, tie);
    }
}

impl World for Chance {
    type One = One;
    type Many = Many;

    fn dial(core: &Arc<Core<Chance>>, dial: Dial) {
        let pool = Arc::clone(core);
        core.world.spawn(move || {
            if chance(6) {
                // No fault of the host, so that nobody has to wait for the clock.
                let failure = DialFailure::new(Kind::LimitExceeded, "refused");
                return pool.with_state(|state, todo| state.dial_failed(&dial, &failure, Instant::now(), todo));
            }
            if chance(8) {
                return pool.with_state(|state, todo| state.dial_gave_way(&dial, Instant::now(), todo));
            }
            pool.world.dialled.fetch_add(1, Ordering::Relaxed);
            let home: Arc<dyn Place> = Arc::clone(&pool) as _;
            if pool.world.protocol == Protocol::H1 || chance(4) {
                let mut one = One::at(0, dial.seat.host, Some(home));
                one.generation = dial.seat.generation;
                let tie = Arc::clone(one.bond());
                pool.world.ties.lock().unwrap().push(Arc::clone(&tie));
                pool.with_state(|state, todo| state.dialled_exclusive(&dial, one, Instant::now(), todo));
                pool.settle_race(&*tie);
            } else {
                let many = Many::at(0, 2, dial.seat.host, Some(home));
                let tie = Arc::clone(many.tie());
                pool.world.ties.lock().unwrap().push(Arc::clone(&tie));
                pool.with_state(|state, todo| state.dialled_shared(&dial, many, Instant::now(), todo));
                pool.settle_race(&*tie);
            }
        });
    }

    fn look_up(_: &Arc<Core<Chance>>, _: &Arc<Key>) {}

    fn reap(core: &Arc<Core<Chance>>, key: &Key) {
        let mut reaper = Running::new(core, key);
        core.world.spawn(move || {
            reaper.reap();
            // And its runtime goes.
        });
    }
}

impl Room {
    pub(super) fn new(
        name: &str,
        change: impl FnOnce(&mut settings::Pool),
        protocol: Protocol,
        budget: Arc<Budget>,
    ) -> Arc<Room> {
        let mut limits = limits();
        change(&mut limits.pool);
        let world = Chance {
            protocol,
            dialled: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
            ties: shuttle::sync::Mutex::new(Vec::new()),
            threads: shuttle::sync::Mutex::new(Vec::new()),
        };
        let core = Core::new(name.into(), limits, budget, world);
        let target = Target::of(&format!("http://{name}/").parse().unwrap()).unwrap();
        let key = Arc::new(Key::new(target, Route::Direct, handle()).unwrap());
        core.with_state(|state, _| state.leases = 1);
        Arc::new(Room { core, key })
    }

    /// The number of the host, which it does not keep where other settings lead to it another way.
    fn host(&self, state: &mut StateOf<Chance>) -> usize {
        let found = state.find(KeyRef {
            target: &self.key.target,
            route: &self.key.route,
            runtime: self.key.runtime(),
        });
        found.unwrap_or_else(|| state.add_host(Arc::clone(&self.key), self.core.world.protocol, Instant::now()))
    }

    pub(super) fn grant(&self, wish: Wish) {
        match wish {
            Wish::Requests(many) => {
                for _ in 0..many {
                    self.request(false, false);
                }
            }
            Wish::Fresh => self.request(true, false),
            Wish::GoesAway => self.request(false, true),
            Wish::PeerCloses => {
                thread::yield_now();
                let tie = self.core.world.ties.lock().unwrap().pop();
                if let Some(tie) = tie {
                    // As a connection's driver does: first the mark, then the word.
                    tie.is_gone.store(true, Ordering::SeqCst);
                    self.core.retired(&*tie);
                }
            }
            Wish::CloseIdle => self.core.close_idle(),
            Wish::Reap => {
                self.core.with_state(|state, todo| state.reap(Instant::now(), todo));
            }
            Wish::Presses => {
                thread::yield_now();
                let pool = Arc::clone(&self.core) as _;
                let host = self.core.with_state(|state, _| self.host(state));
                let presser = Presser {
                    host: Some(host),
                    is_newcomer: chance(2),
                };
                self.core.budget.press(&pool, presser, Instant::now());
            }
            Wish::Renews => {
                let mut limits = limits();
                limits.pool.max_connections = chance(2).then_some(1);
                limits.spreads = chance(2);
                let protocol = chance(2).then_some(self.core.world.protocol);
                self.core.renew(limits, |_| protocol, |_| {});
            }
            Wish::Looks => {
                for id in 0..3 {
                    self.core.with_state(|state, _| {
                        let host = self.host(state);
                        state.standing(host, id, Instant::now())
                    });
                }
            }
        }
    }

    fn request(&self, fresh: bool, goes_away: bool) {
        let mut turn = None;
        while self.ask(&mut turn, fresh, goes_away).is_break() {}
    }

    /// Asks for a connection, and uses it; breaks off where it is to ask again.
    fn ask(&self, turn: &mut Option<u64>, fresh: bool, goes_away: bool) -> ControlFlow<()> {
        let (outcome, renewed) = self.core.with_state(|state, todo| {
            let ask = Ask {
                now: Instant::now(),
                turn: *turn.get_or_insert_with(|| state.next_turn()),
                deadline: None,
                fresh,
            };
            let host = self.host(state);
            (state.checkout(host, ask, todo), state.renewed())
        });
        let use_it = |one: One| {
            assert!(
                one.generation >= renewed,
                "it was made by settings of before the request"
            );
            self.exchange(one);
        };
        let waiting = match outcome {
            Outcome::Idle(one, _) => {
                use_it(one);
                return ControlFlow::Continue(());
            }
            Outcome::Place(seat) => {
                drop(seat);
                return ControlFlow::Continue(());
            }
            Outcome::Wait(waiting) => waiting,
        };
        let mut queued = Queued::new(&self.core, waiting);
        let delivery = if goes_away {
            let mut delivery = Box::pin(queued.delivery());
            let polled = delivery.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            thread::yield_now();
            match polled {
                std::task::Poll::Ready(delivery) => delivery,
                std::task::Poll::Pending => return ControlFlow::Continue(()),
            }
        } else {
            future::block_on(queued.delivery())
        };
        match delivery.expect("its time is never over") {
            Delivery::Exclusive(one) => use_it(one),
            Delivery::Place(seat) => self.stream(seat),
            Delivery::Failed(_) => {}
            Delivery::Moved => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// A request on an HTTP/1 connection.
    fn exchange(&self, one: One) {
        thread::yield_now();
        if chance(4) {
            // It breaks off.
            return drop(one);
        }
        if chance(2) {
            let tie = Arc::clone(one.bond());
            self.core.settling(&tie);
            if chance(4) {
                return drop(one);
            }
        }
        self.core.ready(one);
    }

    fn stream(&self, seat: Seat) {
        thread::yield_now();
        drop(seat);
    }

    /// The last lease is back, and whatever was under way is over: nothing is left.
    pub(super) fn ends(&self) {
        self.come_to_rest();
        let keeps_gone = self
            .core
            .with_state(|state, _| state.idle_ones().any(|one| one.bond().is_gone()));
        assert!(!keeps_gone, "a connection is kept that has gone");
        self.core.give_lease_back();
        self.come_to_rest();
        let (dialled, closed) = (&self.core.world.dialled, &self.core.world.closed);
        assert_eq!(dialled.load(Ordering::Relaxed), closed.load(Ordering::Relaxed));
        self.core.with_state(|state, _| {
            assert_eq!((state.waiting(), state.idle(), state.open()), (0, 0, 0));
        });
    }

    fn come_to_rest(&self) {
        loop {
            let thread = self.core.world.threads.lock().unwrap().pop();
            let Some(thread) = thread else { return };
            thread.join().unwrap();
        }
    }
}
