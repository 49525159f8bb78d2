//! A bucket that comes over whole, though transfers break.

use std::time::Duration;

use httputil::PooledClient as _;
use indicatif::ProgressBar;
use reqwest::StatusCode;
use services::command::Failure;
use services::peers::{Content, S3Peer};
use services::s3_migration::BucketMigration;

use crate::proof::{Proof, expect};
use crate::tour::Tour;

const OBJECTS: u64 = 200;
const LARGE: &str = "films/a long one.mp4";

pub(super) async fn prove(tour: &Tour, progress: &ProgressBar) -> Result<Proof, Failure> {
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    for number in 0..OBJECTS {
        let key = format!("photos/a b//{number}.jpg");
        from.put("old", &key, Content::Made(64 << 10), [("content-type", "image/jpeg")]);
    }
    from.put("old", LARGE, Content::Made(12 << 20), []);
    from.break_next([10_000, 50_000]);
    to.answer_next([StatusCode::SERVICE_UNAVAILABLE, StatusCode::INTERNAL_SERVER_ERROR]);
    let folder = tempfile::tempdir()?;
    let mut own = from.settings("s3_migration.settings.from", "old");
    own.extend(to.settings("s3_migration.settings.to", "new"));
    own.extend([
        ("s3_migration.settings.part_bytes".to_owned(), (5 << 20).to_string()),
        (
            "s3_migration.settings.manifest".to_owned(),
            folder.path().join("manifest").display().to_string(),
        ),
    ]);
    let registry = tour.configuration.registry(own)?;
    let migration = BucketMigration::with_registry(&registry)?;
    let report = {
        let mut running = std::pin::pin!(migration.run(""));
        let mut shown = tokio::time::interval(Duration::from_millis(50));
        loop {
            tokio::select! {
                report = &mut running => break report?,
                _ = shown.tick() => {
                    let now = migration.progress();
                    progress.set_length(now.listed);
                    progress.set_position(now.done);
                }
            }
        }
    };
    expect(report.failed.is_empty(), "every object was copied")?;
    expect(from.keys("old") == to.keys("new"), "every key is there, as it was")?;
    for key in from.keys("old") {
        let digest = |peer: &S3Peer, bucket| peer.object(bucket, &key).map(|(content, _)| content.sha256());
        expect(
            digest(&from, "old") == digest(&to, "new"),
            "every byte is there, as it was",
        )?;
    }
    let resumed = from
        .asked()
        .iter()
        .filter(|asked| asked.headers.contains_key("if-match") && asked.answer == 206)
        .count();
    let again = migration.run("").await?;
    expect(
        again.copied == 0 && again.skipped == report.copied,
        "another run copies nothing that the manifest has",
    )?;
    let pool = migration.client().stats();
    let most = from.server.seen().max_open.max(to.server.seen().max_open);
    expect(most <= 64, "no more connections than the profile allows")?;
    let said = format!(
        "{} objects, {:.1} MiB, compared by SHA-256; {resumed} transfers by range behind breaks and in parts, {most} connections \
         to a store at most; a second run passed over all {}",
        report.copied,
        report.bytes as f64 / f64::from(1 << 20),
        again.skipped
    );
    Ok(Proof::new(said, &[pool]))
}
