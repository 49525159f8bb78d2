//! Racing a name's addresses, RFC 8305 ("happy eyeballs").
//!
//! The addresses come in the order in which they are to be tried, families interleaved; the next one starts 250 ms after
//! the last, or at once when one fails; the first connection wins and the rest are dropped. Ours, since hyper-util's
//! connector races the two families only and tries the addresses of one family in turn.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;

/// RFC 8305 §5, "Connection Attempt Delay".
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// So many addresses of one answer are tried; an answer of a thousand is no reason for a thousand dials.
pub(super) const MAX_ADDRESSES: usize = 16;

/// Every address failed; each with its reason.
pub(super) type AllFailed = Vec<(SocketAddr, io::Error)>;

/// Connects to the first address that answers. Dropping the future abandons all attempts.
pub(super) async fn race<S, D, F>(addresses: Vec<SocketAddr>, dial: D) -> Result<(S, SocketAddr), AllFailed>
where
    S: Send + 'static,
    D: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<S>> + Send + 'static,
{
    let mut waiting = VecDeque::from(addresses);
    waiting.truncate(MAX_ADDRESSES);
    let mut attempts = JoinSet::new();
    let mut failed = AllFailed::new();
    loop {
        if let Some(address) = waiting.pop_front() {
            let attempt = dial(address);
            attempts.spawn(async move { (address, attempt.await) });
        } else if attempts.is_empty() {
            return Err(failed);
        }
        let next = if waiting.is_empty() {
            attempts.join_next().await
        } else {
            match tokio::time::timeout(ATTEMPT_DELAY, attempts.join_next()).await {
                Ok(next) => next,
                Err(_elapsed) => continue,
            }
        };
        match next {
            Some(Ok((address, Ok(stream)))) => return Ok((stream, address)),
            Some(Ok((address, Err(error)))) => failed.push((address, error)),
            // An attempt that panicked or was cancelled with the runtime is one that failed; nothing more to say of it.
            Some(Err(_)) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_black_holed_first_address_costs_one_attempt_delay() {
        let began = tokio::time::Instant::now();
        let (winner, address) = race(addresses(&["1.1.1.1:1", "2.2.2.2:1"]), |address| async move {
            if address.port() == 1 && address.ip().to_string() == "1.1.1.1" {
                std::future::pending::<()>().await;
            }
            Ok(address.ip().to_string())
        })
        .await
        .unwrap();
        assert_eq!(
            (winner.as_str(), address.to_string().as_str()),
            ("2.2.2.2", "2.2.2.2:1")
        );
        assert_eq!(began.elapsed(), ATTEMPT_DELAY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_address_makes_the_next_start_at_once() {
        let began = tokio::time::Instant::now();
        let ((), address) = race(
            addresses(&["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1"]),
            |address| async move {
                match address.ip().to_string().as_str() {
                    "3.3.3.3" => Ok(()),
                    _ => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
                }
            },
        )
        .await
        .unwrap();
        assert_eq!(address.to_string(), "3.3.3.3:1");
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_a_thousand_addresses_is_not_a_thousand_dials() {
        let dialled = Arc::new(Mutex::new(0));
        let many = (0..1000u16)
            .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
            .collect();
        let failed = race(many, |_| {
            *dialled.lock().unwrap() += 1;
            async { Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused)) }
        })
        .await
        .unwrap_err();
        assert_eq!(failed.len(), MAX_ADDRESSES);
        assert_eq!(*dialled.lock().unwrap(), MAX_ADDRESSES);
    }
}
