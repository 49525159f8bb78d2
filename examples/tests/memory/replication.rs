//! A large object through replication, streamed in one piece: by how much the process grows, both stores included.

#![cfg(target_os = "linux")]

use httputil::{Config, Registry};
use httputil_tests::PATIENCE;
use services::peers::{Content, S3Peer};
use services::replication::{Change, Replication};

#[path = "resident.rs"]
mod resident;

#[tokio::test]
async fn a_large_object_is_replicated_within_32_mib() {
    let size = resident::streamed();
    let (from, to) = (S3Peer::start().await, S3Peer::start().await);
    for (key, length) in [("small", 1 << 20), ("large", size)] {
        let content = Content::Made(length);
        let checksum = content.checksum();
        from.put("here", key, content, [("x-amz-checksum-sha256", checksum.as_str())]);
    }
    let at = to.location("there");
    let region = format!(
        "[{{ name = \"there\", at = {{ endpoint = \"{}\", region = \"{}\", bucket = \"there\", access_key = \"{}\", \
         secret_key = \"{}\" }} }}]",
        at.endpoint,
        at.region,
        at.access_key,
        at.secret_key.expose()
    );
    let mut config = Config::builder().embedded("config/httputil.toml", include_str!("../../../config/httputil.toml"));
    let own = [
        ("replication.settings.regions", region),
        ("replication.settings.part_bytes", (2 * size).to_string()),
    ];
    let own = own.map(|(key, value)| (key.to_owned(), value));
    for (key, value) in from
        .settings("replication.settings.from", "here")
        .into_iter()
        .chain(own)
    {
        config = config.set(key, value);
    }
    let config = config.load().unwrap_or_else(|error| panic!("{error}"));
    let registry = Registry::builder().config(config).build().unwrap();
    let replication = Replication::with_registry(&registry).unwrap();

    // What a process does once is not counted.
    replication.publish(&Change::Put("small".to_owned()));
    to.server.until_requests(1).await;
    let before = resident::Baseline::take();
    replication.publish(&Change::Put("large".to_owned()));
    let stats = replication.drain(30 * PATIENCE).await;
    let growth = before.growth();
    assert_eq!((stats[0].1.replicated, stats[0].1.failed), (2, 0), "{stats:?}");
    let (content, _) = to.object("there", "large").unwrap();
    assert_eq!((content.len(), content.sha256()), (size, Content::Made(size).sha256()));
    assert_eq!(to.asked().len(), 2, "it went in one piece");
    println!("replication grew by {} KiB for {} MiB", growth >> 10, size >> 20);
    assert!(growth <= 32 << 20, "it grew by {growth} bytes");
}
