//! The trait that every annotated service has.

use std::future::Future;
use std::time::Duration;

use crate::client::{Client, Shutdown, shutdown_all};
use crate::error::Error;
use crate::registry::Registry;

/// A service that leases its clients from a registry; implemented by the derive of the same name.
///
/// Generic code can build, stop and shut down any service:
///
/// ```
/// use std::time::Duration;
///
/// use httputil::{Client, Error, PooledClient, Registry};
///
/// #[derive(PooledClient)]
/// #[pooled_client(profile = "default")]
/// struct Probe {
///     client: Client,
/// }
///
/// async fn run_once<S: PooledClient<Args = ()>>(registry: &Registry) -> Result<(), Error> {
///     let service = S::from_registry(registry, ())?;
///     println!("a service on the profile {}, with {} client(s)", S::PROFILE, service.clients().len());
///     let report = service.shutdown(Duration::from_secs(5)).await;
///     println!("{} requests finished, {} were left", report.finished, report.left);
///     Ok(())
/// }
/// # async fn call(registry: &Registry) { run_once::<Probe>(registry).await.unwrap() }
/// ```
pub trait PooledClient: Sized {
    /// The profile that the service names.
    const PROFILE: &'static str;

    /// The keys that it reads from `[profile.settings]`, in the order of its fields.
    const SETTINGS: &'static [&'static str];

    /// What its constructors take beside the registry: `()`, the one argument, or a tuple of them.
    type Args;

    /// Builds the service: leases its clients, reads its settings.
    ///
    /// Fails with every problem of the configuration that concerns the service, all together.
    fn from_registry(registry: &Registry, args: Self::Args) -> Result<Self, Error>;

    /// The client of the service's own profile.
    fn client(&self) -> &Client;

    /// All its clients, the one of its own profile first.
    fn clients(&self) -> impl ExactSizeIterator<Item = &Client>;

    /// Ends the leases of all its clients: requests begun later fail with [`Kind::Stopped`](crate::Kind::Stopped), on
    /// clones too; those under way finish. Doing it twice is harmless.
    fn stop(&self) {
        for client in self.clients() {
            client.stop();
        }
    }

    /// [`stop`](PooledClient::stop)s, then waits until the requests begun through this service have ended, bodies
    /// included, or until `grace` is over. Reports the sum over its clients.
    ///
    /// Nothing happens before the future is first polled; dropping it ends the waiting, the service stays stopped.
    fn shutdown(&self, grace: Duration) -> impl Future<Output = Shutdown> + Send {
        // The future holds clients of its own, so that it can be sent whether or not the service can be shared.
        let clients: Vec<Client> = self.clients().cloned().collect();
        async move { shutdown_all(&clients, grace).await }
    }
}
