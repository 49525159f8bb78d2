//! What happens to dials, to connections and to requests.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::super::fakes::{Many, One, Seat};
use super::super::{Ask, Bond, Dial, Exclusive, Held, Leaving, Multiplexed, Outcome, Presser, Todo};
use super::events::{Event, Pick};
use super::model::{Fared, LONG, USUAL, Which};
use super::world::{Away, Request, World, pick};
use crate::connect::DialFailure;
use crate::error::{Kind, Phase};

impl World {
    /// What happens to connections that are in use, on their way home, or leaving.
    pub(super) fn connection(&mut self, event: Event) {
        match event {
            Event::CheckIn(which) => {
                if let Some(away) = pick(&mut self.away, which) {
                    self.arrives(away.host, &away.one);
                    self.act(|state, now, todo| state.check_in(away.host, away.one, now, todo));
                }
            }
            Event::Return(which) => {
                if self
                    .away
                    .get(which % self.away.len().max(1))
                    .is_some_and(|away| away.is_unused)
                    && let Some(away) = pick(&mut self.away, which)
                {
                    self.arrives(away.host, &away.one);
                    self.act(|state, now, todo| state.returned(away.host, away.one, now, todo));
                }
            }
            Event::Settle(which) => {
                if let Some(away) = pick(&mut self.away, which) {
                    self.model.hosts[away.host].settling += 1;
                    self.act(|state, _, _| state.settling(away.host));
                    self.settling.push((away.host, away.one));
                }
            }
            Event::Settled(which) => {
                if let Some((host, one)) = pick(&mut self.settling, which) {
                    self.model.hosts[host].settling -= 1;
                    self.arrives(host, &one);
                    self.act(|state, now, todo| {
                        state.settled(host);
                        state.check_in(host, one, now, todo);
                    });
                }
            }
            Event::Unsettled(which) => {
                if let Some((host, one)) = pick(&mut self.settling, which) {
                    self.closing.push((host, one.bond().site()));
                    drop(one);
                    self.model.hosts[host].settling -= 1;
                    self.act(|state, now, todo| state.unsettled(host, now, todo));
                }
            }
            Event::Breaks(which) => {
                if let Some(away) = pick(&mut self.away, which) {
                    self.closing.push((away.host, away.one.bond().site()));
                }
            }
            Event::PlaceBack(which) => {
                if let Some((host, seat)) = pick(&mut self.seats, which) {
                    self.place_back(host, seat);
                }
            }
            Event::Limit(which, limit) => self.shared_changes(which, |many| many.allow(limit)),
            Event::Choke(which, is_choked) => self.shared_changes(which, |many| many.choke(is_choked)),
            Event::PeerCloses(which) => self.peer_closes(which),
            Event::Closed(which) => {
                if let Some((host, site)) = pick(&mut self.closing, which) {
                    let counted = &mut self.model.hosts[host];
                    counted.open -= 1;
                    counted.departing = counted.departing.saturating_sub(1);
                    self.act(|state, now, todo| {
                        state.leave_site(host, site);
                        state.closed(host, now, todo);
                    });
                }
            }
            other => unreachable!("{other:?} is dealt with elsewhere"),
        }
    }

    fn arrives(&mut self, host: usize, one: &One) {
        let departing = self.state.hosts.get(host).map_or(0, |host| host.departing);
        self.model.arrives(host, one, departing, self.now);
    }

    pub(super) fn checkout(&mut self, host: usize, id: u64, seconds: Option<u64>, fresh: bool) {
        let deadline = seconds.map(|seconds| self.now + Duration::from_secs(seconds));
        self.ask(host, id, deadline, fresh);
    }

    pub(super) fn ask(&mut self, host: usize, id: u64, deadline: Option<Instant>, fresh: bool) {
        // A request that has to wait is known before what it leads to is judged.
        self.model.asks(host, id, deadline, fresh);
        let mut todo = Todo::default();
        let ask = Ask {
            now: self.now,
            turn: id,
            deadline,
            fresh,
        };
        let before = self.busy_at(host);
        let outcome = self.state.checkout(host, ask, &mut todo);
        self.state.end_sparing(self.now, &mut todo);
        match outcome {
            Outcome::Idle(one, since) => {
                if todo.chores().leaving.is_empty() {
                    Self::check_turn(&before, one.bond().site());
                }
                self.model.took_idle(host, id, &one, since);
                self.served.push((host, id));
                self.away.push(Away {
                    host,
                    one,
                    is_unused: false,
                });
            }
            Outcome::Place(seat) => {
                self.model.took_place(host, id, seat.many());
                self.served.push((host, id));
                self.seats.push((host, seat));
            }
            Outcome::Wait(waiting) => {
                assert_eq!((waiting.host, waiting.id), (host, id));
                self.requests.push(Request {
                    host,
                    id,
                    receiver: waiting.receiver,
                });
            }
        }
        self.follow(todo);
    }

    pub(super) fn dialled_exclusive(&mut self, which: Pick, expires: Option<u64>, may_idle_for: Option<u64>) {
        let has_taken_long = self.has_taken_long(which);
        let Some((dial, site)) = self.arrived(which) else {
            return;
        };
        self.numbers += 1;
        let mut one = One::new(self.numbers);
        one.bond().lead_to(site);
        one.generation = dial.seat.generation;
        one.expires = expires.map(|seconds| self.now + Duration::from_secs(seconds));
        one.may_idle_for = may_idle_for.map(Duration::from_secs);
        self.model.hosts[dial.seat.host].fared = Fared::default();
        if has_taken_long {
            self.model.silent = None;
        }
        self.model.dialled_exclusive(dial.seat.host, &one);
        self.act(|state, now, todo| state.dialled_exclusive(&dial, one, now, todo));
    }

    pub(super) fn dialled_shared(&mut self, which: Pick, limit: usize) {
        if self.dials.is_empty() || self.dials[which % self.dials.len()].0.seat.http1_only {
            return;
        }
        let has_taken_long = self.has_taken_long(which);
        let Some((dial, site)) = self.arrived(which) else {
            return;
        };
        self.numbers += 1;
        let many = Many::new(self.numbers, limit);
        many.lead_to(site);
        self.model.hosts[dial.seat.host].fared = Fared::default();
        if has_taken_long {
            self.model.silent = None;
        }
        self.model.dialled_shared(dial.seat.host, &many, dial.seat.generation);
        self.act(|state, now, todo| state.dialled_shared(&dial, many, now, todo));
    }

    pub(super) fn dial_fails(&mut self, which: Pick, is_ours: bool) {
        // Now and then beyond the TCP connect: that is one address's failure.
        let (dial, goes_elsewhere) = if self.model.limits.spreads && which.is_multiple_of(2) {
            let Some((dial, site)) = self.failing(which) else {
                return;
            };
            let elsewhere = self.has_beside(dial.seat.host, site);
            (dial, elsewhere && !is_ours)
        } else {
            let Some((dial, _)) = pick(&mut self.dials, which) else {
                return;
            };
            self.routed.remove(&dial.id);
            (dial, false)
        };
        let host = dial.seat.host;
        if !is_ours {
            self.model.hosts[host].fared = Fared::default();
        }
        let is_of_old = self.model.is_of_old(dial.seat.generation);
        if is_of_old {
            self.model.old_dial_over(host);
        } else {
            self.model.dial_failed(host, dial.epoch, is_ours || goes_elsewhere);
        }
        let kind = if is_ours { Kind::LimitExceeded } else { Kind::Connect };
        let failure = DialFailure::new(kind, "refused");
        self.act(|state, now, todo| state.dial_failed(&dial, &failure, now, todo));
        if (goes_elsewhere || is_of_old) && !self.model.in_backoff(&self.model.hosts[host]) {
            let heard = &self.model.failed;
            assert!(
                heard.is_empty(),
                "{heard:?} heard of one address's failure, or of what earlier settings led to"
            );
        }
    }

    pub(super) fn give_way(&mut self, to: Option<Pick>, is_newcomer: bool) {
        let host = to.map(|host| host % self.model.hosts.len());
        let has_long = |dial: &Dial| self.patience[&dial.id] == LONG && !self.stopped.contains(&dial.id);
        let kept = self.dials.iter().position(|(dial, _)| has_long(dial));
        let has_others = self.model.limits.pool.max_connections.is_none_or(|cap| cap > 1);
        let waits = |dial: &Dial| !self.model.hosts[dial.seat.host].waiters.is_empty();
        let is_silent = self
            .model
            .silent
            .is_some_and(|since| self.now < since + Duration::from_mins(1));
        let patience = self.patience.clone();
        let is_first = |dial: &Dial| is_newcomer && is_silent && patience[&dial.id] == USUAL;
        let mut dials = self.dials.iter().enumerate();
        let due = dials.position(|(position, (dial, began))| {
            let is_cut_short =
                is_newcomer && has_long(dial) && !(has_others && kept == Some(position)) || is_first(dial);
            let seconds = if waits(dial) && !is_cut_short {
                self.whole_patience(dial)
            } else {
                1
            };
            let is_other = Some(dial.seat.host) != host && !self.stopped.contains(&dial.id);
            is_other && *began + Duration::from_secs(seconds) <= self.now
        });
        let presser = Presser { host, is_newcomer };
        assert_eq!(
            self.act(|state, now, todo| state.give_way(presser, now, todo)),
            due.is_some()
        );
        if let Some(due) = due {
            let had_its_time = {
                let (dial, began) = &self.dials[due];
                *began + Duration::from_secs(self.whole_patience(dial)) <= self.now || is_first(dial)
            };
            let (dial, began) = self.dials.remove(due);
            if began + Duration::from_secs(3) <= self.now {
                self.model.silent = Some(self.now);
            }
            self.routed.remove(&dial.id);
            let (now, had) = (self.now, self.patience[&dial.id]);
            let host = &mut self.model.hosts[dial.seat.host];
            host.dialling -= 1;
            if had_its_time && had == LONG {
                host.fared.given_up = Some(now);
            } else if had_its_time && host.fared.patience(now) == USUAL && had == USUAL {
                host.fared = Fared {
                    has_given_way: true,
                    given_up: None,
                };
            }
            self.act(|state, now, todo| state.dial_gave_way(&dial, now, todo));
        }
    }

    /// Whether the dial has been under way for a second.
    fn has_taken_long(&self, which: Pick) -> bool {
        let dial = self.dials.get(which % self.dials.len().max(1));
        dial.is_some_and(|(_, began)| *began + Duration::from_secs(1) <= self.now)
    }

    /// In seconds.
    fn whole_patience(&self, dial: &Dial) -> u64 {
        let (connecting, in_tls) = self.patience[&dial.id];
        match dial.progress.phase() {
            Phase::TlsHandshake => in_tls,
            _ => connecting,
        }
    }

    /// A dial has found its host.
    pub(super) fn gets_on(&mut self, which: Pick) {
        if !self.dials.is_empty() {
            let (dial, _) = &self.dials[which % self.dials.len()];
            dial.progress.enter(Phase::TlsHandshake);
        }
    }

    fn place_back(&mut self, host: usize, seat: Seat) {
        let many = seat.leave();
        let place = many.place().load(Ordering::SeqCst);
        self.model.place_back(&many);
        self.act(|state, now, todo| state.places_changed(place, now, todo));
        if many.in_use() == 0 && self.parting.remove(&many.number()).is_some() {
            self.closing.push((host, many.site()));
        }
    }

    fn shared_changes(&mut self, which: Pick, change: impl FnOnce(&Many)) {
        let all: Vec<Many> = self.model.hosts.iter().flat_map(|host| host.shared.clone()).collect();
        if all.is_empty() {
            return;
        }
        let many = &all[which % all.len()];
        change(many);
        self.model.place_back(many);
        let place = many.place().load(Ordering::SeqCst);
        self.act(|state, now, todo| state.places_changed(place, now, todo));
    }

    /// The peer of an idle or of a shared connection closes it.
    fn peer_closes(&mut self, which: Pick) {
        let places: Vec<(usize, usize)> = self
            .state
            .entries
            .iter()
            .map(|(index, held)| (index, held.host))
            .collect();
        if places.is_empty() {
            return;
        }
        let (place, host) = places[which % places.len()];
        let which = match &self.state.entries.get(place).unwrap().held {
            Held::Idle(one) => Which::One(one.number),
            Held::Shared(many) => Which::Many(many.number()),
        };
        self.model.peer_closed(host, which);
        match self.act(|state, now, todo| state.retired(place, now, todo)) {
            Some(Leaving::Shared(many, _)) if many.in_use() > 0 => {
                self.parting.insert(many.number(), host);
            }
            Some(Leaving::Shared(many, _)) => self.closing.push((host, many.site())),
            Some(Leaving::Exclusive(one, _)) => self.closing.push((host, one.bond().site())),
            Some(Leaving::Dial(_)) | None => panic!("it was there"),
        }
    }
}
