//! How many requests go at once, and how fast.

use std::fmt;
use std::time::Duration;

/// Bounds on what a profile's clients send. All are off by default.
///
/// A request beyond a bound waits for its turn, first come, first served, within its `timeout`; beyond
/// [`queue`](Limit::queue) it fails at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limit {
    /// `limit.max_concurrent`: requests under way, over all hosts, until their answers' bodies have ended. Default none.
    pub max_concurrent: Option<usize>,
    /// `limit.max_concurrent_per_host`: the same of one host. Default none.
    pub max_concurrent_per_host: Option<usize>,
    /// `limit.queue`: how many may wait for each of the other bounds; 0 is nobody. Default `None`, any number.
    pub queue: Option<usize>,
    /// `limit.rate`: requests in a time, over all hosts; each attempt is one. Default none.
    pub rate: Option<Rate>,
    /// `limit.burst`: how many may go at once after a quiet time. Default `None`, as many as `limit.rate` names.
    pub burst: Option<u32>,
}

/// A number of requests in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    requests: u32,
    per: Duration,
}

const WANTED: &str = "expected a rate such as \"50/s\", \"300/m\" or \"1000/h\", of 1 to 1000000 requests";

const UNITS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3600)];

impl Rate {
    /// So many a second; none counts as one, and more than a million as that.
    pub fn per_second(requests: u32) -> Rate {
        Rate::new(requests, 1)
    }

    /// So many a minute; none counts as one, and more than a million as that.
    pub fn per_minute(requests: u32) -> Rate {
        Rate::new(requests, 60)
    }

    /// So many an hour; none counts as one, and more than a million as that.
    pub fn per_hour(requests: u32) -> Rate {
        Rate::new(requests, 3600)
    }

    fn new(requests: u32, seconds: u64) -> Rate {
        Rate {
            requests: requests.clamp(1, 1_000_000),
            per: Duration::from_secs(seconds),
        }
    }

    /// What a text stands for; the error says what would be right.
    pub(crate) fn parse(text: &str) -> Result<Rate, &'static str> {
        let (number, unit) = text.split_once('/').ok_or(WANTED)?;
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(WANTED)?;
        if number.is_empty() || !number.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(WANTED);
        }
        match number.parse() {
            Ok(requests @ 1..=1_000_000) => Ok(Rate::new(requests, *seconds)),
            _ => Err(WANTED),
        }
    }

    /// How many.
    pub fn requests(&self) -> u32 {
        self.requests
    }

    /// The time between two of them.
    pub(crate) fn interval(&self) -> Duration {
        self.per / self.requests
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, seconds)| self.per.as_secs() == *seconds);
        write!(f, "{}/{}", self.requests, unit.map_or("s", |(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_reads_as_it_is_written() {
        for text in ["1/s", "50/s", "300/m", "1000000/h"] {
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Rate::per_minute(30).interval(), Duration::from_secs(2));
        for nonsense in [
            "",
            "50",
            "50/",
            "/s",
            "0/s",
            "-1/s",
            "+1/s",
            "1.5/s",
            "1000001/s",
            "50/sec",
            "50 / s",
        ] {
            assert_eq!(Rate::parse(nonsense), Err(WANTED), "{nonsense}");
        }
    }
}
