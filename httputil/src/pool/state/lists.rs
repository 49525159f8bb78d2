//! A slab whose entries can stand in four lists at once: their host's, the pool's by age, one of those that are due
//! early, and that of those that are still awake.
//!
//! Every operation takes the same time however many entries there are.

const NIL: usize = usize::MAX;

/// The list of one host's idle connections.
pub(super) const BY_HOST: usize = 0;
/// The list of all idle connections of the pool.
pub(super) const BY_AGE: usize = 1;
/// A list of those that are due early.
pub(super) const BY_DUE: usize = 2;
/// The list of those that are to hibernate.
pub(super) const BY_REST: usize = 3;
/// Among hosts: the line of those that wait for a slot.
pub(super) const BY_TURN: usize = 0;

#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    links: [Links; 4],
    tag: u8,
}

#[derive(Clone, Copy, Debug)]
struct Links {
    older: usize,
    newer: usize,
    is_linked: bool,
}

const UNLINKED: Links = Links {
    older: NIL,
    newer: NIL,
    is_linked: false,
};

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, value: T) -> usize {
        if let Some(index) = self.free.pop() {
            // What was removed stood in no list any more.
            let slot = &mut self.slots[index];
            slot.value = Some(value);
            slot.tag = 0;
            index
        } else {
            self.slots.push(Slot {
                value: Some(value),
                links: [UNLINKED; 4],
                tag: 0,
            });
            self.slots.len() - 1
        }
    }

    /// Takes an entry out; it must stand in no list.
    pub(super) fn remove(&mut self, index: usize) -> Option<T> {
        let slot = self.slots.get_mut(index)?;
        debug_assert!(
            slot.links.iter().all(|links| !links.is_linked),
            "an entry is removed that is still in a list"
        );
        let value = slot.value.take()?;
        self.free.push(index);
        Some(value)
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.slots.get(index)?.value.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.slots.get_mut(index)?.value.as_mut()
    }

    /// Writes down which of several lists an entry stands in.
    pub(super) fn tag(&mut self, index: usize, tag: u8) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.tag = tag;
        }
    }

    pub(super) fn tag_of(&self, index: usize) -> u8 {
        self.slots.get(index).map_or(0, |slot| slot.tag)
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// One more than the highest number that an entry has had.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| Some((index, slot.value.as_ref()?)))
    }
}

/// One list through a slab, `WHICH` of each entry's pairs of links.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<const WHICH: usize> {
    oldest: usize,
    newest: usize,
    len: usize,
}

impl<const WHICH: usize> Default for List<WHICH> {
    fn default() -> Self {
        List {
            oldest: NIL,
            newest: NIL,
            len: 0,
        }
    }
}

impl<const WHICH: usize> List<WHICH> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn newest(&self) -> Option<usize> {
        (self.newest != NIL).then_some(self.newest)
    }

    pub(super) fn oldest(&self) -> Option<usize> {
        (self.oldest != NIL).then_some(self.oldest)
    }

    /// The entry after this one, which stands in a list of this kind.
    pub(super) fn newer<T>(slab: &Slab<T>, index: usize) -> Option<usize> {
        let newer = slab.slots.get(index)?.links[WHICH].newer;
        (newer != NIL).then_some(newer)
    }

    /// The entry before it.
    pub(super) fn older<T>(slab: &Slab<T>, index: usize) -> Option<usize> {
        let older = slab.slots.get(index)?.links[WHICH].older;
        (older != NIL).then_some(older)
    }

    /// Whether the entry stands in a list of this kind.
    pub(super) fn has<T>(slab: &Slab<T>, index: usize) -> bool {
        slab.slots.get(index).is_some_and(|slot| slot.links[WHICH].is_linked)
    }

    pub(super) fn push<T>(&mut self, slab: &mut Slab<T>, index: usize) {
        let links = &mut slab.slots[index].links[WHICH];
        debug_assert!(!links.is_linked, "an entry is pushed twice");
        *links = Links {
            older: self.newest,
            newer: NIL,
            is_linked: true,
        };
        match self.newest {
            NIL => self.oldest = index,
            newest => slab.slots[newest].links[WHICH].newer = index,
        }
        self.newest = index;
        self.len += 1;
    }

    /// As the oldest of all.
    pub(super) fn push_oldest<T>(&mut self, slab: &mut Slab<T>, index: usize) {
        let links = &mut slab.slots[index].links[WHICH];
        debug_assert!(!links.is_linked, "an entry is pushed twice");
        *links = Links {
            older: NIL,
            newer: self.oldest,
            is_linked: true,
        };
        match self.oldest {
            NIL => self.newest = index,
            oldest => slab.slots[oldest].links[WHICH].older = index,
        }
        self.oldest = index;
        self.len += 1;
    }

    /// Takes the entry out of this list; `false` if it was not in it.
    pub(super) fn unlink<T>(&mut self, slab: &mut Slab<T>, index: usize) -> bool {
        let Links {
            older,
            newer,
            is_linked,
        } = std::mem::replace(&mut slab.slots[index].links[WHICH], UNLINKED);
        if !is_linked {
            return false;
        }
        match older {
            NIL => self.oldest = newer,
            older => slab.slots[older].links[WHICH].newer = newer,
        }
        match newer {
            NIL => self.newest = older,
            newer => slab.slots[newer].links[WHICH].older = older,
        }
        self.len -= 1;
        true
    }
}
