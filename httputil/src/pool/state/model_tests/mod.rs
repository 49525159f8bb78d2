//! The state machine against a model, over random histories.
//!
//! ```text
//! events ─► World ─► State ─► what it hands out, closes and dials ─► Model: was that right, and is nothing missing?
//! ```
//!
//! The model is no second pool: it keeps plain lists of who waits and what is idle, judges each thing that the state
//! machine did, and looks after each event whether something was left undone. `PROPTEST_CASES` sets how many histories
//! are tried.

mod acts;
mod events;
mod idle;
mod judge;
mod model;
mod renewal;
mod sites;
mod world;

use proptest::prelude::*;
use proptest::test_runner::RngAlgorithm;

use world::World;

fn config() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 600;
    }
    // What it finds becomes a test of its own.
    config.failure_persistence = None;
    // The other is slow where nothing is optimised.
    config.rng_algorithm = RngAlgorithm::XorShift;
    config.max_shrink_iters = 20_000;
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_the_pool_keeps_its_rules(
        setup in events::setup(),
        history in prop::collection::vec(events::event(), 1..150),
    ) {
        let mut world = World::new(&setup);
        for event in history {
            world.happens(event);
        }
        world.ends();
    }
}
