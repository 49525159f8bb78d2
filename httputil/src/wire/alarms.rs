//! When the requests on an HTTP/2 connection are to be woken.
//!
//! A timer for each request would cost it as much as the pool's lock does, twice over. Here a request writes down its time and
//! its waker, and the connection's driver, which has one sleep for all, wakes it.
//!
//! The rule: the sleep is set anew only for a time that is earlier than what it is set to. Most requests are over long before
//! theirs, and set nothing.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::task::coop::has_budget_remaining;
use tokio::time::{Instant, Sleep};

/// Those of one connection.
#[derive(Default)]
pub(super) struct Alarms {
    state: Mutex<State>,
    /// One is for an earlier time than the sleep is set to.
    is_early: AtomicBool,
}

#[derive(Default)]
struct State {
    slots: Vec<Slot>,
    /// Numbers of slots that nobody has.
    free: Vec<usize>,
    /// What the driver's sleep is set to, or about to be.
    set_to: Option<Instant>,
    /// The driver has gone.
    is_over: bool,
}

enum Slot {
    Free,
    Set { at: Instant, waker: Option<Waker> },
    Rung,
}

impl Alarms {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the driver is to be woken for it comes with the alarm.
    pub(super) fn set(self: &Arc<Self>, at: Instant) -> (Alarm, bool) {
        let mut state = self.lock();
        let slot = Slot::Set { at, waker: None };
        let number = if let Some(number) = state.free.pop() {
            state.slots[number] = slot;
            number
        } else {
            state.slots.push(slot);
            state.slots.len() - 1
        };
        let is_early = self.is_early(&mut state, at);
        drop(state);
        let alarm = Alarm {
            alarms: Arc::clone(self),
            number,
            at,
            own: None,
        };
        (alarm, is_early)
    }

    /// Whether the driver's sleep is to be set anew.
    fn is_early(&self, state: &mut State, at: Instant) -> bool {
        let is_early = state.set_to.is_none_or(|set_to| at < set_to);
        if is_early {
            state.set_to = Some(at);
            self.is_early.store(true, Ordering::Release);
        }
        is_early
    }

    /// Rings for those whose time has come, and says when to look again.
    fn ring(&self, now: Instant) -> Option<Instant> {
        let mut due = Vec::new();
        let mut state = self.lock();
        self.is_early.store(false, Ordering::Relaxed);
        let mut next = None;
        for slot in &mut state.slots {
            match slot {
                Slot::Set { at, waker } if *at <= now => {
                    due.extend(waker.take());
                    *slot = Slot::Rung;
                }
                Slot::Set { at, .. } => next = Some(next.map_or(*at, |next: Instant| next.min(*at))),
                Slot::Free | Slot::Rung => {}
            }
        }
        state.set_to = next;
        drop(state);
        due.into_iter().for_each(Waker::wake);
        next
    }

    /// The driver has gone: whoever waits sees to himself.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.is_over = true;
        let wakers: Vec<Waker> = state.slots.iter_mut().filter_map(Slot::take_waker).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Slot {
    fn take_waker(&mut self) -> Option<Waker> {
        match self {
            Slot::Set { waker, .. } => waker.take(),
            Slot::Free | Slot::Rung => None,
        }
    }
}

/// The driver's sleep.
#[derive(Default)]
pub(super) struct Clock {
    sleep: Option<Pin<Box<Sleep>>>,
    /// It will wake the driver.
    is_awaited: bool,
}

impl Clock {
    /// Rings for whoever is due. To be asked at each turn of the driver.
    pub(super) fn poll(&mut self, alarms: &Alarms, cx: &mut Context<'_>) {
        let is_over = self.is_awaited && self.sleep.as_ref().is_some_and(|sleep| sleep.is_elapsed());
        let is_unseen = self.sleep.is_some() && !self.is_awaited;
        if !is_over && !is_unseen && !alarms.is_early.load(Ordering::Acquire) {
            return;
        }
        while let Some(next) = alarms.ring(Instant::now()) {
            let sleep = match &mut self.sleep {
                Some(sleep) => {
                    sleep.as_mut().reset(next);
                    sleep
                }
                None => self.sleep.insert(Box::pin(tokio::time::sleep_until(next))),
            };
            // A task that has had its share of this turn does not get through to the timer; it is polled again.
            self.is_awaited = has_budget_remaining();
            if sleep.as_mut().poll(cx).is_pending() {
                return;
            }
        }
        self.sleep = None;
        self.is_awaited = false;
    }
}

/// One request's. Dropping it takes it back.
pub(super) struct Alarm {
    alarms: Arc<Alarms>,
    number: usize,
    at: Instant,
    /// Where there is no driver any more.
    own: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// Sets it anew. Whether the driver is to be woken for it.
    pub(super) fn move_to(&mut self, at: Instant) -> bool {
        self.at = at;
        self.own = None;
        let mut state = self.alarms.lock();
        state.slots[self.number] = Slot::Set { at, waker: None };
        self.alarms.is_early(&mut state, at)
    }

    /// Waits for its time.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.alarms.lock();
        if state.is_over {
            drop(state);
            let at = self.at;
            let own = self.own.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            return own.as_mut().poll(cx);
        }
        match &mut state.slots[self.number] {
            Slot::Set { waker, .. } => {
                if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    *waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
            Slot::Free | Slot::Rung => Poll::Ready(()),
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let mut state = self.alarms.lock();
        let slot = std::mem::replace(&mut state.slots[self.number], Slot::Free);
        state.free.push(self.number);
        drop(state);
        // Not under the lock: it is somebody else's code.
        drop(slot);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    /// A driver, and how often it was polled.
    fn drive(alarms: &Arc<Alarms>) -> tokio::task::JoinHandle<()> {
        let alarms = Arc::clone(alarms);
        let mut clock = Clock::default();
        tokio::spawn(poll_fn(move |cx| {
            clock.poll(&alarms, cx);
            Poll::Pending
        }))
    }

    async fn rings_after(alarm: &mut Alarm) -> u64 {
        let began = Instant::now();
        poll_fn(|cx| alarm.poll(cx)).await;
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_woken_at_its_time_whichever_was_set_first() {
        let alarms = Arc::<Alarms>::default();
        let now = Instant::now();
        let seconds = |seconds| now + Duration::from_secs(seconds);
        let (mut late, wakes) = alarms.set(seconds(30));
        assert!(wakes);
        let (mut later, wakes) = alarms.set(seconds(40));
        assert!(!wakes, "the sleep is set to an earlier time");
        let (mut early, wakes) = alarms.set(seconds(10));
        assert!(wakes);
        drop(alarms.set(seconds(5)));
        let driver = drive(&alarms);
        assert_eq!(rings_after(&mut early).await, 10);
        assert!(!early.move_to(seconds(35)));
        assert_eq!(rings_after(&mut late).await, 20);
        assert_eq!(rings_after(&mut early).await, 5);
        assert_eq!(rings_after(&mut later).await, 5);
        driver.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn one_whose_driver_has_gone_rings_all_the_same() {
        let alarms = Arc::<Alarms>::default();
        let (mut alarm, _) = alarms.set(Instant::now() + Duration::from_secs(7));
        let waits = tokio::spawn(async move { rings_after(&mut alarm).await });
        tokio::task::yield_now().await;
        alarms.end();
        assert_eq!(waits.await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_used_again() {
        let alarms = Arc::<Alarms>::default();
        for _ in 0..100 {
            let at = Instant::now() + Duration::from_secs(1);
            let _both = (alarms.set(at), alarms.set(at));
        }
        assert_eq!(alarms.lock().slots.len(), 2);
    }
}
