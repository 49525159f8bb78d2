//! Who is asked.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, OnceLock};

use reqwest::dns::Resolve;

use super::failure::{LookUpFailure, Outcome};
use super::threads::Threads;

/// More addresses of one answer than these are not looked at.
const ADDRESSES: usize = 1024;

/// A resolver.
#[derive(Clone)]
pub(super) enum Source {
    /// `getaddrinfo`.
    System,
    /// The user's own.
    Custom(Arc<dyn Resolve>),
    #[cfg(feature = "hickory")]
    Hickory,
}

/// The threads of this process that `getaddrinfo` runs on.
pub(super) fn threads() -> &'static Threads {
    static THREADS: OnceLock<Threads> = OnceLock::new();
    THREADS.get_or_init(Threads::new)
}

/// Asks the system, and waits.
pub(super) fn ask_system(name: &str) -> Outcome {
    let answer = (name, 0).to_socket_addrs();
    outcome(
        answer
            .map(|all| all.map(|address| address.ip()))
            .map_err(LookUpFailure::of_system),
    )
}

impl Source {
    /// Whether it is asked on threads.
    pub(super) fn is_system(&self) -> bool {
        matches!(self, Source::System)
    }

    /// Asks a resolver that needs no thread. Dropping the future abandons the look-up.
    pub(super) async fn ask(self, name: &str) -> Outcome {
        match self {
            Source::System => Outcome::Failed(LookUpFailure::of_system(io::ErrorKind::Unsupported.into())),
            Source::Custom(resolver) => {
                let Ok(parsed) = name.parse() else {
                    return Outcome::Failed(LookUpFailure::new("failed: no resolver can be asked for this name"));
                };
                let answer = resolver.resolve(parsed).await;
                outcome(
                    answer
                        .map(|all| all.map(|address| address.ip()))
                        .map_err(LookUpFailure::of_resolver),
                )
            }
            #[cfg(feature = "hickory")]
            Source::Hickory => outcome(super::hickory::look_up(name).await.map(Vec::into_iter)),
        }
    }
}

/// Each address once, in the answer's order.
fn outcome(answer: Result<impl Iterator<Item = IpAddr>, LookUpFailure>) -> Outcome {
    let addresses = match answer {
        Ok(addresses) => addresses,
        Err(failure) => return Outcome::Failed(failure),
    };
    let mut seen = hashbrown::HashSet::new();
    let addresses: Arc<[IpAddr]> = addresses
        .take(ADDRESSES)
        .filter(|address| seen.insert(*address))
        .collect();
    if addresses.is_empty() {
        Outcome::Failed(LookUpFailure::empty())
    } else {
        Outcome::Found(addresses)
    }
}
