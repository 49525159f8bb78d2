//! Many texts: pieces of what the server takes at once, a few of them under way, a result for each text.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::error::NimError;
use super::service::Nim;
use super::types::InputType;

/// How many texts a server takes at once.
pub const BATCH: usize = 100;

impl Nim {
    /// The vectors of any number of texts, in their order; `at_once` requests are under way at a time. A request that
    /// fails takes its own texts along, and no others: the error is each one's.
    ///
    /// Dropping the future ends what is under way.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn embed_all(
        &self,
        model: &str,
        kind: InputType,
        texts: Vec<String>,
        at_once: usize,
    ) -> Vec<Result<Vec<f32>, Arc<NimError>>> {
        let places = Arc::new(Semaphore::new(at_once.max(1)));
        let mut under_way = JoinSet::new();
        let mut results: Vec<Option<Result<Vec<f32>, Arc<NimError>>>> = vec![None; texts.len()];
        for (number, piece) in texts.chunks(BATCH).enumerate() {
            let (nim, model, piece) = (self.clone(), model.to_owned(), piece.to_vec());
            let places = Arc::clone(&places);
            under_way.spawn(async move {
                let _place = places.acquire_owned().await;
                (number, piece.len(), nim.embed(&model, kind, &piece).await)
            });
        }
        while let Some(done) = under_way.join_next().await {
            let (number, count, result) = done.expect("a call does not panic");
            let place = results[number * BATCH..].iter_mut().take(count);
            match result {
                Ok(vectors) => place.zip(vectors).for_each(|(place, vector)| *place = Some(Ok(vector))),
                Err(error) => {
                    let error = Arc::new(error);
                    place.for_each(|place| *place = Some(Err(Arc::clone(&error))));
                }
            }
        }
        results
            .into_iter()
            .map(|result| result.expect("each piece has ended"))
            .collect()
    }
}
