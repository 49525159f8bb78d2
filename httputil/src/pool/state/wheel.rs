//! Connections that are due before their idle time is over: too old soon, or by the server's `Keep-Alive`.
//!
//! Those that only wait for `pool.idle_timeout` come due in the order in which they fell idle, and need nothing but the
//! list by age. The others stand here too, in 64 slots that span one idle time-out: putting one in or taking it out
//! takes the same time however many there are. A slot is looked at when its span is over, so that a connection is closed
//! up to a 64th of the idle time-out late; a checkout looks at the exact time.

use std::time::Duration;

use tokio::time::Instant;

use super::lists::{BY_DUE, List, Slab};

const SLOTS: usize = 64;
const LAST: u64 = 63;

#[derive(Debug)]
pub(super) struct Wheel {
    epoch: Instant,
    /// Nanoseconds that a slot spans.
    span: u64,
    /// What it will span from when nothing is in any slot.
    next_span: u64,
    slots: [List<BY_DUE>; SLOTS],
    /// A bit for each slot that holds something.
    occupied: u64,
    /// The first slot, counted from the epoch, that has not been looked at.
    next: u64,
}

impl Wheel {
    pub(super) fn new(epoch: Instant, horizon: Duration) -> Wheel {
        let span = span_of(horizon);
        Wheel {
            epoch,
            span,
            next_span: span,
            slots: [List::default(); SLOTS],
            occupied: 0,
            next: 0,
        }
    }

    /// Another horizon. What is in stands where it is, and is looked at as before.
    pub(super) fn respan(&mut self, horizon: Duration) {
        self.next_span = span_of(horizon);
    }

    fn slot(&self, at: Instant) -> u64 {
        let nanos = u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX);
        nanos / self.span
    }

    fn end(&self, slot: u64) -> Instant {
        let nanos = slot.saturating_add(1).saturating_mul(self.span);
        // An instant too far for the clock is looked at again in a day.
        self.epoch
            .checked_add(Duration::from_nanos(nanos))
            .unwrap_or_else(|| self.epoch + Duration::from_hours(24))
    }

    /// Puts an entry in that is due within the horizon.
    pub(super) fn insert<T>(&mut self, slab: &mut Slab<T>, index: usize, due: Instant, now: Instant) {
        if self.occupied == 0 {
            self.span = self.next_span;
            self.next = self.slot(now);
        }
        let slot = place(self.slot(due).clamp(self.next, self.next + LAST));
        self.slots[usize::from(slot)].push(slab, index);
        slab.tag(index, slot);
        self.occupied |= 1 << slot;
    }

    /// Takes an entry out, if it is in.
    pub(super) fn remove<T>(&mut self, slab: &mut Slab<T>, index: usize) {
        let slot = slab.tag_of(index);
        let list = &mut self.slots[usize::from(slot)];
        if list.unlink(slab, index) && list.len() == 0 {
            self.occupied &= !(1 << slot);
        }
    }

    /// An entry of a slot whose span is over.
    pub(super) fn due(&mut self, now: Instant) -> Option<usize> {
        let current = self.slot(now);
        while self.occupied != 0 && self.next < current {
            if let Some(index) = self.slots[usize::from(place(self.next))].oldest() {
                return Some(index);
            }
            let ahead = self
                .occupied
                .rotate_right(u32::from(place(self.next + 1)))
                .trailing_zeros();
            self.next = (self.next + 1 + u64::from(ahead)).min(current);
        }
        None
    }

    /// When to look again.
    pub(super) fn looks_at(&self) -> Option<Instant> {
        if self.occupied == 0 {
            return None;
        }
        let ahead = self.occupied.rotate_right(u32::from(place(self.next))).trailing_zeros();
        Some(self.end(self.next + u64::from(ahead)))
    }
}

fn span_of(horizon: Duration) -> u64 {
    let span = u64::try_from(horizon.as_nanos() / u128::from(LAST)).unwrap_or(u64::MAX / 64);
    span.max(1)
}

/// Where the slots that are counted from the epoch stand.
fn place(slot: u64) -> u8 {
    slot.to_le_bytes()[0] % 64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_out_within_a_slot_and_nothing_else_does() {
        let epoch = Instant::now();
        let second = Duration::from_secs(1);
        let mut wheel = Wheel::new(epoch, second * 63);
        let mut slab = Slab::default();
        let dues: Vec<(usize, u32)> = [5, 3, 60, 3].into_iter().map(|due| (slab.insert(()), due)).collect();
        for (index, due) in &dues {
            wheel.insert(&mut slab, *index, epoch + second * *due, epoch);
        }
        assert_eq!(wheel.looks_at(), Some(epoch + second * 4));
        assert_eq!(wheel.due(epoch + second * 3), None);
        let mut out = Vec::new();
        for now in 0..=70 {
            while let Some(index) = wheel.due(epoch + second * now) {
                wheel.remove(&mut slab, index);
                out.push((index, now));
            }
        }
        assert_eq!(out, [(1, 4), (3, 4), (0, 6), (2, 61)]);
        assert_eq!(wheel.looks_at(), None);
    }

    #[test]
    fn it_turns_round_and_round() {
        let epoch = Instant::now();
        let milli = Duration::from_millis(1);
        let mut wheel = Wheel::new(epoch, milli * 63);
        let mut slab = Slab::default();
        let index = slab.insert(());
        let mut now = epoch;
        for step in 0..1000_u32 {
            wheel.insert(&mut slab, index, now + milli * (step % 63), now);
            let at = wheel.looks_at().unwrap();
            assert!(at > now + milli * (step % 63) && at <= now + milli * (step % 63 + 1));
            assert_eq!(wheel.due(at - Duration::from_nanos(1)), None);
            assert_eq!(wheel.due(at), Some(index));
            wheel.remove(&mut slab, index);
            now = at;
        }
    }
}
