//! What must hold after each event: slots are counted, room is made for those who wait and for nobody else, and nobody waits
//! in vain.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::super::budget::Member;
use super::super::core::Core;
use super::super::state::fakes::{Many, One, Seat};
use super::super::state::{Cap, Exclusive, Failed, Multiplexed, Outcome, Rather, Standing};
use super::registry::{Desk, Registry, Request, address};
use crate::wire::{Link, Marks};

impl Registry {
    pub(super) fn made_room(&self) -> usize {
        let of_pool = |core: &Arc<Core<Desk>>| core.world.made_room.load(Ordering::SeqCst);
        self.cores.iter().map(of_pool).sum()
    }

    pub(super) fn check(&self) {
        let sum = |of: &dyn Fn(usize) -> usize| (0..self.cores.len()).map(of).sum::<usize>();
        let open = sum(&|pool| self.cores[pool].with_state(|state, _| state.open()));
        assert_eq!(self.budget.used(), open, "each connection and each dial holds a slot");
        let dials = sum(&|pool| self.cores[pool].world.dials.lock().unwrap().len());
        let closing = sum(&|pool| self.closing(pool));
        let idle = sum(&|pool| self.cores[pool].with_state(|state, _| state.idle()));
        let is_at_rest = self.away.is_empty() && self.seats.is_empty() && dials + closing == 0;
        assert!(
            !is_at_rest || self.requests.is_empty(),
            "{} wait and nothing is under way; {idle} idle",
            self.requests.len()
        );
        // What is idle elsewhere makes room before anyone waits.
        let in_line = sum(&|pool| usize::from(self.waits_for_slot(pool)));
        let leaving = closing + self.parting();
        let surplus = open.saturating_sub(self.budget.max().unwrap_or(usize::MAX));
        assert!(
            in_line == 0 || idle == 0 || leaving >= in_line + surplus,
            "{idle} idle, {leaving} leaving, {surplus} too many, and {in_line} pools wait for a slot"
        );
    }

    /// Shared connections that have left their pool and bear requests.
    fn parting(&self) -> usize {
        let have_left = self.seats.iter().map(Seat::many).filter(|many| {
            let place = Multiplexed::place(*many).load(Ordering::SeqCst);
            place == Link::NOWHERE
        });
        have_left.map(Many::number).collect::<BTreeSet<_>>().len()
    }

    /// Whether the cap over all pools, and no other, keeps the pool from a dial that it needs.
    fn waits_for_slot(&self, pool: usize) -> bool {
        let core = &self.cores[pool];
        let now = Instant::now();
        let is_held = |request: &&Request| {
            let standing = core.with_state(|state, _| state.standing(request.host, request.id, now));
            matches!(standing, Some(Standing::Cap(Cap::Registry)))
        };
        core.wants_slot()
            && self
                .requests
                .iter()
                .filter(|request| request.pool == pool)
                .any(|request| is_held(&request))
    }
}

/// Whether a request that failed was given what is best for it of what was idle.
pub(super) fn check_beside(outcome: &Outcome<One, Seat>, idle: &[Marks], failed: Failed<'_>, rather: Rather) {
    let is_sound = |marks: &Marks| marks.remote != failed.on.remote && !failed.at.contains(&address(*marks));
    let has_sound = idle.iter().any(is_sound);
    let has_other = idle.iter().any(|marks| marks.is_beside(failed.on));
    match outcome {
        Outcome::Idle(one, _) => {
            assert!(!has_sound || is_sound(&one.marks()), "an idle one leads elsewhere");
            assert!(
                one.marks().is_beside(failed.on) || !has_other,
                "the one that it failed on, beside another"
            );
        }
        Outcome::Place(_) => assert!(!has_sound, "an idle one leads elsewhere"),
        Outcome::Wait(_) => assert!(
            !has_sound && (rather == Rather::New || !has_other),
            "it waits beside an idle one"
        ),
    }
}
