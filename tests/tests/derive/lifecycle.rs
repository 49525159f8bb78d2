//! The services of a registry: who is alive, who goes first, what is done at the end.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use httputil::{Client, Config, PooledClient, Registry, ServiceInfo};

use crate::support::{Log, registry};

const PROFILES: &str = "[telemetry]\n[audit]\n[replication.pool]\nname = \"shared\"\n";

#[derive(Clone, PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: Client,
}

#[derive(PooledClient)]
#[pooled_client(profile = "replication")]
struct Replica<'a, T: Default> {
    #[pooled_client(profile = "audit")]
    audit: Client,
    client: Client,
    #[pooled_client(default)]
    seen: Vec<T>,
    name: &'a str,
}

fn names(registry: &Registry) -> Vec<&'static str> {
    let short = |service: ServiceInfo| {
        let plain = service.type_name.split('<').next().unwrap_or_default();
        plain.rsplit("::").next().unwrap_or_default()
    };
    registry.services().into_iter().map(short).collect()
}

#[test]
fn the_registry_lists_its_services_with_type_profile_pool_and_age() {
    let registry = registry(PROFILES);
    assert!(registry.services().is_empty());
    let before = SystemTime::now();
    let _exporter = Exporter::with_registry(&registry).unwrap();
    let replica = Replica::<u8>::with_registry(&registry, "a").unwrap();
    assert_eq!(
        (replica.seen.len(), replica.name, replica.audit.profile()),
        (0, "a", "audit")
    );
    let services = registry.services();
    let [exporter, replica] = services.as_slice() else {
        panic!("{services:?}")
    };
    assert!(exporter.type_name.ends_with("lifecycle::Exporter"), "{exporter:?}");
    assert_eq!(
        (exporter.profile.as_str(), exporter.pool.as_str()),
        ("telemetry", "telemetry")
    );
    assert_eq!(
        (replica.profile.as_str(), replica.pool.as_str()),
        ("replication", "shared")
    );
    assert!(before <= exporter.since && exporter.since <= replica.since && replica.since <= SystemTime::now());
}

#[test]
fn a_service_is_listed_until_it_is_stopped_or_its_last_clone_is_gone() {
    let registry = registry(PROFILES);
    let (one, two) = (
        Exporter::with_registry(&registry).unwrap(),
        Exporter::with_registry(&registry).unwrap(),
    );
    let clone = one.clone();
    assert_eq!(
        names(&registry),
        ["Exporter", "Exporter"],
        "a clone is the same service"
    );
    drop(one);
    assert_eq!(names(&registry).len(), 2);
    drop(clone);
    assert_eq!(names(&registry).len(), 1);
    let bare = two.client.clone();
    drop(two);
    assert_eq!(names(&registry).len(), 1, "a bare client in a task keeps the lease");
    bare.stop();
    assert!(registry.services().is_empty());
}

#[test]
fn a_service_that_cannot_be_built_and_a_bare_client_are_none() {
    #[derive(Debug, PooledClient)]
    #[pooled_client(profile = "telemetry", unchecked)]
    struct Needy {
        client: Client,
        #[pooled_client(setting)]
        endpoint: String,
    }
    let registry = registry(PROFILES);
    let error = Needy::with_registry(&registry)
        .map(|needy| needy.endpoint.clone())
        .unwrap_err();
    assert!(error.is_config());
    let _client = registry.client("telemetry").unwrap();
    assert!(registry.services().is_empty());
}

#[test]
fn a_hundred_thousand_services_that_come_and_go_leave_the_list_short() {
    let registry = registry(PROFILES);
    let kept = Exporter::with_registry(&registry).unwrap();
    for _ in 0..100_000 {
        drop(Exporter::with_registry(&registry).unwrap());
    }
    let began = std::time::Instant::now();
    for _ in 0..1000 {
        assert_eq!(registry.services().len(), 1);
    }
    // Each looks at the whole list, of which 100 000 would take minutes.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(kept);
}

/// What ended, in order; each test has its own profile's name in it.
static ENDED: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn note(service: &ServiceInfo) {
    ENDED.lock().unwrap().push(service.profile.clone());
}

fn ended(profile_begins: &str) -> Vec<String> {
    let ended = ENDED.lock().unwrap();
    ended
        .iter()
        .filter(|profile| profile.starts_with(profile_begins))
        .cloned()
        .collect()
}

macro_rules! noted {
    ($($name:ident $profile:literal)*) => {$(
        #[derive(Clone, PooledClient)]
        #[pooled_client(profile = $profile, unchecked, on_stop = note)]
        struct $name {
            client: Client,
        }
    )*};
}

fn with_profiles(profiles: &[&str]) -> Registry {
    let text = format!("[{}]\n", profiles.join("]\n["));
    Registry::builder()
        .config(Config::builder().embedded("profiles", text).load().unwrap())
        .build()
        .unwrap()
}

#[test]
fn the_farewell_is_said_once_however_the_service_ends() {
    noted! { Stopped "once_stopped" Dropped "once_dropped" }
    let registry = with_profiles(&["once_stopped", "once_dropped"]);
    let stopped = Stopped::with_registry(&registry).unwrap();
    let clone = stopped.clone();
    assert!(ended("once").is_empty());
    clone.stop();
    stopped.stop();
    drop((stopped, clone));
    assert_eq!(ended("once"), ["once_stopped"]);
    let dropped = Dropped::with_registry(&registry).unwrap();
    let clone = dropped.clone();
    drop(dropped);
    assert_eq!(ended("once"), ["once_stopped"], "a clone is still there");
    drop(clone);
    assert_eq!(ended("once"), ["once_stopped", "once_dropped"]);
}

#[tokio::test]
async fn shutdown_says_it_too() {
    noted! { Alone "alone" }
    let registry = with_profiles(&["alone"]);
    let alone = Alone::with_registry(&registry).unwrap();
    alone.shutdown(Duration::from_secs(5)).await;
    assert_eq!(ended("alone"), ["alone"]);
}

#[tokio::test]
async fn the_registry_stops_all_services_the_last_one_first() {
    noted! { First "order_first" Second "order_second" Third "order_third" }
    let registry = with_profiles(&["order_first", "order_second", "order_third"]);
    let first = First::with_registry(&registry).unwrap();
    let second = Second::with_registry(&registry).unwrap();
    let third = Third::with_registry(&registry).unwrap();
    second.stop();
    let bare = registry.client("order_first").unwrap();
    let report = registry.shutdown(Duration::from_secs(5)).await;
    assert_eq!((report.finished, report.left), (0, 0));
    assert_eq!(ended("order"), ["order_second", "order_third", "order_first"]);
    assert!(first.client.is_stopped() && third.client.is_stopped());
    assert!(!bare.is_stopped(), "it is no service's");
    assert!(registry.services().is_empty());
    // The registry can be used on.
    let again = First::with_registry(&registry).unwrap();
    assert!(!again.client.is_stopped());
}

/// Panics after it has noted the end.
fn panics(service: &ServiceInfo) {
    note(service);
    panic!("a farewell that goes wrong");
}

#[derive(Clone, PooledClient)]
#[pooled_client(profile = "panics_stopped", unchecked, on_stop = panics)]
struct Panics {
    client: Client,
    #[pooled_client(profile = "panics_beside")]
    beside: Client,
}

#[derive(PooledClient)]
#[pooled_client(profile = "panics_dropped", unchecked, on_stop = panics)]
struct PanicsDropped {
    client: Client,
}

#[derive(PooledClient)]
#[pooled_client(profile = "panics_unwinding", unchecked, on_stop = panics)]
struct PanicsUnwinding {
    client: Client,
}

#[tokio::test]
async fn a_farewell_that_panics_is_logged_and_stops_neither_the_other_clients_nor_the_other_services() {
    noted! { Before "before_panics" }
    let log = Log::default();
    let _listening = log.listen();
    let registry = with_profiles(&["before_panics", "panics_stopped", "panics_beside"]);
    let stopped = Panics::with_registry(&registry).unwrap();
    stopped.stop();
    assert!(stopped.client.is_stopped() && stopped.beside.is_stopped());
    let told = log.text();
    assert!(
        told.contains("lifecycle::Panics panicked (profile panics_stopped)"),
        "{told}"
    );

    let before = Before::with_registry(&registry).unwrap();
    let second = Panics::with_registry(&registry).unwrap();
    let report = registry.shutdown(Duration::from_secs(5)).await;
    assert_eq!((report.finished, report.left), (0, 0));
    assert!(second.client.is_stopped() && second.beside.is_stopped() && before.client.is_stopped());
    assert_eq!(
        (ended("panics_stopped"), ended("before_panics").len()),
        (vec!["panics_stopped".to_owned(); 2], 1)
    );
}

#[test]
fn a_farewell_that_panics_leaves_a_drop_in_peace_while_another_panic_unwinds_too() {
    let registry = with_profiles(&["panics_dropped", "panics_unwinding"]);
    drop(PanicsDropped::with_registry(&registry).unwrap());
    assert_eq!(ended("panics_dropped").len(), 1);
    let other = registry.clone();
    let unwound = std::thread::spawn(move || {
        let _service = PanicsUnwinding::with_registry(&other).unwrap();
        panic!("another one");
    });
    let why = unwound.join().expect_err("it panicked");
    assert_eq!(why.downcast_ref::<&str>(), Some(&"another one"));
    assert_eq!(ended("panics_unwinding").len(), 1);
    assert!(registry.services().is_empty());
}

mod of_another_module {
    use httputil::{Client, PooledClient};

    #[derive(PooledClient)]
    #[pooled_client(profile = "telemetry", isolated)]
    pub(super) struct Batch {
        pub(super) client: Client,
    }
}

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry", isolated)]
struct Batch {
    client: Client,
    #[pooled_client(profile = "audit")]
    audit: Client,
}

#[test]
fn an_isolated_type_has_a_pool_of_its_own_with_the_profile_s_settings() {
    let registry = registry(PROFILES);
    let shared = Exporter::with_registry(&registry).unwrap();
    let (one, two) = (
        Batch::with_registry(&registry).unwrap(),
        Batch::with_registry(&registry).unwrap(),
    );
    assert_eq!(one.client.profile(), "telemetry");
    assert_eq!(
        one.audit.stats().name,
        "audit",
        "only the client of its own profile is isolated"
    );
    assert_eq!(one.client.stats().name, "telemetry/Batch");
    assert_eq!((one.client.stats().leases, shared.client.stats().leases), (2, 1));
    drop(two);
    assert_eq!(one.client.stats().leases, 1);
    // A type of the same name elsewhere is another type.
    let other = of_another_module::Batch::with_registry(&registry).unwrap();
    assert_eq!((other.client.stats().leases, one.client.stats().leases), (1, 1));
    // And its pool can be told from the other one, by as much of its modules as that takes.
    assert_eq!(other.client.stats().name, "telemetry/of_another_module::Batch");
    let again = of_another_module::Batch::with_registry(&registry).unwrap();
    assert_eq!(
        (again.client.stats().name, again.client.stats().leases),
        (other.client.stats().name, 2)
    );
    drop(again);
    assert_eq!(registry.services()[1].pool, "telemetry/Batch");
}
