//! An object that is transformed as it comes, both ways.

use std::time::Instant;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use httputil::PooledClient as _;
use indicatif::ProgressBar;
use reqwest::StatusCode;
use services::command::Failure;
use services::object_lambda::{ObjectLambda, UserRequest};
use services::peers::{Content, S3Peer, Transformer};

use crate::proof::{Proof, expect};
use crate::tour::Tour;

const SIZE: usize = 8 << 20;

pub(super) async fn prove(tour: &Tour, progress: &ProgressBar) -> Result<Proof, Failure> {
    let (store, transformer) = (S3Peer::start().await, Transformer::start(Some("a token")).await);
    let text: Bytes = b"shall i compare thee\n".iter().copied().cycle().take(SIZE).collect();
    let wanted = text.to_ascii_uppercase();
    store.put("poems", "eighteen.txt", Content::Bytes(text), []);
    progress.set_length(2 * SIZE as u64);
    let (mut pools, mut firsts) = (Vec::new(), Vec::new());
    for input in ["url", "body"] {
        let mut own = store.settings("object_lambda.settings.from", "poems");
        own.extend([
            (
                "object_lambda.settings.webhook".to_owned(),
                transformer.url().to_string(),
            ),
            ("object_lambda.settings.token".to_owned(), "a token".to_owned()),
            ("object_lambda.settings.input".to_owned(), input.to_owned()),
        ]);
        let registry = tour.configuration.registry(own)?;
        let lambda = ObjectLambda::with_registry(&registry)?;
        transformer.answer_next([StatusCode::SERVICE_UNAVAILABLE]);
        let began = Instant::now();
        let mut answer = lambda.get("eighteen.txt", &UserRequest::default()).await?;
        expect(answer.failure.is_none(), "the transformer makes no failure of it")?;
        let mut came = 0;
        let mut is_first = true;
        while let Some(frame) = answer.body.frame().await {
            let Ok(piece) = frame?.into_data() else { continue };
            let place = came..came + piece.len();
            expect(
                wanted.get(place) == Some(&piece),
                "each piece is what the transformer makes of it",
            )?;
            came += piece.len();
            progress.inc(piece.len() as u64);
            if std::mem::take(&mut is_first) {
                firsts.push(began.elapsed());
                expect(came < SIZE, "the answer comes in pieces")?;
            }
        }
        expect(came == SIZE, "the answer is whole")?;
        pools.push(lambda.client().stats());
    }
    let said = format!(
        "{} MiB through a transformer by URL and by POST, first bytes after {} and {} ms; a busy one was asked again, token and \
         route checked",
        SIZE >> 20,
        firsts[0].as_millis(),
        firsts[1].as_millis()
    );
    Ok(Proof::new(said, &pools))
}
