//! Durations as people read them.

use std::fmt;
use std::time::Duration;

/// Shows a duration in its largest whole unit: `10 s`, `250 ms`, `90 s`, `1.5 s`.
pub(crate) struct Human(pub(crate) Duration);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duration = self.0;
        if duration.as_secs() > 0 {
            let millis = duration.subsec_millis();
            if millis == 0 {
                write!(f, "{} s", duration.as_secs())
            } else {
                let digits = format!("{millis:03}");
                write!(f, "{}.{} s", duration.as_secs(), digits.trim_end_matches('0'))
            }
        } else if duration.as_millis() > 0 {
            write!(f, "{} ms", duration.as_millis())
        } else {
            write!(f, "{} µs", duration.as_micros())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_in_their_largest_whole_unit() {
        let shown = |millis| Human(Duration::from_millis(millis)).to_string();
        assert_eq!(shown(10_000), "10 s");
        assert_eq!(shown(1_500), "1.5 s");
        assert_eq!(shown(1_050), "1.05 s");
        assert_eq!(shown(250), "250 ms");
        assert_eq!(Human(Duration::from_micros(40)).to_string(), "40 µs");
    }
}
