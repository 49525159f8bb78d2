//! The phases of a breaker, one step after another, at instants that the tests choose.

use http::StatusCode;

use super::*;

const SETTINGS: settings::Breaker = settings::Breaker {
    enabled: true,
    failure_ratio: 0.8,
    min_requests: 20,
    window: Duration::from_secs(10),
    open_for: Duration::from_secs(5),
    max_open_for: Duration::from_secs(12),
    half_open_requests: 3,
};

fn pass(breaker: &Arc<Breaker>, now: Instant) -> Option<Permit> {
    breaker.permit_at(|| now).ok()
}

fn ends(breaker: &Arc<Breaker>, verdict: Verdict, now: Instant) -> bool {
    let pass = pass(breaker, now).expect("it is let through");
    matches!(pass.ended_at(verdict, now, || 0.0), Change::Opened { .. })
}

fn refused(breaker: &Arc<Breaker>, now: Instant) -> Option<Duration> {
    let refuses_for = breaker.refuses_for(now);
    let open = breaker.permit_at(|| now).err();
    assert_eq!(open.map(|open| open.retry_after()), refuses_for);
    refuses_for
}

fn opened(now: Instant) -> Arc<Breaker> {
    let breaker = Breaker::new_at(SETTINGS, now);
    for _ in 0..19 {
        assert!(!ends(&breaker, Verdict::Failure, now));
    }
    assert!(ends(&breaker, Verdict::Failure, now));
    breaker
}

#[test]
fn it_opens_at_the_ratio_of_enough_requests() {
    let now = Instant::now();
    let breaker = Breaker::new_at(SETTINGS, now);
    for _ in 0..4 {
        assert!(!ends(&breaker, Verdict::Success, now));
    }
    for failures in 1..16 {
        assert!(!ends(&breaker, Verdict::Failure, now), "{failures}");
    }
    assert!(ends(&breaker, Verdict::Failure, now));
    assert_eq!(breaker.state_at(now), BreakerState::Open);
    assert_eq!(
        refused(&breaker, now + Duration::from_secs(2)),
        Some(Duration::from_secs(3))
    );
}

#[test]
fn failures_older_than_the_window_are_forgotten() {
    let now = Instant::now();
    let breaker = Breaker::new_at(SETTINGS, now);
    for second in 0..40 {
        assert!(!ends(&breaker, Verdict::Failure, now + Duration::from_secs(second)));
    }
    assert_eq!(breaker.state_at(now + Duration::from_secs(40)), BreakerState::Closed);
}

#[test]
fn enough_probes_close_it_and_no_more_are_let_through() {
    let now = Instant::now();
    let breaker = opened(now);
    let later = now + Duration::from_secs(5);
    let probes: Vec<Permit> = (0..3).map(|_| pass(&breaker, later).unwrap()).collect();
    assert_eq!(refused(&breaker, later), Some(Duration::from_secs(1)));
    assert_eq!(breaker.state_at(later), BreakerState::HalfOpen);
    for probe in probes {
        let _ = probe.ended_at(Verdict::Success, later, || 0.0);
    }
    assert_eq!(breaker.state_at(later), BreakerState::Closed);
    assert!(!ends(&breaker, Verdict::Failure, later));
}

#[test]
fn a_failed_probe_opens_it_for_twice_as_long_up_to_the_cap() {
    let mut now = Instant::now();
    let breaker = opened(now);
    for open_for in [5, 10, 12, 12].map(Duration::from_secs) {
        assert_eq!(refused(&breaker, now), Some(open_for));
        now += open_for;
        assert!(ends(&breaker, Verdict::Failure, now));
    }
    now += SETTINGS.max_open_for;
    let probes: Vec<Permit> = (0..3).map(|_| pass(&breaker, now).unwrap()).collect();
    for probe in probes {
        let _ = probe.ended_at(Verdict::Success, now, || 0.0);
    }
    // Recovered: the next opening is a first one again.
    for _ in 0..20 {
        ends(&breaker, Verdict::Failure, now);
    }
    assert_eq!(refused(&breaker, now), Some(Duration::from_secs(5)));
}

#[test]
fn a_cancelled_probe_leaves_its_place_to_another() {
    let now = Instant::now();
    let breaker = opened(now);
    let later = now + Duration::from_secs(5);
    for _ in 0..50 {
        drop(pass(&breaker, later).expect("the last one's place is free"));
    }
    for _ in 0..3 {
        ends(&breaker, Verdict::Success, later);
    }
    assert_eq!(breaker.state_at(later), BreakerState::Closed);
}

#[test]
fn a_request_of_an_earlier_phase_says_nothing() {
    let now = Instant::now();
    let breaker = Breaker::new_at(SETTINGS, now);
    let early = [Verdict::Success, Verdict::Success, Verdict::Success, Verdict::Failure];
    let early = early.map(|verdict| (pass(&breaker, now).unwrap(), verdict));
    for _ in 0..20 {
        ends(&breaker, Verdict::Failure, now);
    }
    let later = now + Duration::from_secs(5);
    let probe = pass(&breaker, later).unwrap();
    for (pass, verdict) in early {
        assert_eq!(pass.ended_at(verdict, later, || 0.0), Change::Nothing);
    }
    // Nor did they take the places of probes, or give any back.
    let others = [pass(&breaker, later).unwrap(), pass(&breaker, later).unwrap()];
    assert!(refused(&breaker, later).is_some());
    assert_eq!(probe.ended_at(Verdict::Success, later, || 0.0), Change::Nothing);
    let ended = others.map(|probe| probe.ended_at(Verdict::Success, later, || 0.0));
    assert_eq!(ended, [Change::Nothing, Change::Closed]);
}

#[test]
fn people_can_force_it_either_way_and_let_go() {
    let now = Instant::now();
    let breaker = Breaker::new_at(SETTINGS, now);
    breaker.force_open();
    assert_eq!(refused(&breaker, now), Some(SETTINGS.open_for));
    breaker.force_close();
    for _ in 0..50 {
        assert!(!ends(&breaker, Verdict::Failure, now));
    }
    breaker.reset();
    assert_eq!(breaker.state_at(now), BreakerState::Closed);
    assert!(!breaker.rests_at(now));
    assert!(breaker.rests_at(now + Duration::from_secs(11)));
}

#[test]
fn settings_out_of_all_bounds_do_not_overflow() {
    let now = Instant::now();
    let endless = settings::Breaker {
        min_requests: 1,
        window: Duration::MAX,
        open_for: Duration::MAX,
        max_open_for: Duration::MAX,
        ..SETTINGS
    };
    let breaker = Breaker::new_at(endless, now);
    assert!(ends(&breaker, Verdict::Failure, now));
    assert!(refused(&breaker, now).is_some());
}

#[test]
fn a_probe_that_never_ends_gives_way_to_another() {
    let now = Instant::now();
    let breaker = opened(now);
    let later = now + Duration::from_secs(5);
    let hung: Vec<Permit> = (0..3).map(|_| pass(&breaker, later).unwrap()).collect();
    assert!(refused(&breaker, later + Duration::from_millis(4999)).is_some());
    let much_later = later + Duration::from_secs(5);
    for _ in 0..3 {
        assert!(!ends(&breaker, Verdict::Success, much_later));
    }
    assert_eq!(breaker.state_at(much_later), BreakerState::Closed);
    for probe in hung {
        assert_eq!(probe.ended_at(Verdict::Failure, much_later, || 0.0), Change::Nothing);
    }
}

#[test]
fn chance_spreads_those_that_open_together_and_only_shortens() {
    let now = Instant::now();
    for (chance, millis) in [(0.0, 5000), (0.5, 4750), (1.0, 4500)] {
        let once = settings::Breaker {
            min_requests: 1,
            ..SETTINGS
        };
        let breaker = Breaker::new_at(once, now);
        let open_for = Duration::from_millis(millis);
        let change = pass(&breaker, now).unwrap().ended_at(Verdict::Failure, now, || chance);
        assert_eq!(change, Change::Opened { open_for });
        assert_eq!(refused(&breaker, now), Some(open_for));
    }
}

#[test]
fn the_first_probe_and_the_last_success_are_told_of() {
    let now = Instant::now();
    let breaker = opened(now);
    let later = now + Duration::from_secs(5);
    let told: Vec<(bool, Change)> = (0..3)
        .map(|_| {
            let permit = pass(&breaker, later).expect("it is let through");
            (
                permit.is_first_probe(),
                permit.ended_at(Verdict::Success, later, || 0.0),
            )
        })
        .collect();
    let nothing = Change::Nothing;
    assert_eq!(told, [(true, nothing), (false, nothing), (false, Change::Closed)]);
}

#[test]
fn an_open_breaker_that_nobody_asks_is_forgotten_in_the_end() {
    let now = Instant::now();
    let breaker = opened(now);
    assert!(!breaker.rests_at(now + Duration::from_secs(17)));
    assert!(breaker.rests_at(now + Duration::from_secs(18)));
    breaker.force_open();
    assert!(!breaker.rests_at(now + Duration::from_hours(1)));
}

#[test]
fn threads_that_fail_and_recover_at_once_leave_no_probe_behind() {
    let quick = settings::Breaker {
        min_requests: 2,
        open_for: Duration::from_nanos(1),
        max_open_for: Duration::from_nanos(1),
        ..SETTINGS
    };
    let breaker = Breaker::new_at(quick, Instant::now());
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let breaker = &breaker;
            scope.spawn(move || {
                for number in 0..20_000_u32 {
                    if let Ok(permit) = breaker.permit_at(Instant::now) {
                        let verdict = match (number / 7 + thread) % 3 {
                            0 => Verdict::Success,
                            1 => Verdict::Failure,
                            _ => continue,
                        };
                        let _ = permit.ended_at(verdict, Instant::now(), || 0.0);
                    }
                }
            });
        }
    });
    match &breaker.lock().phase {
        Phase::HalfOpen { under_way, .. } => assert_eq!(*under_way, 0),
        Phase::Closed(_) | Phase::Open { .. } => {}
    }
}

#[test]
fn a_success_that_is_taken_back_is_a_failure_and_no_second_request() {
    let now = Instant::now();
    let breaker = Breaker::new_at(SETTINGS, now);
    let answered = |now: Instant| {
        let pass = pass(&breaker, now).expect("it is let through");
        let success = pass.success();
        assert_eq!(pass.ended_at(Verdict::Success, now, || 0.0), Change::Nothing);
        success
    };
    let all: Vec<Success> = (0..20).map(|_| answered(now)).collect();
    // Four of five.
    for success in &all[..15] {
        assert_eq!(breaker.take_back_at(*success, now, || 0.0), Change::Nothing);
    }
    let open_for = SETTINGS.open_for;
    assert_eq!(breaker.take_back_at(all[15], now, || 0.0), Change::Opened { open_for });

    // A probe's, while others are awaited; and one of an earlier phase says nothing.
    let later = now + SETTINGS.open_for;
    let probe = answered(later);
    assert_eq!(breaker.take_back_at(all[16], later, || 0.0), Change::Nothing);
    let open_for = open_for * 2;
    assert_eq!(breaker.take_back_at(probe, later, || 0.0), Change::Opened { open_for });
    assert_eq!(breaker.take_back_at(probe, later, || 0.0), Change::Nothing);
}

#[test]
fn who_is_refused_hears_why_and_when_to_come_back() {
    let now = Instant::now();
    let breaker = Breaker::new_at(SETTINGS, now);
    breaker.force_open();
    let open = breaker.permit().unwrap_err();
    assert!(open.is_by_hand() && open.retry_after() > Duration::ZERO);
    assert_eq!(open.to_string(), "not asked: the breaker was opened by hand");
    breaker.reset();
    assert!(breaker.permit().is_ok());
    let breaker = opened(now);
    let open = breaker.permit_at(|| now).unwrap_err();
    assert!(!open.is_by_hand());
    assert!(open.to_string().ends_with("it lets one through in 5 s"), "{open}");
    breaker.force_close();
    assert!(breaker.permit().is_ok() && breaker.state() == BreakerState::Closed);
}

#[test]
fn an_answer_s_status_is_the_host_s_failure_or_shows_that_it_is_well() {
    let of = |status| Verdict::of_status(StatusCode::from_u16(status).unwrap());
    for status in [200, 301, 404, 425, 429, 500, 501] {
        assert_eq!(of(status), Verdict::Success, "{status}");
    }
    for status in [502, 503, 504] {
        assert_eq!(of(status), Verdict::Failure, "{status}");
    }
}

#[test]
fn a_failure_is_the_host_s_if_it_had_the_greater_part_of_the_time() {
    use crate::error::{Kind, Phase};

    let (began, second) = (Instant::now(), Duration::from_secs(1));
    let of = |kind, sent: Option<u32>| {
        let sent = sent.map(|seconds| began + second * seconds);
        Verdict::of_failure(kind, began, sent, began + 10 * second)
    };
    let timeout = |phase| Kind::Timeout { phase, after: second };
    for kind in [
        Kind::Connection,
        Kind::Connect,
        Kind::Tls,
        timeout(Phase::Connect),
        timeout(Phase::TlsHandshake),
    ] {
        assert_eq!(of(kind, None), Some(Verdict::Failure), "{kind:?}");
    }
    for kind in [
        Kind::Dns,
        Kind::Proxy,
        Kind::Egress,
        Kind::Request,
        timeout(Phase::PoolWait),
        timeout(Phase::Turn),
    ] {
        assert_eq!(of(kind, Some(0)), None, "{kind:?}");
    }
    for (sent, verdict) in [
        (None, None),
        (Some(0), Some(Verdict::Failure)),
        (Some(5), Some(Verdict::Failure)),
        (Some(6), None),
    ] {
        assert_eq!(of(timeout(Phase::ResponseHeader), sent), verdict, "{sent:?}");
    }
}
