//! The pool's core through one order of threads after another.
//!
//! What runs here is the code that runs in a process: the lock and the chores after it, the queue and its cancellation,
//! the line for slots over all pools. Only connections are numbers, and a dial ends as chance has it. A request that is
//! never woken is a deadlock, which the checker reports; so is a connection that is dropped under the lock, since its
//! end comes back to the pool.
//!
//! `SHUTTLE_ITERATIONS` sets how many orders are tried.

mod world;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use shuttle::{future, thread};

use super::budget::Budget;
use super::state::Protocol;
use super::stop::Stop;
use super::sync::{AtomicUsize, Ordering};
use crate::settings;
use world::{Room, Wish};

/// Random orders, and orders with few preemptions: they find different things.
fn check(act: fn()) {
    let iterations = std::env::var("SHUTTLE_ITERATIONS")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(2000);
    shuttle::check_random(act, iterations);
    shuttle::check_pct(act, iterations, 3);
}

fn unlimited(_: &mut settings::Pool) {}

/// Each wish in a thread of its own.
fn all(wishes: Vec<(Arc<Room>, Wish)>) {
    let threads: Vec<_> = wishes
        .into_iter()
        .map(|(room, wish)| thread::spawn(move || room.grant(wish)))
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn every_request_is_answered_whatever_becomes_of_dials_and_connections() {
    check(|| {
        let room = Room::new("a", unlimited, Protocol::H1, Budget::new(None));
        all((0..3).map(|_| (Arc::clone(&room), Wish::Requests(2))).collect());
        room.ends();
    });
}

#[test]
fn what_is_delivered_to_a_request_that_goes_comes_to_the_next() {
    check(|| {
        let room = Room::new(
            "a",
            |pool| pool.max_connections_per_host = Some(1),
            Protocol::H1,
            Budget::new(None),
        );
        let mut wishes = vec![(Arc::clone(&room), Wish::Requests(1)); 2];
        wishes.extend(vec![(Arc::clone(&room), Wish::GoesAway); 2]);
        wishes.push((Arc::clone(&room), Wish::Fresh));
        all(wishes);
        room.ends();
    });
}

#[test]
fn a_place_that_nobody_wants_any_more_comes_to_the_next() {
    check(|| {
        let room = Room::new("a", unlimited, Protocol::H2, Budget::new(None));
        let mut wishes = vec![(Arc::clone(&room), Wish::Requests(2)); 2];
        wishes.extend(vec![(Arc::clone(&room), Wish::GoesAway); 2]);
        wishes.push((Arc::clone(&room), Wish::Fresh));
        all(wishes);
        room.ends();
    });
}

#[test]
fn closing_what_is_idle_loses_nobody_and_keeps_nothing() {
    for protocol in [Protocol::H1, Protocol::H2, Protocol::Unknown] {
        let run = move || {
            let room = Room::new("a", |pool| pool.max_connections = Some(2), protocol, Budget::new(None));
            all(vec![
                (Arc::clone(&room), Wish::Requests(2)),
                (Arc::clone(&room), Wish::Requests(2)),
                (Arc::clone(&room), Wish::CloseIdle),
                (Arc::clone(&room), Wish::Reap),
            ]);
            room.ends();
        };
        shuttle::check_random(run, 1000);
        shuttle::check_pct(run, 1000, 3);
    }
}

#[test]
fn a_connection_that_goes_while_it_changes_hands_is_not_kept() {
    check(|| {
        let room = Room::new("a", unlimited, Protocol::H1, Budget::new(None));
        all(vec![
            (Arc::clone(&room), Wish::Requests(2)),
            (Arc::clone(&room), Wish::GoesAway),
            (Arc::clone(&room), Wish::PeerCloses),
            (Arc::clone(&room), Wish::PeerCloses),
        ]);
        room.ends();
    });
}

#[test]
fn other_settings_lose_nobody_and_what_was_made_before_serves_nobody_who_comes_after() {
    for protocol in [Protocol::H1, Protocol::H2, Protocol::Unknown] {
        let run = move || {
            let room = Room::new("a", |pool| pool.max_connections = Some(2), protocol, Budget::new(None));
            all(vec![
                (Arc::clone(&room), Wish::Requests(2)),
                (Arc::clone(&room), Wish::Requests(2)),
                (Arc::clone(&room), Wish::GoesAway),
                (Arc::clone(&room), Wish::Renews),
                (Arc::clone(&room), Wish::Renews),
            ]);
            room.ends();
        };
        shuttle::check_random(run, 1000);
        shuttle::check_pct(run, 1000, 3);
    }
}

#[test]
fn a_dial_that_is_stopped_is_gone_whether_or_not_somebody_drives_it_at_that_moment() {
    for stands_still in [false, true] {
        let run = move || {
            let (stop, gone) = (Arc::<Stop>::default(), Arc::new(AtomicUsize::new(0)));
            let dial = Hangs(Arc::clone(&gone));
            let mut driving = Box::pin(Arc::clone(&stop).drive(dial));
            let drives = thread::spawn(move || {
                if stands_still {
                    let _ = driving.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    Some(driving)
                } else {
                    future::block_on(driving);
                    None
                }
            });
            let stops: Vec<_> = [Arc::clone(&stop), stop]
                .map(|stop| thread::spawn(move || stop.stop()))
                .into();
            let keeps = drives.join().unwrap();
            for stops in stops {
                stops.join().unwrap();
            }
            assert_eq!(gone.load(Ordering::SeqCst), 1);
            drop(keeps);
        };
        shuttle::check_random(run, 2000);
        shuttle::check_pct(run, 2000, 3);
    }
}

/// A future without an end, and whether it is gone.
struct Hangs(Arc<AtomicUsize>);

impl Future for Hangs {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        thread::yield_now();
        Poll::Pending
    }
}

impl Drop for Hangs {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn pools_that_share_a_cap_wake_each_other() {
    check(|| {
        let budget = Budget::new(Some(1));
        let one = Room::new("a", unlimited, Protocol::H1, Arc::clone(&budget));
        let two = Room::new("b", unlimited, Protocol::H1, Arc::clone(&budget));
        all(vec![
            (Arc::clone(&one), Wish::Requests(2)),
            (Arc::clone(&one), Wish::GoesAway),
            (Arc::clone(&two), Wish::Requests(2)),
            (Arc::clone(&two), Wish::GoesAway),
            (Arc::clone(&two), Wish::Looks),
        ]);
        one.ends();
        two.ends();
        assert!(budget.is_unused());
    });
}

#[test]
fn a_pool_of_shared_connections_gives_back_what_another_claims() {
    check(|| {
        let budget = Budget::new(Some(1));
        let one = Room::new("a", unlimited, Protocol::H2, Arc::clone(&budget));
        let two = Room::new("b", unlimited, Protocol::H1, Arc::clone(&budget));
        all(vec![
            (Arc::clone(&one), Wish::Requests(2)),
            (Arc::clone(&one), Wish::Requests(2)),
            (Arc::clone(&two), Wish::Requests(1)),
            (Arc::clone(&two), Wish::GoesAway),
            (Arc::clone(&two), Wish::Presses),
        ]);
        one.ends();
        two.ends();
        assert!(budget.is_unused());
    });
}

#[test]
fn three_pools_over_two_slots_all_come_to_their_turn() {
    check(|| {
        let budget = Budget::new(Some(2));
        let rooms = ["a", "b", "c"].map(|name| Room::new(name, unlimited, Protocol::H1, Arc::clone(&budget)));
        all(rooms.iter().map(|room| (Arc::clone(room), Wish::Requests(2))).collect());
        for room in &rooms {
            room.ends();
        }
        assert!(budget.is_unused());
    });
}
