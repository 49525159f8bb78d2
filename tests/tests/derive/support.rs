//! Registries made of a few lines of TOML, and what is logged.

use std::fmt::{Debug, Write};
use std::fs;
use std::sync::{Arc, Mutex};

use httputil::{Config, Environment, Registry};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// A registry whose whole configuration is this text.
pub(crate) fn registry(toml: &str) -> Registry {
    let folder = tempfile::tempdir().expect("a folder for the configuration");
    let file = folder.path().join("httputil.toml");
    fs::write(&file, toml).expect("the configuration can be written");
    let config = Config::builder()
        .env(&Environment::empty())
        .file(&file)
        .load()
        .expect("the configuration is right");
    Registry::builder()
        .config(config)
        .build()
        .expect("the registry can be built")
}

/// Writes down the events of this thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<String>>);

impl Log {
    /// Until what comes back is dropped.
    pub(crate) fn listen(&self) -> (DefaultGuard, Dispatch) {
        // While there is only one subscriber, tracing asks that of whichever thread first comes by an event whether anybody
        // wants it, and other tests' threads have none. With two it asks them all.
        let another = Dispatch::new(Log::default());
        (tracing::subscriber::set_default(self.clone()), another)
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().expect("nobody panics with it").clone()
    }
}

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = writeln!(self.0.lock().expect("nobody panics with it"), "{field}={value:?}");
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
