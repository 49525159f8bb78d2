//! Hosts in line for a slot: newcomers, and those whose dials have given way, which may hang again.
//!
//! The rule: while both wait, three slots go to newcomers and then one to the others, so that a healthy host does not wait
//! for all those that swallow dials, and a slow one is not passed over for ever.

use super::lists::{BY_TURN, List, Slab};

const NEWCOMER: u8 = 0;
const STOPPED: u8 = 1;

/// So many newcomers come before one of the others.
const AHEAD: u8 = 3;

#[derive(Debug, Default)]
pub(super) struct Line {
    newcomers: List<BY_TURN>,
    stopped: List<BY_TURN>,
    /// How many newcomers were served before one of the others, which waited.
    ahead: u8,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.newcomers.len() + self.stopped.len()
    }

    pub(super) fn has<T>(hosts: &Slab<T>, index: usize) -> bool {
        List::<BY_TURN>::has(hosts, index)
    }

    /// The host, which does not stand here, stands at the end of those of its kind.
    pub(super) fn push<T>(&mut self, hosts: &mut Slab<T>, index: usize, is_newcomer: bool) {
        hosts.tag(index, if is_newcomer { NEWCOMER } else { STOPPED });
        self.of(hosts, index).push(hosts, index);
    }

    pub(super) fn unlink<T>(&mut self, hosts: &mut Slab<T>, index: usize) {
        self.of(hosts, index).unlink(hosts, index);
    }

    /// The host, which stands here, is the next.
    pub(super) fn put_first<T>(&mut self, hosts: &mut Slab<T>, index: usize) {
        let list = self.of(hosts, index);
        list.unlink(hosts, index);
        list.push_oldest(hosts, index);
        self.ahead = if hosts.tag_of(index) == STOPPED { AHEAD } else { 0 };
    }

    /// Takes the next one out.
    pub(super) fn pop<T>(&mut self, hosts: &mut Slab<T>) -> Option<usize> {
        let (newcomer, stopped) = (self.newcomers.oldest(), self.stopped.oldest());
        let index = match (newcomer, stopped) {
            (Some(_), Some(stopped)) if self.ahead >= AHEAD => stopped,
            (newcomer, stopped) => newcomer.or(stopped)?,
        };
        self.ahead = match stopped {
            Some(stopped) if stopped != index => self.ahead + 1,
            _ => 0,
        };
        self.unlink(hosts, index);
        Some(index)
    }

    fn of<T>(&mut self, hosts: &Slab<T>, index: usize) -> &mut List<BY_TURN> {
        if hosts.tag_of(index) == STOPPED {
            &mut self.stopped
        } else {
            &mut self.newcomers
        }
    }
}
