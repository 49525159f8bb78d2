//! Objects by RDMA, and over HTTP where it breaks.

use std::sync::Arc;

use bytes::Bytes;
use httputil::PooledClient as _;
use indicatif::ProgressBar;
use services::command::Failure;
use services::peers::{Content, Fabric, Fault, S3Peer};
use services::rdma_fallback::{ObjectAccess, Rdma, Side};

use crate::proof::{Proof, expect};
use crate::tour::{Tour, until};

const SIZE: usize = 4 << 20;

pub(super) async fn prove(tour: &Tour, progress: &ProgressBar) -> Result<Proof, Failure> {
    let peer = Arc::new(S3Peer::start().await);
    let fabric = Fabric::to(&peer, "photos");
    let mut own = peer.settings("rdma_fallback.settings.store", "photos");
    for (key, value) in [("stay", "100ms"), ("probe_every", "20ms")] {
        own.push((format!("rdma_fallback.settings.{key}"), value.to_owned()));
    }
    let registry = tour.configuration.registry(own)?;
    let objects = ObjectAccess::with_registry(&registry, Rdma::Present(Arc::new(fabric.clone())))?;
    progress.set_length(4);
    let body: Bytes = (0..SIZE).map(|at| (at % 251).to_le_bytes()[0]).collect();
    peer.put("photos", "weights", Content::Bytes(body.clone()), []);

    fabric.fail_next([Fault::BreaksAfter(SIZE / 4)]);
    let read = objects.get("weights").await?.bytes().await?;
    expect(read == body, "an object that broke off by RDMA is whole")?;
    let stats = objects.stats();
    expect(
        stats.rdma.read_bytes + stats.http.read_bytes == SIZE as u64 && stats.http.read_bytes > 0,
        "HTTP went on from the byte that it broke at",
    )?;
    progress.inc(1);
    fabric.fail_next([Fault::AnswerLost]);
    objects.put_new("new", body.slice(..1000)).await?;
    let again = objects.put_new("new", body.slice(..1000)).await;
    expect(
        again.is_err(),
        "a write that must not overwrite knows its own work from another's",
    )?;
    progress.inc(1);
    fabric.set_down(true);
    while objects.stats().side == Side::Rdma {
        objects.head("weights").await?;
    }
    progress.inc(1);
    let (asked, why) = (fabric.asked(), objects.stats().why_http.unwrap_or_default());
    objects.head("weights").await?;
    expect(fabric.asked() == asked, "a side that is left is not asked")?;
    fabric.set_down(false);
    while objects.stats().side == Side::Http {
        objects.head("weights").await?;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    until(|| objects.stats().side == Side::Rdma)
        .await
        .ok_or("not so: RDMA is taken back")?;
    progress.inc(1);
    let now = objects.stats();
    let said = format!(
        "an object gone on with over HTTP from byte {}, a write whose answer was lost known as its own; RDMA left ({why}) and taken \
         back after {} probes; {} of {} operations failed over, none failed",
        stats.rdma.read_bytes, now.rdma.probes, now.failed_over, now.rdma.asked
    );
    Ok(Proof::new(said, &[objects.client().stats()]))
}
