//! What can happen to a pool, and how pools are set up.

use std::time::Duration;

use proptest::prelude::*;

use super::super::Protocol;
use crate::settings;

/// Picks one of what there is, whatever there is.
pub(super) type Pick = usize;

#[derive(Clone, Debug)]
pub(super) enum Event {
    Checkout {
        host: Pick,
        seconds: Option<u64>,
        fresh: bool,
    },
    /// A request that was served asks again.
    Again {
        request: Pick,
        fresh: bool,
    },
    Cancel(Pick),
    /// The request has gone, and has not said so yet.
    Vanish(Pick),
    DialledExclusive {
        dial: Pick,
        expires: Option<u64>,
        may_idle_for: Option<u64>,
    },
    DialledShared {
        dial: Pick,
        limit: usize,
    },
    DialFails {
        dial: Pick,
        is_ours: bool,
    },
    /// A dial is in its TLS handshake from now on.
    GetsOn(Pick),
    /// For this host, or for another pool's; whether none of its dials has given way of late.
    GiveWay(Option<Pick>, bool),
    MakeRoom,
    /// The next connection whose request ends is to make room for this host.
    Reclaim(Pick),
    CheckIn(Pick),
    /// Its request had gone when it was delivered.
    Return(Pick),
    Settle(Pick),
    Settled(Pick),
    Unsettled(Pick),
    /// A connection in use ends.
    Breaks(Pick),
    PlaceBack(Pick),
    Limit(Pick, usize),
    Choke(Pick, bool),
    PeerCloses(Pick),
    /// The socket of a connection that has left the pool is gone.
    Closed(Pick),
    CloseIdle,
    LeaseTaken,
    LeaseBack,
    Passes(u64),
    Reap,
    Suspect(Pick, u64),
    /// The resolver names these of four addresses from now on; whether a look-up in the background sees it at once.
    Named(Pick, u8, bool),
    /// A dial has learnt where the name leads.
    Routed(Pick),
    Http1Required(Pick),
    Renew(Renewal),
    /// A dial of earlier settings ends, as it was told to.
    Stopped(Pick),
}

/// Other settings come into force.
#[derive(Clone, Debug)]
pub(super) struct Renewal {
    pub(super) max_connections_per_host: Option<usize>,
    pub(super) max_connections: Option<usize>,
    /// `dns.balance` is the other one from now on.
    pub(super) flips: bool,
    /// The bits of hosts that have another way, so that those who wait ask again; which is the same once more.
    pub(super) moved: u8,
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let pick = || 0..64_usize;
    let rarely = |seconds: std::ops::Range<u64>| prop_oneof![3 => Just(None), 1 => seconds.prop_map(Some)];
    prop_oneof![
        16 => (pick(), rarely(0..8), prop::bool::weighted(0.15))
            .prop_map(|(host, seconds, fresh)| Event::Checkout { host, seconds, fresh }),
        4 => (pick(), prop::bool::weighted(0.3)).prop_map(|(request, fresh)| Event::Again { request, fresh }),
        3 => pick().prop_map(Event::Cancel),
        1 => pick().prop_map(Event::Vanish),
        8 => (pick(), rarely(1..20), rarely(0..20))
            .prop_map(|(dial, expires, may_idle_for)| Event::DialledExclusive { dial, expires, may_idle_for }),
        5 => (pick(), 0..8_usize).prop_map(|(dial, limit)| Event::DialledShared { dial, limit }),
        3 => (pick(), prop::bool::weighted(0.3)).prop_map(|(dial, is_ours)| Event::DialFails { dial, is_ours }),
        2 => pick().prop_map(Event::GetsOn),
        3 => (prop::option::of(pick()), any::<bool>()).prop_map(|(to, is_newcomer)| Event::GiveWay(to, is_newcomer)),
        1 => Just(Event::MakeRoom),
        2 => pick().prop_map(Event::Reclaim),
        10 => pick().prop_map(Event::CheckIn),
        2 => pick().prop_map(Event::Return),
        4 => pick().prop_map(Event::Settle),
        4 => pick().prop_map(Event::Settled),
        1 => pick().prop_map(Event::Unsettled),
        2 => pick().prop_map(Event::Breaks),
        7 => pick().prop_map(Event::PlaceBack),
        2 => (pick(), 0..6_usize).prop_map(|(many, limit)| Event::Limit(many, limit)),
        2 => (pick(), any::<bool>()).prop_map(|(many, is_choked)| Event::Choke(many, is_choked)),
        2 => pick().prop_map(Event::PeerCloses),
        8 => pick().prop_map(Event::Closed),
        1 => Just(Event::CloseIdle),
        1 => Just(Event::LeaseTaken),
        1 => Just(Event::LeaseBack),
        5 => prop::sample::select(vec![1, 30, 60, 400, 1000, 3000, 7000, 60_000]).prop_map(Event::Passes),
        3 => Just(Event::Reap),
        1 => (pick(), 0..5000_u64).prop_map(|(host, ago)| Event::Suspect(host, ago)),
        1 => pick().prop_map(Event::Http1Required),
        3 => (pick(), 1..16_u8, any::<bool>()).prop_map(|(host, named, is_seen)| Event::Named(host, named, is_seen)),
        4 => pick().prop_map(Event::Routed),
        2 => renewal().prop_map(Event::Renew),
        2 => pick().prop_map(Event::Stopped),
    ]
}

fn renewal() -> impl Strategy<Value = Renewal> {
    let caps = (prop::option::of(1..4_usize), prop::option::of(1..6_usize));
    let moved = prop_oneof![1 => Just(0), 1 => 0..8_u8];
    (caps, prop::bool::weighted(0.4), moved).prop_map(|((max_connections_per_host, max_connections), flips, moved)| {
        Renewal {
            max_connections_per_host,
            max_connections,
            flips,
            moved,
        }
    })
}

#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) pool: settings::Pool,
    pub(super) max_shared_per_host: usize,
    pub(super) hosts: Vec<Protocol>,
    pub(super) spreads: bool,
}

pub(super) fn setup() -> impl Strategy<Value = Setup> {
    let protocol = prop_oneof![
        2 => Just(Protocol::H1),
        1 => Just(Protocol::Unknown),
        1 => Just(Protocol::H2),
    ];
    (
        (
            prop_oneof![9 => 1..5_usize, 1 => Just(0)],
            prop_oneof![9 => 1..4_usize, 1 => Just(0)],
        ),
        (prop::option::of(1..4_usize), prop::option::of(1..6_usize)),
        (prop_oneof![3 => Just(0), 1 => 1..4_usize], prop::bool::weighted(0.9)),
        1..3_usize,
        prop::collection::vec(protocol, 1..4),
        prop::bool::weighted(0.4),
    )
        .prop_map(
            |(idle, caps, (least, reuse), max_shared_per_host, hosts, spreads)| Setup {
                pool: settings::Pool {
                    max_idle: idle.0,
                    max_idle_per_host: idle.1,
                    max_connections_per_host: caps.0,
                    max_connections: caps.1,
                    min_idle_per_host: least,
                    reuse,
                    idle_timeout: Duration::from_secs(10),
                    ..settings::Pool::default()
                },
                max_shared_per_host,
                hosts,
                spreads,
            },
        )
}
