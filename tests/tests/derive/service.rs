//! What the derive writes: constructors, the trait, the end of a service.

use std::time::Duration;

use httputil::{Client, PooledClient, Registry};

use crate::support::registry;

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Plain {
    client: Client,
}

#[derive(Clone, PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: Client,
    #[pooled_client(default)]
    sent: u64,
    #[pooled_client(default = vec!["spans"])]
    kinds: Vec<&'static str>,
    tenant: String,
    shards: u8,
}

#[derive(PooledClient)]
#[pooled_client(profile = "replication")]
struct Replica {
    #[pooled_client(profile = "audit")]
    audit: Client,
    client: Client,
}

const PROFILES: &str = "[telemetry]\n[replication]\n[audit]\n";

#[test]
fn the_constructor_takes_the_remaining_fields_in_their_order() {
    let exporter = Exporter::with_registry(&registry(PROFILES), "acme".to_owned(), 3).unwrap();
    assert_eq!((exporter.tenant.as_str(), exporter.shards), ("acme", 3));
    assert_eq!((exporter.sent, exporter.kinds.as_slice()), (0, ["spans"].as_slice()));
}

#[test]
fn the_arguments_are_nothing_one_value_or_a_tuple() {
    fn takes<S: PooledClient<Args = A>, A>() {}
    #[derive(PooledClient)]
    #[pooled_client(profile = "telemetry")]
    struct One {
        client: Client,
        name: &'static str,
    }
    takes::<Plain, ()>();
    takes::<One, &'static str>();
    takes::<Exporter, (String, u8)>();
    let one = One::with_registry(&registry(PROFILES), "one").unwrap();
    assert_eq!(one.name, "one");
}

#[test]
fn generic_code_builds_and_stops_any_service() {
    fn build<S: PooledClient<Args = ()>>(registry: &Registry) -> S {
        S::from_registry(registry, ()).unwrap()
    }
    let service = build::<Plain>(&registry(PROFILES));
    assert_eq!(Plain::PROFILE, "telemetry");
    assert_eq!(service.client().profile(), "telemetry");
    service.stop();
    assert!(service.client().is_stopped());
}

#[test]
fn the_client_of_its_own_profile_comes_first() {
    let replica = Replica::with_registry(&registry(PROFILES)).unwrap();
    assert_eq!(replica.client().profile(), "replication");
    let profiles: Vec<_> = replica.clients().map(Client::profile).collect();
    assert_eq!(profiles, ["replication", "audit"]);
    assert_eq!(replica.audit.profile(), "audit");
}

#[test]
fn stop_stops_every_client_and_twice_is_harmless() {
    let replica = Replica::with_registry(&registry(PROFILES)).unwrap();
    replica.stop();
    replica.stop();
    assert!(replica.clients().all(Client::is_stopped));
}

#[tokio::test]
async fn shutdown_stops_every_client_and_reports_their_sum() {
    let replica = Replica::with_registry(&registry(PROFILES)).unwrap();
    let report = replica.shutdown(Duration::from_secs(5)).await;
    assert_eq!((report.finished, report.left), (0, 0));
    assert!(replica.clients().all(Client::is_stopped));
}

#[tokio::test]
async fn shutdown_can_be_awaited_in_a_spawned_task_even_if_the_service_cannot_be_shared() {
    #[derive(PooledClient)]
    #[pooled_client(profile = "telemetry")]
    struct Local {
        client: Client,
        #[pooled_client(default)]
        count: std::cell::Cell<u32>,
    }
    fn is_send<T: Send>(_: &T) {}
    let local = Local::with_registry(&registry(PROFILES)).unwrap();
    local.count.set(1);
    let shutdown = local.shutdown(Duration::ZERO);
    is_send(&shutdown);
    shutdown.await;
}

#[test]
fn a_clone_outlives_the_service_that_it_was_made_of() {
    let exporter = Exporter::with_registry(&registry(PROFILES), "acme".to_owned(), 3).unwrap();
    let clone = exporter.clone();
    drop(exporter);
    assert!(!clone.client.is_stopped());
}

#[test]
fn a_dropped_service_ends_its_lease_only_with_its_last_client() {
    let service = Plain::with_registry(&registry(PROFILES)).unwrap();
    let client = service.client.clone();
    drop(service);
    assert!(!client.is_stopped(), "a bare client in a task keeps the lease");
}

#[test]
fn an_unknown_profile_is_one_error_and_its_settings_are_none() {
    #[derive(Debug, PooledClient)]
    #[pooled_client(profile = "elsewhere", unchecked)]
    struct Elsewhere {
        client: Client,
        #[pooled_client(setting)]
        endpoint: String,
    }
    let error = Elsewhere::with_registry(&registry(PROFILES))
        .map(|elsewhere| elsewhere.endpoint.clone())
        .expect_err("there is no such profile");
    assert_eq!(error.problems().len(), 1, "{error}");
    assert!(error.to_string().contains("elsewhere"), "{error}");
}
