//! What was proven, in a line and in a row.

use std::fmt::Write as _;
use std::time::Duration;

use httputil::PoolStats;
use services::command::Failure;

/// What a service has shown.
pub(crate) struct Proof {
    /// What is so, with the figures of this run.
    pub(crate) said: String,
    requests: u64,
    dialled: u64,
    retries: u64,
}

impl Proof {
    /// By these pools; each has served one service.
    pub(crate) fn new<'a>(said: String, pools: impl IntoIterator<Item = &'a PoolStats>) -> Proof {
        let mut proof = Proof {
            said,
            requests: 0,
            dialled: 0,
            retries: 0,
        };
        for pool in pools {
            proof.requests += pool.requests;
            proof.dialled += pool.dialled;
            proof.retries += pool.retries;
        }
        proof
    }
}

/// What came of showing one.
pub(crate) struct Shown {
    pub(crate) service: &'static str,
    pub(crate) took: Duration,
    pub(crate) outcome: Result<Proof, Failure>,
}

impl Shown {
    /// The service in a line.
    pub(crate) fn line(&self) -> String {
        match &self.outcome {
            Ok(proof) => format!("  {:<14} {}", self.service, proof.said),
            Err(error) => format!("  {:<14} NOT PROVEN: {error}", self.service),
        }
    }
}

/// All of them, a row each.
pub(crate) fn table(shown: &[Shown]) -> String {
    let mut table = String::from("  service        proven  requests  connections  retries      took\n");
    table.push_str("  -----------------------------------------------------------------\n");
    for shown in shown {
        let (service, took) = (shown.service, format!("{:.2} s", shown.took.as_secs_f64()));
        let _ = match &shown.outcome {
            Ok(proof) => writeln!(
                table,
                "  {service:<14} yes     {:>8}  {:>11}  {:>7}  {took:>8}",
                proof.requests, proof.dialled, proof.retries
            ),
            Err(_) => writeln!(
                table,
                "  {service:<14} NO      {:>8}  {:>11}  {:>7}  {took:>8}",
                "-", "-", "-"
            ),
        };
    }
    table
}

/// Fails with what is not so.
pub(crate) fn expect(holds: bool, what: &str) -> Result<(), Failure> {
    if holds {
        Ok(())
    } else {
        Err(format!("not so: {what}").into())
    }
}
