//! Playing a script on a connection.

use std::sync::Arc;

use super::Step;
use super::peer::{Gone, Peer};

/// Goes through the steps, then keeps the connection until the client leaves.
pub(super) async fn play(peer: Peer, script: Arc<[Step]>) {
    if let Ok(Some(mut peer)) = steps(peer, &script).await {
        peer.until_gone().await;
    }
}

/// The peer comes back unless a step has closed it.
async fn steps(mut peer: Peer, script: &[Step]) -> Result<Option<Peer>, Gone> {
    for step in script {
        match step {
            Step::ReadHead => {
                peer.take(head_length).await?;
                peer.count_request();
            }
            Step::ReadBody(n) => peer.take(|heard| (heard.len() >= *n).then_some(*n)).await?,
            Step::ReadRequest => {
                peer.take(request_length).await?;
                peer.count_request();
            }
            Step::Write(bytes) => peer.write(bytes).await?,
            Step::WriteSlowly { bytes, pause } => peer.write_slowly(bytes, *pause).await?,
            Step::Hold(gate) => peer.wait(gate.pass()).await,
            Step::HoldUnheard(gate) => gate.pass().await,
            Step::Fin => peer.fin().await?,
            Step::CutFin => peer.cut(),
            Step::Close => return Ok(None),
            Step::Reset => {
                peer.reset();
                return Ok(None);
            }
            Step::Stall => {
                peer.until_gone().await;
                return Ok(None);
            }
            Step::StopReading => peer.stop_reading(),
            Step::StartTls(config) => peer = peer.start_tls(config.clone()).await?,
            Step::Repeat(inner) => loop {
                match Box::pin(steps(peer, inner)).await? {
                    Some(back) => peer = back,
                    None => return Ok(None),
                }
                // An inner list that waits for nothing must not keep the runtime to itself.
                tokio::task::yield_now().await;
            },
        }
    }
    Ok(Some(peer))
}

fn head_length(heard: &[u8]) -> Option<usize> {
    position(heard, b"\r\n\r\n").map(|at| at + 4)
}

fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = head_length(bytes)?;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let value = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    };
    let body = if value("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
        match &bytes[head..] {
            [b'0', b'\r', b'\n', b'\r', b'\n', ..] => 5,
            chunks => position(chunks, b"\r\n0\r\n\r\n")? + 7,
        }
    } else {
        value("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0)
    };
    (bytes.len() >= head + body).then_some(head + body)
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
