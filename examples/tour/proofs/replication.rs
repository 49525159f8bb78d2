//! Objects to two regions, while a third is dead.

use std::time::Duration;

use httputil::PooledClient as _;
use httputil_tests::tcp::ClosedPort;
use indicatif::ProgressBar;
use reqwest::StatusCode;
use services::command::Failure;
use services::peers::{Content, S3Peer};
use services::replication::{Change, LaneStats, Replication};

use crate::proof::{Proof, expect};
use crate::tour::{Tour, until};

const OBJECTS: u64 = 60;

pub(super) async fn prove(tour: &Tour, progress: &ProgressBar) -> Result<Proof, Failure> {
    let from = S3Peer::start().await;
    let (ireland, oregon) = (S3Peer::start_in("eu-west-1").await, S3Peer::start_in("us-west-2").await);
    let dead = ClosedPort::new();
    ireland.answer_next([StatusCode::SERVICE_UNAVAILABLE; 5]);
    let region = |name: &str, peer: &S3Peer, endpoint: String| {
        let at = peer.location("photos");
        format!(
            "{{ name = \"{name}\", at = {{ endpoint = \"{endpoint}\", region = \"{}\", bucket = \"photos\", access_key = \"{}\", \
             secret_key = \"{}\" }} }}",
            at.region,
            at.access_key,
            at.secret_key.expose()
        )
    };
    let regions = [
        region("ireland", &ireland, ireland.server.url("")),
        region("oregon", &oregon, oregon.server.url("")),
        region("nowhere", &oregon, format!("http://{}", dead.addr())),
    ];
    let mut own = from.settings("replication.settings.from", "photos");
    own.push((
        "replication.settings.regions".to_owned(),
        format!("[{}]", regions.join(", ")),
    ));
    let registry = tour.configuration.registry(own)?;
    let replication = Replication::with_registry(&registry)?;
    progress.set_length(2 * OBJECTS);
    for number in 0..OBJECTS {
        let key = format!("trip/{number}.jpg");
        from.put(
            "photos",
            &key,
            Content::Made(64 << 10),
            [("content-type", "image/jpeg")],
        );
        expect(
            replication.publish(&Change::Put(key)).is_empty(),
            "every queue has room",
        )?;
    }
    let told = |name: &str| -> LaneStats {
        let stats = replication.stats();
        stats
            .iter()
            .find(|(region, _)| *region == name)
            .map(|(_, told)| *told)
            .unwrap_or_default()
    };
    let there = until(|| {
        progress.set_position(told("ireland").replicated + told("oregon").replicated);
        told("ireland").replicated == OBJECTS && told("oregon").replicated == OBJECTS
    });
    there
        .await
        .ok_or("not so: both regions that are there have every object, whatever the dead one does")?;
    for peer in [&ireland, &oregon] {
        for key in from.keys("photos") {
            let digest = |peer: &S3Peer| peer.object("photos", &key).map(|(content, _)| content.sha256());
            expect(digest(&from) == digest(peer), "every byte is there, as it was")?;
        }
        let is_replica = peer.asked().iter().all(|asked| {
            asked
                .headers
                .get("x-amz-replication-status")
                .is_some_and(|status| status == "REPLICA")
        });
        expect(is_replica, "each is told as a replica")?;
    }
    let waits = told("nowhere");
    expect(waits.waiting == OBJECTS, "what the dead region has not taken waits")?;
    let lag = waits.lag.unwrap_or_default();
    let pool = replication.client().stats();
    replication.drain(Duration::ZERO).await;
    let said = format!(
        "{} objects in each of two regions, signed for it and compared by SHA-256, one of them busy at first ({} retries); a dead \
         third holds nobody up: {} wait for it, the oldest for {:.1} s",
        OBJECTS,
        pool.retries,
        waits.waiting,
        lag.as_secs_f64()
    );
    Ok(Proof::new(said, &[pool]))
}
