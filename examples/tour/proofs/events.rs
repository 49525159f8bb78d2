//! Webhooks that are told, signed, beside one that is dead.

use std::time::{Duration, SystemTime};

use httputil::PooledClient as _;
use httputil_tests::tcp::ClosedPort;
use indicatif::ProgressBar;
use reqwest::StatusCode;
use services::command::Failure;
use services::events::{EventWebhooks, ObjectEvent};
use services::peers::Webhook;

use crate::proof::{Proof, expect};
use crate::tour::{Tour, until};

const EVENTS: u64 = 200;

pub(super) async fn prove(tour: &Tour, progress: &ProgressBar) -> Result<Proof, Failure> {
    let well = Webhook::start(Some("one key".into()), StatusCode::OK).await;
    let busy = Webhook::start(Some("another key".into()), StatusCode::OK).await;
    busy.answer_next([StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY]);
    let dead = ClosedPort::new();
    let targets = format!(
        "[{{ name = \"well\", url = \"{}\", signing_key = \"one key\" }}, \
          {{ name = \"busy\", url = \"{}\", signing_key = \"another key\" }}, \
          {{ name = \"dead\", url = \"http://{}/\", signing_key = \"a key\" }}]",
        well.url(),
        busy.url(),
        dead.addr()
    );
    let registry = tour.configuration.registry([("events.settings.targets", targets)])?;
    let webhooks = EventWebhooks::with_registry(&registry)?;
    progress.set_length(2 * EVENTS);
    for number in 0..EVENTS {
        let refused = webhooks.publish(&event(number));
        expect(refused.is_empty(), "every queue has room")?;
    }
    let delivered = |name: &str| {
        let stats = webhooks.stats();
        stats
            .iter()
            .find(|(target, _)| *target == name)
            .map_or(0, |(_, told)| told.delivered)
    };
    let all = until(|| {
        progress.set_position(delivered("well") + delivered("busy"));
        delivered("well") == EVENTS && delivered("busy") == EVENTS
    });
    all.await
        .ok_or("not so: both targets that are there have every event, whatever the dead one does")?;
    expect(
        // Those with a bad signature are refused, and are none of these.
        [&well, &busy]
            .iter()
            .all(|target| target.deliveries().len() as u64 == EVENTS),
        "each event bore the signature that its target verified",
    )?;
    let told = webhooks.drain(Duration::ZERO).await;
    let given_up = told
        .iter()
        .find(|(name, _)| *name == "dead")
        .map_or(0, |(_, told)| told.failed);
    expect(given_up == EVENTS, "what the dead target did not take is accounted for")?;
    let pool = webhooks.client().stats();
    let said = format!(
        "{} deliveries to two targets, each signature verified there, {} made again; a dead third held nobody up, and its \
         {given_up} are told as given up",
        well.deliveries().len() + busy.deliveries().len(),
        pool.retries,
    );
    Ok(Proof::new(said, &[pool]))
}

fn event(number: u64) -> ObjectEvent {
    ObjectEvent {
        name: "ObjectCreated:Put".to_owned(),
        region: "eu-central-1".to_owned(),
        bucket: "photos".to_owned(),
        key: format!("a trip/{number}.jpg"),
        size: 1024 * (1 + number),
        e_tag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        sequencer: number,
        time: SystemTime::now(),
    }
}
