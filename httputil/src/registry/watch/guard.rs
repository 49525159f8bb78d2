//! Watching that the program asks for, and the guard that ends it.

use std::fmt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::watching::{self, OnReload, Order, SETTLES, Shared};
use crate::error::Error;
use crate::registry::{Registry, ReloadReport};

/// Begins to watch the files of a registry's configuration; see [`Registry::watch`].
#[must_use = "nothing is watched before `start()`"]
pub struct WatchBuilder {
    registry: Registry,
    settles: Duration,
    on_reload: Option<OnReload>,
}

/// Reloads a registry when the files of its configuration change, until it is dropped.
///
/// Dropping it waits for a reload that is under way, and its callback, to end.
#[must_use = "dropping it stops the watching"]
pub struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Registry {
    /// Watches the files that the configuration in force was read from (the main file, its `httputil.<env>.toml` and
    /// `httputil.local.toml`, whether they are there yet or not), and those that it names: certificates, keys, revocation
    /// lists, secrets. When one changes, the configuration is [loaded again](crate::Config::load_again), with the
    /// variables and values that it was loaded with, and [reloaded](Registry::reload).
    ///
    /// It sees what editors and deployments do: writing in place, renaming over, the swap of the folder behind a link, as
    /// Kubernetes mounts its volumes, and folders that are taken away and made anew. The files must stay as they are for a
    /// while (200 ms) before they are believed. What does not load changes nothing, and neither does a file that looks
    /// half-written though it would load: the main file gone, a file empty that was not, a last line without an end that
    /// had one. A file that holds only the beginning of what it held (certificates and secrets, too), and one of the
    /// configuration's that has fewer lines and another last one, or lacks a table that it had, must stay so for 25 times
    /// as long (5 s) before it counts. Each is reported: by a warning,
    /// [`Stats::reloads_refused`](crate::Stats::reloads_refused), and [`on_reload`](WatchBuilder::on_reload).
    ///
    /// `registry.watch = true` in the configuration does the same without a word of the program's, and without a callback;
    /// while a guard is held, that one stands back.
    ///
    /// It begins with a reload, for what has changed since the load; the callback hears of it if that was anything.
    ///
    /// A thread waits for the system's word, and looks by itself every 30 s, for file systems that tell nothing. It keeps
    /// no registry alive. Needs the feature `watch`.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), httputil::Error> {
    /// let registry = httputil::Registry::global()?;
    /// let watch = registry
    ///     .watch()
    ///     .on_reload(|outcome| match outcome {
    ///         Ok(report) => println!("reloaded: {report}"),
    ///         Err(error) => eprintln!("not reloaded: {error}"),
    ///     })
    ///     .start()?;
    /// # drop(watch);
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(&self) -> WatchBuilder {
        WatchBuilder {
            registry: self.clone(),
            settles: SETTLES,
            on_reload: None,
        }
    }
}

impl WatchBuilder {
    /// For how long the files must stay as they are before they are believed; 25 times as long, where a file may be only
    /// the beginning of what is being written. Default 200 ms.
    pub fn settles(mut self, settles: Duration) -> WatchBuilder {
        self.settles = settles;
        self
    }

    /// Is told what came of each change: what a reload has changed, or why nothing has. Called from the thread that watches;
    /// a panic in it is caught and logged.
    pub fn on_reload(mut self, on_reload: impl Fn(Result<ReloadReport, Error>) + Send + 'static) -> WatchBuilder {
        self.on_reload = Some(Box::new(on_reload));
        self
    }

    /// Begins to watch.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`](crate::Kind::Config) if the system gives no watcher (its bound on them is reached), or no thread.
    pub fn start(self) -> Result<Watch, Error> {
        let order = Order::of_program(self.settles, self.on_reload);
        let (shared, thread) = watching::start(&self.registry, self.registry.config(), order)?;
        Ok(Watch {
            shared,
            thread: Some(thread),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.end();
        if let Some(thread) = self
            .thread
            .take()
            .filter(|thread| thread.thread().id() != thread::current().id())
        {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl fmt::Debug for WatchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchBuilder")
            .field("settles", &self.settles)
            .finish_non_exhaustive()
    }
}
