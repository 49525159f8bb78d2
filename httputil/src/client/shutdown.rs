//! The end of several clients together.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::{Client, Shutdown};

/// Stops all clients and waits for all at once: they share one grace.
pub(crate) async fn shutdown_all(clients: &[Client], grace: Duration) -> Shutdown {
    clients.iter().for_each(Client::stop);
    let mut sum = Shutdown { finished: 0, left: 0 };
    let mut waits: Vec<Pin<Box<_>>> = clients.iter().map(|client| Box::pin(client.shutdown(grace))).collect();
    poll_fn(|context| {
        waits.retain_mut(|wait| match wait.as_mut().poll(context) {
            Poll::Ready(report) => {
                sum = sum.and(report);
                false
            }
            Poll::Pending => true,
        });
        if waits.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    sum
}
