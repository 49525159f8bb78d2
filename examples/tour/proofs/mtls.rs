//! A certificate that is renewed under load, and one that is refused.

use std::time::Duration;

use httputil::PooledClient as _;
use httputil_tests::PATIENCE;
use httputil_tests::ca::Ca;
use indicatif::ProgressBar;
use serde_json::Value;
use services::command::Failure;
use services::mtls::{MtlsClient, MtlsError};
use services::peers::{MtlsManner, MtlsPeer, TlsFiles};

use crate::proof::{Proof, expect};
use crate::tour::{Tour, until};

const CALLERS: usize = 4;

pub(super) async fn prove(tour: &Tour, progress: &ProgressBar) -> Result<Proof, Failure> {
    let peer = MtlsPeer::start(MtlsManner::default()).await;
    let folder = tempfile::tempdir()?;
    let files = TlsFiles::within(folder.path());
    files.write("ca.pem", peer.authority())?;
    files.write_identity(&peer.issue("old"))?;
    let registry = || {
        let own = [("mtls.base_url".to_owned(), peer.url())];
        tour.configuration.registry(own.into_iter().chain(files.settings()))
    };
    // It is the registry that follows the files, for as long as it is there.
    let following = registry()?;
    let renewed = MtlsClient::with_registry(&following)?;
    progress.set_length(2);
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| tokio::spawn(call_until_new(renewed.clone())))
        .collect();
    until(|| peer.served().len() >= 50)
        .await
        .ok_or("not so: the old certificate is known")?;
    files.write_identity(&peer.issue("new"))?;
    for caller in callers {
        tokio::time::timeout(PATIENCE, caller).await???;
    }
    progress.inc(1);
    let served = peer.served();
    let owner = |connection: usize| served.iter().find(|(_, on)| *on == connection).map(|(name, _)| name);
    expect(
        served.iter().all(|(name, on)| owner(*on) == Some(name)),
        "no connection was shared by two certificates",
    )?;
    let by = |wanted: &str| served.iter().filter(|(name, _)| name == wanted).count();
    let pool = renewed.client().stats();
    renewed.shutdown(Duration::from_secs(5)).await;

    files.write_identity(&Ca::new().issue_client("a stranger"))?;
    let stranger = MtlsClient::with_registry(&registry()?)?;
    let refused = stranger.get("/").await;
    expect(
        matches!(refused, Err(MtlsError::RefusedUs(_))),
        "a certificate that the peer refuses is told as ours",
    )?;
    expect(peer.served().len() == served.len(), "nothing was asked by it")?;
    progress.inc(1);
    let said = format!(
        "{} calls by the old certificate and {} by the new one while it was renewed, none failed and no connection was both's; a \
         stranger's, which the peer refuses, is told as ours",
        by("old"),
        by("new")
    );
    Ok(Proof::new(said, &[pool, stranger.client().stats()]))
}

/// Calls until the peer knows us by the new certificate.
async fn call_until_new(client: MtlsClient) -> Result<(), Failure> {
    loop {
        let answer = client.get("/").await?;
        if serde_json::from_slice::<Value>(&answer.body)?["you"] == "new" {
            return Ok(());
        }
    }
}
