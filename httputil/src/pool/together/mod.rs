//! Pools that share `registry.max_connections`, and requests that want another connection, over random histories.
//!
//! Where `state/model_tests` judges one state machine step by step, here several of them run behind their locks with what
//! is done after the lock, the cap over all of them included. Nobody waits for a clock or a thread: what a pool asks of
//! the world lies in a list until an event picks it. After each event it is asked whether somebody waits in vain, whether
//! the cap holds, and whether room was made for nobody. `PROPTEST_CASES` sets how many histories are tried.

mod events;
mod judge;
mod registry;

use proptest::prelude::*;

use events::{event, setup};
use registry::Registry;

fn config() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 300;
    }
    config.failure_persistence = None;
    config.rng_algorithm = proptest::test_runner::RngAlgorithm::XorShift;
    config.max_shrink_iters = 20_000;
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_pools_share_their_cap_and_nobody_waits_in_vain(
        setup in setup(),
        history in prop::collection::vec(event(), 1..120),
    ) {
        let mut registry = Registry::new(&setup);
        for event in &history {
            registry.happens(event);
        }
        registry.ends();
    }
}
