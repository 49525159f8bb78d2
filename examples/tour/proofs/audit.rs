//! Nothing lost while the endpoint is away, and over a restart.

use std::sync::Arc;
use std::time::Duration;

use httputil::PooledClient as _;
use httputil_tests::tcp::ClosedPort;
use indicatif::ProgressBar;
use reqwest::StatusCode;
use services::audit::{AuditEvent, AuditTrail};
use services::command::Failure;
use services::peers::AuditSink;

use crate::proof::{Proof, expect};
use crate::tour::Tour;

/// Before the restart, and as many behind it.
const EVENTS: u64 = 150;

pub(super) async fn prove(tour: &Tour, progress: &ProgressBar) -> Result<Proof, Failure> {
    let spool = tempfile::tempdir()?;
    let port = Arc::new(ClosedPort::new());
    progress.set_length(2 * EVENTS);
    let trail = || -> Result<AuditTrail, Failure> {
        let registry = tour.configuration.registry([
            ("audit.settings.endpoint", format!("http://{}/audit", port.addr())),
            ("audit.settings.spool", spool.path().display().to_string()),
            ("audit.settings.flush_after", "50ms".to_owned()),
        ])?;
        Ok(AuditTrail::with_registry(&registry)?)
    };
    let first = trail()?;
    for number in 0..EVENTS {
        first.record(&event(number)).await?;
        progress.inc(1);
    }
    let left = first.drain(Duration::ZERO).await;
    expect(
        left.delivered == 0 && left.waiting > 0,
        "what an endpoint that is away does not take waits in the spool",
    )?;

    let sink = AuditSink::start_on(Arc::clone(&port)).await;
    sink.answer_next([StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY]);
    let second = trail()?;
    for number in EVENTS..2 * EVENTS {
        second.record(&event(number)).await?;
        progress.inc(1);
    }
    second.drain(Duration::from_secs(10)).await;
    let batches = sink.batches();
    let taken: Vec<AuditEvent> = batches.iter().flatten().cloned().collect();
    let recorded: Vec<AuditEvent> = (0..2 * EVENTS).map(event).collect();
    expect(taken == recorded, "every event was taken once, in order")?;
    let said = format!(
        "{} events of two lives in order and none lost: {} bytes waited on disk while the endpoint was away; {} batches in {} tries",
        taken.len(),
        left.waiting,
        batches.len(),
        sink.tries().len()
    );
    Ok(Proof::new(said, &[first.client().stats(), second.client().stats()]))
}

fn event(number: u64) -> AuditEvent {
    AuditEvent {
        time: format!("2026-01-01T00:00:00.{number:06}Z"),
        user: "ada".to_owned(),
        action: "PutObject".to_owned(),
        resource: format!("photos/{number}.jpg"),
        status: 200,
    }
}
