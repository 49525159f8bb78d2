//! The state machine alone: no socket, no clock, no task.

mod caps;
mod claims;
mod dials;
mod elsewhere;
mod fresh;
mod giving_way;
mod idle;
mod renewal;
mod shared;
mod sites;
mod spared;
mod waiting;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::dialling::{Cap, Standing};
use super::fakes::{Many, One, Seat};
use super::{
    Ask, Budget, Delivery, Dial, Leaving, Limits, Multiplexed, Outcome, Presser, Protocol, State, Todo, Waiting,
};
use crate::connect::{DialFailure, Route, Target};
use crate::error::{Kind, Phase};
use crate::pool::Key;
use crate::settings;
use crate::wire::CloseReason;

struct Room {
    state: State<One, Many>,
    now: Instant,
    left: Vec<(u32, CloseReason)>,
    /// Dials begun, in order, with the waiter that each is for; those under way are in `dials`.
    begun: Vec<Option<u64>>,
    dials: Vec<Dial>,
    regrets: u64,
    /// Names that were to be looked up again.
    look_ups: usize,
    /// Whether the last thing that happened asked the cap over all pools for room.
    wants_slot: bool,
    /// Places that came back since nobody took them.
    unwanted: usize,
    numbers: u32,
    runtime: tokio::runtime::Runtime,
}

impl Room {
    fn new(change: impl FnOnce(&mut settings::Pool)) -> Room {
        Room::with(change, false)
    }

    fn with(change: impl FnOnce(&mut settings::Pool), spreads: bool) -> Room {
        let mut pool = settings::Pool::default();
        change(&mut pool);
        let limits = Limits {
            pool,
            max_shared_per_host: 2,
            spreads,
        };
        let now = Instant::now();
        let mut state = State::new(limits, Budget::new(None), Arc::default(), now);
        state.leases = 1;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Room {
            state,
            now,
            left: Vec::new(),
            begun: Vec::new(),
            dials: Vec::new(),
            regrets: 0,
            look_ups: 0,
            wants_slot: false,
            unwanted: 0,
            numbers: 0,
            runtime,
        }
    }

    fn host(&mut self, name: &str, protocol: Protocol) -> usize {
        let target = Target::of(&format!("http://{name}/").parse().unwrap()).unwrap();
        let key = Key::new(target, Route::Direct, self.handle()).unwrap();
        self.state.add_host(Arc::new(key), protocol, self.now)
    }

    fn handle(&self) -> Handle {
        self.runtime.handle().clone()
    }

    fn one(&mut self) -> One {
        self.numbers += 1;
        One::new(self.numbers)
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut State<One, Many>, Instant, &mut Todo<One, Many>) -> T) -> T {
        let mut todo = Todo::default();
        let result = act(&mut self.state, self.now, &mut todo);
        self.state.end_sparing(self.now, &mut todo);
        let todo = todo.into_chores().unwrap_or_default();
        self.regrets += todo.regrets;
        self.look_ups += usize::from(todo.look_up.is_some());
        self.wants_slot = todo.wants_room;
        for (sender, delivery) in todo.deliveries {
            // A test that dropped its receiver does not want it.
            let _ = sender.send(delivery);
        }
        for leaving in todo.leaving {
            match leaving {
                Leaving::Exclusive(one, reason) => self.left.push((one.number, reason)),
                Leaving::Shared(_, reason) => self.left.push((0, reason)),
                Leaving::Dial(stop) => stop.stop(),
            }
        }
        self.unwanted += todo.places.len();
        self.begun.extend(todo.dials.iter().map(|dial| dial.waiter));
        self.dials.extend(todo.dials);
        result
    }

    fn checkout(&mut self, host: usize) -> Outcome<One, Seat> {
        self.ask(host, None, false)
    }

    fn ask(&mut self, host: usize, deadline: Option<Instant>, fresh: bool) -> Outcome<One, Seat> {
        let turn = self.state.next_turn();
        self.ask_in_turn(host, turn, deadline, fresh)
    }

    /// A request asks again, with the number that it had.
    fn ask_in_turn(&mut self, host: usize, turn: u64, deadline: Option<Instant>, fresh: bool) -> Outcome<One, Seat> {
        self.act(|state, now, todo| {
            let ask = Ask {
                now,
                turn,
                deadline,
                fresh,
            };
            state.checkout(host, ask, todo)
        })
    }

    fn wait(&mut self, host: usize) -> Waiting<One, Seat> {
        match self.checkout(host) {
            Outcome::Wait(waiting) => waiting,
            _ => panic!("there was a connection"),
        }
    }

    fn taken(&mut self, host: usize) -> u32 {
        match self.checkout(host) {
            Outcome::Idle(one, _) => one.number,
            _ => panic!("there was no idle connection"),
        }
    }

    /// A new connection comes in from a dial and is idle.
    fn idle(&mut self, host: usize) -> u32 {
        let one = self.one();
        let number = one.number;
        self.act(|state, now, todo| state.check_in(host, one, now, todo));
        number
    }

    /// The oldest dial to the host that is under way.
    fn dial(&mut self, host: usize) -> Dial {
        let position = self.dials.iter().position(|dial| dial.seat.host == host);
        self.dials.remove(position.expect("a dial is under way"))
    }

    fn dialled(&mut self, host: usize) -> u32 {
        let (one, dial) = (self.one(), self.dial(host));
        let number = one.number;
        self.act(|state, now, todo| state.dialled_exclusive(&dial, one, now, todo));
        number
    }

    fn dialled_many(&mut self, host: usize, limit: usize) -> Many {
        let (many, dial) = (Many::new(0, limit), self.dial(host));
        self.act(|state, now, todo| state.dialled_shared(&dial, many.clone(), now, todo));
        many
    }

    fn fails(&mut self, host: usize) {
        let dial = self.dial(host);
        self.fail(&dial);
    }

    fn fail(&mut self, dial: &Dial) {
        let failure = DialFailure::new(Kind::Connect, "refused");
        self.act(|state, now, todo| state.dial_failed(dial, &failure, now, todo));
    }

    fn closed(&mut self, host: usize) {
        self.act(|state, now, todo| state.closed(host, now, todo));
    }

    /// A place is given back.
    fn back(&mut self, seat: Seat) {
        let place = seat.leave().place().load(Ordering::SeqCst);
        self.act(|state, now, todo| state.places_changed(place, now, todo));
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

fn served(receiver: &mut oneshot::Receiver<Delivery<One, Seat>>) -> Option<u32> {
    match receiver.try_recv().ok()? {
        Delivery::Exclusive(one) => Some(one.number),
        Delivery::Place(_) => Some(0),
        Delivery::Failed(failure) => panic!("{}", failure.message),
        Delivery::Moved => panic!("it was told to ask again"),
    }
}

fn has_failed(receiver: &mut oneshot::Receiver<Delivery<One, Seat>>) -> Option<String> {
    match receiver.try_recv() {
        Ok(Delivery::Failed(failure)) => Some(failure.message.to_string()),
        _ => None,
    }
}

/// Closes everything that is idle, without letting anything come in between.
fn close_idle(state: &mut State<One, Many>, now: Instant, todo: &mut Todo<One, Many>) {
    let mut closing = state.close_idle(CloseReason::CloseIdle);
    while state.close_some(&mut closing, now, todo) {}
}

fn caps(per_host: usize) -> impl FnOnce(&mut settings::Pool) {
    move |pool| pool.max_connections_per_host = Some(per_host)
}

impl Room {
    fn wait_after(
        &mut self,
        host: usize,
        change: impl FnOnce(&mut State<One, Many>, usize, Instant, &mut Todo<One, Many>),
    ) -> Waiting<One, Seat> {
        self.act(|state, now, todo| change(state, host, now, todo));
        self.wait(host)
    }
}
