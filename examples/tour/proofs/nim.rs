//! Models behind two replicas, of which one fails.

use httputil::PooledClient as _;
use indicatif::ProgressBar;
use reqwest::StatusCode;
use services::command::Failure;
use services::nim::{Chat, InputType, Message, Nim};
use services::peers::{MODEL, NimPeer};

use crate::proof::{Proof, expect};
use crate::tour::Tour;

const TEXTS: usize = 450;

pub(super) async fn prove(tour: &Tour, progress: &ProgressBar) -> Result<Proof, Failure> {
    let (one, other) = (NimPeer::start(None).await, NimPeer::start(None).await);
    let urls = serde_json::to_string(&[one.url(), other.url()])?;
    let registry = tour.configuration.registry([("nim.base_url", urls)])?;
    let nim = Nim::with_registry(&registry)?;
    progress.set_length(4);
    for peer in [&one, &other] {
        peer.set_loading(true);
    }
    expect(!nim.is_ready().await?, "a model that is being loaded is not ready")?;
    for peer in [&one, &other] {
        peer.set_loading(false);
    }
    expect(nim.is_ready().await?, "a model that is loaded is ready")?;
    progress.inc(1);
    // Whichever is asked first fails; the other one answers.
    for peer in [&one, &other] {
        peer.answer_next([StatusCode::SERVICE_UNAVAILABLE]);
    }
    let messages = [Message::user("What is a bucket?")];
    let chat = Chat {
        model: MODEL,
        messages: &messages,
        max_tokens: None,
    };
    let answer = nim.chat(&chat).await?;
    expect(
        answer.text == "You said: What is a bucket?",
        "the answer is the question's",
    )?;
    progress.inc(1);
    let texts: Vec<String> = (0..TEXTS).map(|number| "x".repeat(1 + number % 50)).collect();
    let wanted: Vec<usize> = texts.iter().map(String::len).collect();
    let vectors = nim.embed_all(MODEL, InputType::Passage, texts, 4).await;
    // A text's vector begins with its length.
    for (vector, wanted) in vectors.iter().zip(&wanted) {
        let first = vector.as_ref().ok().and_then(|vector| vector.first());
        expect(first == Some(&(*wanted as f32)), "each text has its own vector")?;
    }
    progress.inc(1);
    let passages = ["an object has a key", "a bucket holds objects"];
    let best = nim.rank(MODEL, "what holds objects", &passages).await?;
    expect(best[0].index == 1, "the passage that fits comes first")?;
    progress.inc(1);
    let pool = nim.client().stats();
    expect(pool.retries >= 1, "a replica that fails is not the last word")?;
    let said = format!(
        "{} texts, a vector each, in batches over two replicas ({} and {} requests); {} failures made good by another attempt; \
         readiness heeded, {} passages ranked",
        vectors.len(),
        one.server.requests(),
        other.server.requests(),
        pool.retries,
        best.len()
    );
    Ok(Proof::new(said, &[pool]))
}
