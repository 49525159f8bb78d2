//! Answers that come as they are made, in three protocols.

use httputil::PooledClient as _;
use httputil_tests::gate::Gate;
use indicatif::ProgressBar;
use reqwest::StatusCode;
use services::ai::{Ai, Message, Prompt};
use services::command::Failure;
use services::peers::{AiPeer, Manner};

use crate::proof::{Proof, expect};
use crate::tour::Tour;

const PROVIDERS: [&str; 3] = ["openai", "anthropic", "ollama"];
/// Asked beside a stream that is held.
const BESIDE: usize = 5;

pub(super) async fn prove(tour: &Tour, progress: &ProgressBar) -> Result<Proof, Failure> {
    progress.set_length(PROVIDERS.len() as u64);
    let (mut pools, mut tokens, mut retries) = (Vec::new(), 0, 0);
    for provider in PROVIDERS {
        let peer = AiPeer::start(None).await;
        let path = if provider == "ollama" { "" } else { "/v1" };
        let registry = tour.configuration.registry([
            ("ai.settings.endpoint", format!("{}{path}", peer.url())),
            ("ai.settings.provider", provider.to_owned()),
        ])?;
        let ai = Ai::with_registry(&registry)?;
        let messages = [Message::user("What is a bucket?")];
        let prompt = Prompt {
            model: "echo",
            messages: &messages,
            max_tokens: Some(64),
        };
        // Busy at first; then it holds its answer back behind the first piece, until it is let go.
        let gate = Gate::new();
        peer.refuse_next(StatusCode::SERVICE_UNAVAILABLE, "overloaded_error", None);
        peer.stream_next(Manner::Waits(gate.clone()));
        let mut slow = ai.stream(&prompt).await?;
        let first = slow.next().await.ok_or("the stream ended before it began")??;
        for _ in 0..BESIDE {
            ai.ask(&prompt).await?;
        }
        gate.open();
        let mut whole = first.clone();
        while let Some(piece) = slow.next().await {
            whole.push_str(&piece?);
        }
        expect(whole == "You said: What is a bucket?", "the streamed answer is whole")?;
        expect(
            first.len() < whole.len(),
            "its first piece came while the rest was held back",
        )?;
        let usage = slow.usage().ok_or("the stream told no usage")?;
        tokens += usage.input + usage.output;
        let pool = ai.client().stats();
        expect(pool.retries == 1, "a busy server is asked once more")?;
        retries += pool.retries;
        pools.push(pool);
        progress.inc(1);
    }
    let said = format!(
        "{} protocols streamed piece by piece, {} answers beside streams that were held back, {tokens} tokens told, \
         {retries} busy servers asked again",
        PROVIDERS.len(),
        PROVIDERS.len() * BESIDE
    );
    Ok(Proof::new(said, &pools))
}
