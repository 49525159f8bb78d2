//! What can happen, at random.

use proptest::prelude::*;

use super::super::state::Protocol;

pub(super) type Pick = usize;

/// What a request wants.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish {
    Any,
    Fresh,
    /// Another connection than one that the host has had, at whose address, and perhaps at one more, it has failed.
    Beside {
        on: Pick,
        also_at: u16,
        has_other: bool,
        makes_room: bool,
        rather: Pick,
    },
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    Asks(Pick, Pick, Wish),
    Cancels(Pick),
    /// A dial ends: exclusive or shared, at an address.
    Dialled(Pick, bool, u16),
    /// For reasons of our own, so that nobody has to wait for a backoff.
    DialFails(Pick),
    CheckIn(Pick),
    Breaks(Pick),
    PlaceBack(Pick),
    /// The socket of a connection that has left its pool is gone.
    Closed(Pick),
    /// Somebody has waited for long.
    Presses(Pick),
    CloseIdle(Pick),
    Passes(u64),
    Caps(usize),
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let pick = || 0..64_usize;
    let beside = (pick(), 1..4_u16, any::<bool>(), any::<bool>(), 0..3_usize).prop_map(
        |(on, also_at, has_other, makes_room, rather)| Wish::Beside {
            on,
            also_at,
            has_other,
            makes_room,
            rather,
        },
    );
    let wish = prop_oneof![3 => Just(Wish::Any), 1 => Just(Wish::Fresh), 3 => beside];
    prop_oneof![
        16 => (pick(), pick(), wish).prop_map(|(pool, host, wish)| Event::Asks(pool, host, wish)),
        2 => pick().prop_map(Event::Cancels),
        12 => (pick(), prop::bool::weighted(0.3), 1..4_u16).prop_map(|(dial, shared, at)| Event::Dialled(dial, shared, at)),
        2 => pick().prop_map(Event::DialFails),
        10 => pick().prop_map(Event::CheckIn),
        2 => pick().prop_map(Event::Breaks),
        6 => pick().prop_map(Event::PlaceBack),
        10 => pick().prop_map(Event::Closed),
        4 => pick().prop_map(Event::Presses),
        1 => pick().prop_map(Event::CloseIdle),
        3 => prop::sample::select(vec![1, 400, 1000, 3000]).prop_map(Event::Passes),
        1 => (1..6_usize).prop_map(Event::Caps),
    ]
}

#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) cap: usize,
    /// Of each pool: `max_connections_per_host`, `max_connections`.
    pub(super) pools: Vec<(Option<usize>, Option<usize>)>,
    /// Of each host of each pool.
    pub(super) protocols: Vec<Protocol>,
}

pub(super) fn setup() -> impl Strategy<Value = Setup> {
    let caps = (
        prop::option::weighted(0.3, 1..3_usize),
        prop::option::weighted(0.3, 1..4_usize),
    );
    let protocol = prop::sample::select(vec![Protocol::H1, Protocol::H1, Protocol::Unknown, Protocol::H2]);
    let protocols = prop::collection::vec(protocol, 1..3);
    (1..5_usize, prop::collection::vec(caps, 1..4), protocols).prop_map(|(cap, pools, protocols)| Setup {
        cap,
        pools,
        protocols,
    })
}
