//! `Retry-After` (RFC 9110 §10.2.3): when the server wants to be asked again.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//!
//! use http::header::{DATE, HeaderMap, RETRY_AFTER};
//! use httputil::policy::retry_after;
//!
//! let mut headers = HeaderMap::new();
//! headers.insert(RETRY_AFTER, "120".parse()?);
//! assert_eq!(retry_after::pause(&headers, SystemTime::now()), Some(Duration::from_secs(120)));
//!
//! headers.insert(RETRY_AFTER, "Fri, 31 Dec 1999 23:59:59 GMT".parse()?);
//! headers.insert(DATE, "Fri, 31 Dec 1999 23:59:50 GMT".parse()?);
//! assert_eq!(retry_after::pause(&headers, SystemTime::now()), Some(Duration::from_secs(9)));
//! # Ok::<(), http::header::InvalidHeaderValue>(())
//! ```

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// The pause that an answer with these headers asks for; `None` if it asks for none, or in words that nobody understands.
///
/// Both forms are read, seconds and a date. A number of seconds that is too large for a [`Duration`] is the largest. A date is
/// read against the answer's own `Date`, so that a clock that is wrong here, or jumps, changes nothing; without one, against
/// `now`. A date that is over asks for no pause at all.
pub fn pause(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a very long time.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let date = headers
        .get(DATE)
        .and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    Some(until.duration_since(date.unwrap_or(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(retry_after: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        let now = httpdate::parse_http_date("Fri, 31 Dec 1999 23:59:00 GMT").unwrap();
        pause(&headers, now)
    }

    #[test]
    fn both_forms_are_read() {
        assert_eq!(of("120", None), Some(Duration::from_mins(2)));
        assert_eq!(of(" 0 ", None), Some(Duration::ZERO));
        assert_eq!(of("Fri, 31 Dec 1999 23:59:59 GMT", None), Some(Duration::from_secs(59)));
    }

    #[test]
    fn a_date_is_read_against_the_answers_own() {
        let date = Some("Fri, 31 Dec 1999 23:59:50 GMT");
        assert_eq!(of("Fri, 31 Dec 1999 23:59:59 GMT", date), Some(Duration::from_secs(9)));
        assert_eq!(of("Fri, 31 Dec 1999 23:59:49 GMT", date), Some(Duration::ZERO));
    }

    #[test]
    fn nonsense_asks_for_nothing_and_nothing_overflows() {
        for nonsense in ["", "-1", "soon", "1.5", "1e9", "Fri, 99 Foo 1999 00:00:00 GMT"] {
            assert_eq!(of(nonsense, None), None, "{nonsense}");
        }
        assert_eq!(of("99999999999999999999999", None), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(pause(&HeaderMap::new(), SystemTime::now()), None);
    }
}
