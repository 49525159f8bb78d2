//! What keeps retries from becoming a storm: each request to a host pays in a part of a retry, each retry takes a whole
//! one out. tower's token bucket, as it is.

use std::time::Duration;

use tower::retry::budget::{Budget as _, TpsBudget};

/// Over how long what was paid in may be used.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// The budget of one host.
#[derive(Debug)]
pub(crate) struct Budget(TpsBudget);

impl Budget {
    /// `ratio` is retries for each request (`retry.budget.ratio`), beside `min_per_second` that are free.
    pub(crate) fn new(ratio: f64, min_per_second: u32) -> Budget {
        // The bucket holds the reserve of its whole time at once.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the configuration bounds it to 0 to 1000"
        )]
        Budget(TpsBudget::new(KEPT_FOR, min_per_second, ratio as f32))
    }

    /// A request that is no retry.
    pub(crate) fn deposit(&self) {
        self.0.deposit();
    }

    /// Whether one retry may be made; it is paid for then.
    pub(crate) fn withdraw(&self) -> bool {
        self.0.withdraw()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_part_of_the_requests_beside_the_reserve() {
        let budget = Budget::new(0.1, 1);
        let spend = || (0..1000).filter(|_| budget.withdraw()).count();
        assert_eq!(spend(), 10);
        (0..200).for_each(|_| budget.deposit());
        assert_eq!(spend(), 20);
        assert_eq!(spend(), 0);
    }
}
