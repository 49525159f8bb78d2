//! The end of a service.

use crate::client::Client;

/// Gives a dropped service's hold on its leases back, before its other fields are dropped.
///
/// A lease that has other clones lives on; one that has none ends here, and its pool closes its idle connections.
pub fn release<const N: usize>(clients: [&Client; N]) {
    clients.into_iter().for_each(Client::release);
}
