//! Names to addresses, under `timeouts.dns`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::Resolve;
use socket2::{Domain, Socket, Type};

use super::failure::{is_our_own, plain};
use super::{DialFailure, Host, Target};
use crate::error::{Kind, Phase};

/// Who resolves names.
#[derive(Clone)]
pub(crate) enum Resolver {
    /// `getaddrinfo`, on the runtime's blocking threads.
    System,
    /// The user's own.
    Custom(Arc<dyn Resolve>),
}

impl Resolver {
    /// All addresses of the target, with its port. IP literals are their own answer.
    pub(crate) async fn resolve(&self, target: &Target, bound: Duration) -> Result<Vec<SocketAddr>, DialFailure> {
        let name = match &target.host {
            Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, target.port)]),
            Host::Name(name) => name,
            // Nobody looks for the address of a socket.
            Host::Socket(_) => return Ok(Vec::new()),
        };
        let addresses = tokio::time::timeout(bound, self.look_up(name, target.port))
            .await
            .map_err(|_| DialFailure::timed_out(Phase::Dns, name, bound, "timeouts.dns"))??;
        if addresses.is_empty() {
            return Err(DialFailure::new(
                Kind::Dns,
                format!("name look-up of {name} gave no address"),
            ));
        }
        Ok(addresses)
    }

    async fn look_up(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, DialFailure> {
        match self {
            Resolver::System => match tokio::net::lookup_host((name, port)).await {
                Ok(addresses) => Ok(addresses.collect()),
                Err(error) => Err(system_failure(name, error)),
            },
            Resolver::Custom(resolver) => {
                let parsed = name.parse().map_err(|_| {
                    DialFailure::new(
                        Kind::Dns,
                        format!("{name} is not a name that a resolver can be asked for"),
                    )
                })?;
                match resolver.resolve(parsed).await {
                    Ok(addresses) => Ok(addresses.map(|address| SocketAddr::new(address.ip(), port)).collect()),
                    Err(error) => {
                        let message = format!("name look-up of {name} failed: {error}");
                        Err(DialFailure::new(Kind::Dns, message).with_shared_source(Arc::from(error)))
                    }
                }
            }
        }
    }
}

/// Why the system's look-up failed. `getaddrinfo` says of a name that is not to be found what it says when it cannot open
/// a file or a socket for want of a descriptor. So we look whether one can be had, and blame no name if not.
fn system_failure(name: &str, error: io::Error) -> DialFailure {
    let probe = Socket::new(Domain::IPV4, Type::DGRAM, None);
    let (kind, error) = match probe.err().filter(is_our_own) {
        Some(own) => (Kind::LimitExceeded, own),
        None => (Kind::Dns, error),
    };
    let message = format!("name look-up of {name} failed: {}", plain(&error));
    DialFailure::new(kind, message).with_source(error)
}
