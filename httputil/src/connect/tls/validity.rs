//! The time in which a certificate counts.

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

/// Why a certificate does not count now, in words; `None` if it does, or if its dates cannot be read.
pub(super) fn fault(certificate: &CertificateDer<'_>, now: UnixTime) -> Option<String> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    // The dates are looked at first; without a root to lead to, the rest of the check fails in any case.
    let checked = certificate.verify_for_usage(&[], &[], &[], now, KeyUsage::client_auth(), None, None);
    match checked.err()? {
        webpki::Error::CertExpired { not_after, .. } => Some(format!("expired on {}", date(not_after))),
        webpki::Error::CertNotValidYet { not_before, .. } => Some(format!("is not valid before {}", date(not_before))),
        _ => None,
    }
}

/// A day as `2026-11-25`, in UTC.
pub(super) fn date(time: UnixTime) -> String {
    // Days since 0000-03-01, in eras of 400 years, so that the leap day is a year's last (Hinnant, "civil_from_days").
    let days = time.as_secs() / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_certificate_counts_from_its_first_to_its_last_day() {
        let mut params = rcgen::CertificateParams::new(["us".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 2, 3);
        params.not_after = rcgen::date_time_ymd(2021, 4, 5);
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let on = |days: u64| {
            fault(
                certificate.der(),
                UnixTime::since_unix_epoch(Duration::from_hours(days * 24)),
            )
        };
        assert_eq!(on(18_294).as_deref(), Some("is not valid before 2020-02-03"));
        assert_eq!(on(18_295), None);
        assert_eq!(on(18_721), None);
        assert_eq!(on(18_723).as_deref(), Some("expired on 2021-04-05"));
        assert_eq!(fault(&CertificateDer::from(&b"garbage"[..]), UnixTime::now()), None);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (978_307_199, "2000-12-31"),
            (1_772_236_800, "2026-02-28"),
            (1_772_323_200, "2026-03-01"),
            (4_107_456_000, "2100-02-28"),
            (4_107_542_400, "2100-03-01"),
            (253_402_300_799, "9999-12-31"),
        ] {
            assert_eq!(date(UnixTime::since_unix_epoch(Duration::from_secs(seconds))), expected);
        }
        // A peer's number, however large, is a day.
        assert!(!date(UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX))).is_empty());
    }
}
