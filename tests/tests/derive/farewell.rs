//! What `on_stop` may do: whatever it likes, whoever it is that ends the service.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;

use httputil::{Client, Config, PooledClient, Registry, ServiceInfo};
use httputil_tests::PATIENCE;

/// Of the one test whose services ask for it.
static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);
static SAID: AtomicUsize = AtomicUsize::new(0);

fn asks_the_registry(_: &ServiceInfo) {
    let registry = REGISTRY.lock().unwrap().clone().unwrap();
    let _ = registry.services();
    let _ = registry.client("default").unwrap();
    if SAID.fetch_add(1, Ordering::Relaxed).is_multiple_of(10) {
        registry.reload(registry.config()).unwrap();
    }
}

#[derive(PooledClient)]
#[pooled_client(profile = "default", on_stop = asks_the_registry)]
struct Asks {
    client: Client,
}

#[test]
fn it_may_ask_the_registry_while_others_list_the_services_and_reload() {
    const EACH: usize = 1000;
    let registry = Registry::builder().config(Config::empty()).build().unwrap();
    *REGISTRY.lock().unwrap() = Some(registry.clone());
    let is_over = Arc::new(AtomicBool::new(false));
    let (done, all_done) = mpsc::channel();
    let start = |what: fn(&Registry), goes_on: fn(usize, bool) -> bool| {
        let (registry, is_over, done) = (registry.clone(), Arc::clone(&is_over), done.clone());
        thread::spawn(move || {
            let rounds = (0..).take_while(|round| goes_on(*round, is_over.load(Ordering::Relaxed)));
            rounds.for_each(|_| what(&registry));
            done.send(()).unwrap();
        });
    };
    // Gone as soon as they are there: the last hold on one is now and then that of whoever looks.
    for _ in 0..2 {
        start(
            |registry| assert!(!Asks::with_registry(registry).unwrap().client.is_stopped()),
            |round, _| round < EACH,
        );
    }
    start(|registry| drop(registry.services()), |_, is_over| !is_over);
    start(
        |registry| drop(registry.reload(registry.config()).unwrap()),
        |_, is_over| !is_over,
    );
    for index in 0..4 {
        is_over.store(index >= 2, Ordering::Relaxed);
        let ended = all_done.recv_timeout(PATIENCE);
        ended.expect("somebody waits for ever");
    }
    assert_eq!(SAID.load(Ordering::Relaxed), 2 * EACH, "once for each service");
}
