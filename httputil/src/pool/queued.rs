//! A place in the queue of those who wait for a connection.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;

use super::core::{Core, DeliveryOf, PlaceOf, World};
use super::state::{Delivery, Waiting};

/// A place in the queue. Dropping it leaves the queue, and returns what was delivered in the meantime.
pub(super) struct Queued<'a, W: World> {
    pool: &'a Arc<Core<W>>,
    pub(super) host: usize,
    pub(super) id: u64,
    receiver: Option<oneshot::Receiver<DeliveryOf<W>>>,
}

impl<'a, W: World> Queued<'a, W> {
    pub(super) fn new(pool: &'a Arc<Core<W>>, waiting: Waiting<W::One, PlaceOf<W>>) -> Queued<'a, W> {
        Queued {
            pool,
            host: waiting.host,
            id: waiting.id,
            receiver: Some(waiting.receiver),
        }
    }

    /// What the queue brings; `None` if it passed this one by. Cancel-safe.
    pub(super) async fn delivery(&mut self) -> Option<DeliveryOf<W>> {
        let delivered = poll_fn(|cx| match &mut self.receiver {
            Some(receiver) => Pin::new(receiver).poll(cx).map(Result::ok),
            None => Poll::Ready(None),
        })
        .await;
        self.receiver = None;
        delivered
    }
}

impl<W: World> Drop for Queued<'_, W> {
    fn drop(&mut self) {
        let Some(mut receiver) = self.receiver.take() else {
            return;
        };
        receiver.close();
        match receiver.try_recv() {
            Ok(Delivery::Exclusive(connection)) => self.pool.returned(connection),
            Ok(Delivery::Place(place)) => drop(place),
            Ok(Delivery::Failed(_) | Delivery::Moved) => {}
            Err(_) => self.pool.with_state(|state, _| state.cancel(self.host, self.id)),
        }
    }
}
