//! HTTP/2 keep-alive: a ping when the peer has been silent for a while, and the end of a peer that stays silent.
//!
//! ```text
//! a stream in use ─► no byte for the interval ─► a ping ─► no byte for the time-out ─► the connection ends
//! ```
//!
//! hyper's own would lose some: it looks for streams when the socket's task happens to be polled, and on several threads
//! that may be between a request's way onto the wire and its being counted; on a connection that then stays silent nothing
//! polls that task again. And a process that was frozen for longer than the time-out finds hyper's clock run down, and the
//! answer unread in the socket.
//!
//! This one lives with the socket, and so guards streams whose connection takes no others any more. The rule: it is asked
//! whenever a read finds nothing and whenever something has been written, so a request cannot get out past it. There is
//! one sleep a connection, which stays set from one request to the next.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::task::coop::has_budget_remaining;
use tokio::time::{Instant, Sleep};

use super::home::jittered;
use crate::settings::Http2;

/// So that adding to the clock never overflows.
const LONGEST: Duration = Duration::from_hours(24);
/// A clock that is looked at so much too late, and a quarter of the time-out, has been looked at by nobody meanwhile.
const LATE: Duration = Duration::from_millis(100);

/// How often a host has complained of too much (`ENHANCE_YOUR_CALM`). All its connections know of it at once.
#[derive(Debug, Default)]
pub(crate) struct Complaints(AtomicU8);

impl Complaints {
    /// More of them change nothing.
    const MOST: u8 = 6;

    pub(crate) fn add(&self) {
        let more = |count: u8| (count < Complaints::MOST).then_some(count + 1);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    pub(super) fn count(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    /// When to ping: after the interval, doubled with every complaint.
    fn slowed(&self, interval: Duration) -> Duration {
        match self.count() {
            0 => interval,
            count => interval.saturating_mul(1 << count).min(LONGEST),
        }
    }
}

/// What everybody may know of a connection's pings.
#[derive(Debug)]
pub(super) struct Pings {
    timeout: Duration,
    is_missed: AtomicBool,
}

impl Pings {
    /// `timeout` is `http2.keepalive_timeout`.
    pub(super) fn new(timeout: Duration) -> Pings {
        Pings {
            timeout,
            is_missed: AtomicBool::new(false),
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether the connection has ended because nothing came after a ping.
    pub(super) fn is_missed(&self) -> bool {
        self.is_missed.load(Ordering::Acquire)
    }

    pub(super) fn miss(&self) {
        self.is_missed.store(true, Ordering::Release);
    }
}

/// What a silence calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// A ping.
    Ask,
    /// The end of the connection: nothing has come since the ping.
    Gone,
}

/// The clock of one connection.
#[derive(Debug)]
pub(super) struct KeepAlive {
    /// `http2.keepalive_interval`, jittered.
    interval: Duration,
    complaints: Arc<Complaints>,
    timeout: Duration,
    while_idle: bool,
    /// When something last came, as far as that has been looked at.
    last: Instant,
    has_heard: bool,
    /// When the ping was asked for that nothing has come after.
    asked: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// The task that it wakes, since it was set anew.
    wakes: Option<Waker>,
    /// Until when it sleeps; nothing, if it does not.
    set_to: Option<Instant>,
}

impl KeepAlive {
    /// Of a new connection to a host that has complained so often.
    pub(super) fn new(settings: &Http2, complaints: Arc<Complaints>) -> KeepAlive {
        KeepAlive {
            interval: jittered(settings.keepalive_interval.min(LONGEST)),
            complaints,
            timeout: settings.keepalive_timeout.min(LONGEST),
            while_idle: settings.keepalive_while_idle,
            last: Instant::now(),
            has_heard: false,
            asked: None,
            sleep: None,
            wakes: None,
            set_to: None,
        }
    }

    /// Something came.
    pub(super) fn heard(&mut self) {
        self.has_heard = true;
    }

    /// A ping goes out that this clock has not asked for: its answer is waited for as long as for one of ours.
    pub(super) fn asks(&mut self, now: Instant) {
        self.take_note(now);
        self.asked.get_or_insert(now);
    }

    fn take_note(&mut self, now: Instant) {
        if std::mem::take(&mut self.has_heard) {
            self.last = now;
            self.asked = None;
        }
    }

    /// Whether the clock runs, and will wake the socket's task.
    pub(super) fn is_set(&self) -> bool {
        self.set_to.is_some()
    }

    /// Waits for the silence to last too long, while there are streams `in_use`. Only what has been read counts, so this
    /// is for when there is nothing more to read.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, in_use: bool) -> Poll<Silence> {
        if self.has_heard {
            self.take_note(Instant::now());
        }
        loop {
            let due = match self.asked {
                Some(asked) => asked + self.timeout,
                None if in_use || self.while_idle => self.last + self.complaints.slowed(self.interval),
                None => {
                    // One that has run down wakes nobody any more.
                    if self.sleep.as_ref().is_some_and(|sleep| sleep.is_elapsed()) {
                        self.set_to = None;
                    }
                    return Poll::Pending;
                }
            };
            // Set to something earlier, it is left alone: most requests are over by then.
            if self.set_to.is_none_or(|set_to| due < set_to) {
                self.set_to = Some(due);
                self.wakes = None;
                match &mut self.sleep {
                    Some(sleep) => sleep.as_mut().reset(due),
                    None => self.sleep = Some(Box::pin(tokio::time::sleep_until(due))),
                }
            }
            if let Some(sleep) = &mut self.sleep {
                // It need not be polled again for that: this is asked at each turn of the task.
                let wakes = self.wakes.as_ref().is_some_and(|wakes| wakes.will_wake(cx.waker()));
                if wakes && !sleep.is_elapsed() {
                    return Poll::Pending;
                }
                // A task that has had its share of this turn does not get through to the timer.
                self.wakes = has_budget_remaining().then(|| cx.waker().clone());
                ready!(sleep.as_mut().poll(cx));
            }
            self.set_to = None;
            let now = Instant::now();
            let Some(late) = now.checked_duration_since(due) else {
                continue;
            };
            let silence = match self.asked {
                // The process or its machine stood still: what was on its way may be yet to come, and is asked for again.
                Some(_) if late > LATE.max(self.timeout / 4) => Silence::Ask,
                Some(_) => Silence::Gone,
                None => Silence::Ask,
            };
            self.asked = Some(now);
            return Poll::Ready(silence);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);
    const TIMEOUT: Duration = Duration::from_secs(4);

    fn keep_alive(while_idle: bool) -> KeepAlive {
        let mut keep_alive = KeepAlive::new(
            &Http2 {
                keepalive_timeout: TIMEOUT,
                keepalive_while_idle: while_idle,
                ..Http2::default()
            },
            Arc::default(),
        );
        // Without the jitter.
        keep_alive.interval = INTERVAL;
        keep_alive
    }

    /// What comes of a silence, and after how many seconds.
    async fn silence(keep_alive: &mut KeepAlive, in_use: bool) -> (Silence, u64) {
        let began = Instant::now();
        let silence = poll_fn(|cx| keep_alive.poll(cx, in_use)).await;
        (silence, began.elapsed().as_secs())
    }

    async fn is_pending(keep_alive: &mut KeepAlive, in_use: bool) -> bool {
        poll_fn(|cx| Poll::Ready(keep_alive.poll(cx, in_use).is_pending())).await
    }

    #[test]
    fn the_interval_doubles_with_every_complaint_up_to_a_bound() {
        let (complaints, ten) = (Complaints::default(), Duration::from_secs(10));
        for seconds in [10, 20, 40, 80, 160, 320, 640, 640] {
            assert_eq!(complaints.slowed(ten), Duration::from_secs(seconds));
            complaints.add();
        }
        assert_eq!(complaints.slowed(Duration::MAX), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_there_is_pinged_more_seldom_from_a_complaint_on() {
        let mut keep_alive = keep_alive(true);
        assert_eq!(silence(&mut keep_alive, true).await, (Silence::Ask, 10));
        keep_alive.heard();
        // Its clock is set by then.
        assert!(is_pending(&mut keep_alive, true).await);
        keep_alive.complaints.add();
        assert_eq!(silence(&mut keep_alive, true).await, (Silence::Ask, 20));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_pinged_after_the_interval_and_gone_after_the_time_out() {
        let mut keep_alive = keep_alive(false);
        assert_eq!(silence(&mut keep_alive, true).await, (Silence::Ask, 10));
        // The request may be over by then: a ping that is under way is waited for.
        assert_eq!(silence(&mut keep_alive, false).await, (Silence::Gone, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_comes_puts_off_the_ping_and_answers_it() {
        let mut keep_alive = keep_alive(false);
        assert!(is_pending(&mut keep_alive, true).await);
        tokio::time::advance(Duration::from_secs(7)).await;
        keep_alive.heard();
        assert_eq!(silence(&mut keep_alive, true).await, (Silence::Ask, 10));
        tokio::time::advance(Duration::from_secs(3)).await;
        keep_alive.heard();
        assert_eq!(silence(&mut keep_alive, true).await, (Silence::Ask, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_stream_nothing_is_pinged_and_the_next_one_finds_the_clock_run_down() {
        let mut keep_alive = keep_alive(false);
        assert!(is_pending(&mut keep_alive, false).await);
        assert!(!keep_alive.is_set());
        // One that ends while the clock runs.
        assert!(is_pending(&mut keep_alive, true).await);
        keep_alive.heard();
        tokio::time::advance(INTERVAL * 9).await;
        assert!(is_pending(&mut keep_alive, false).await);
        assert!(!keep_alive.is_set());
        tokio::time::advance(INTERVAL * 2).await;
        assert_eq!(silence(&mut keep_alive, true).await, (Silence::Ask, 0));
        assert_eq!(silence(&mut keep_alive, true).await, (Silence::Gone, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_peer_is_pinged_where_that_is_wanted() {
        let mut keep_alive = keep_alive(true);
        assert_eq!(silence(&mut keep_alive, false).await, (Silence::Ask, 10));
        assert_eq!(silence(&mut keep_alive, false).await, (Silence::Gone, 4));
    }

    #[tokio::test(start_paused = true)]
    async fn after_standing_still_for_longer_than_the_time_out_the_peer_is_asked_again() {
        let mut keep_alive = keep_alive(false);
        assert_eq!(silence(&mut keep_alive, true).await, (Silence::Ask, 10));
        assert!(is_pending(&mut keep_alive, true).await);
        tokio::time::advance(Duration::from_mins(10)).await;
        assert_eq!(silence(&mut keep_alive, true).await, (Silence::Ask, 0));
        assert_eq!(silence(&mut keep_alive, true).await, (Silence::Gone, 4));
    }
}
