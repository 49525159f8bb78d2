//! The thread that looks after the files, and who stops it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::folders::Folders;
use super::snapshot::Snapshot;
use crate::error::{Error, Problem};
use crate::registry::names::Inner;
use crate::registry::{Registry, ReloadReport};

/// Some file systems tell nothing (NFS, some bind mounts): the files are looked at so often in any case.
const LOOKS_EVERY: Duration = Duration::from_secs(30);

/// For so long the files must stay as they are.
const SETTLES: Duration = Duration::from_millis(200);

type OnReload = Box<dyn Fn(Result<ReloadReport, Error>) + Send>;

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

struct Shared {
    is_over: AtomicBool,
    wake: SyncSender<()>,
}

impl Shared {
    fn wake(&self) {
        // One that is not taken yet says the same.
        let _ = self.wake.try_send(());
    }
}

impl Registry {
    /// Watches the files that the configuration in force was read from (the main file, its `httputil.<env>.toml` and
    /// `httputil.local.toml`, whether they are there yet or not), and those that it names: certificates, keys, revocation
    /// lists, secrets. When one changes, the configuration is [loaded again](crate::Config::load_again), with the
    /// variables and values that it was loaded with, and [reloaded](Registry::reload).
    ///
    /// It sees what editors and deployments do: writing in place, renaming over, and the swap of the folder behind a link, as
    /// Kubernetes mounts its volumes. The files must stay as they are for a while (200 ms) before they are believed. What
    /// does not load changes nothing, and neither does a file that looks half-written though it would load: the main file
    /// gone, a file empty that was not, a last line without an end that had one. Each is reported: by a warning,
    /// [`Stats::reloads_refused`](crate::Stats::reloads_refused), and [`on_reload`](WatchBuilder::on_reload).
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
    /// For how long the files must stay as they are before they are believed. Default 200 ms.
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
        let failed = |why: String| {
            let message = format!("the configuration's files cannot be watched: {why}");
            Error::config(vec![Problem::new(message)])
        };
        let (wake, wakes) = mpsc::sync_channel(1);
        let shared = Arc::new(Shared {
            is_over: AtomicBool::new(false),
            wake,
        });
        let told = Arc::clone(&shared);
        let mut folders = Folders::new(move || told.wake()).map_err(|error| failed(error.to_string()))?;
        let accepted = Snapshot::of(&self.registry.config());
        folders.watch(accepted.paths());
        let watching = Watching {
            registry: Arc::downgrade(&self.registry.inner),
            settles: self.settles,
            on_reload: self.on_reload,
            shared: Arc::clone(&shared),
            wakes,
            folders,
            judged: None,
            accepted,
        };
        let thread = thread::Builder::new().name("httputil-watch".to_owned());
        let thread = thread
            .spawn(move || watching.run())
            .map_err(|error| failed(error.to_string()))?;
        shared.wake();
        Ok(Watch {
            shared,
            thread: Some(thread),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        self.shared.wake();
        if let Some(thread) = self
            .thread
            .take()
            .filter(|thread| thread.thread().id() != thread::current().id())
        {
            let _ = thread.join();
        }
    }
}

struct Watching {
    registry: Weak<Inner>,
    settles: Duration,
    on_reload: Option<OnReload>,
    shared: Arc<Shared>,
    wakes: Receiver<()>,
    folders: Folders,
    /// What the files held when they were last followed.
    accepted: Snapshot,
    /// What they held when they were last judged, well or not. Nothing at first: they may have changed since they were loaded.
    judged: Option<Snapshot>,
}

impl Watching {
    fn run(mut self) {
        loop {
            let _ = self.wakes.recv_timeout(LOOKS_EVERY);
            let Some(now) = self.settled() else { return };
            let is_first = self.judged.is_none();
            if self.judged.as_ref() == Some(&now) {
                continue;
            }
            let Some(inner) = self.registry.upgrade() else { return };
            let Some(outcome) = self.judge(&Registry { inner }, &now) else {
                // It changed while it was read.
                self.shared.wake();
                continue;
            };
            if is_first && outcome.as_ref().is_ok_and(ReloadReport::is_nothing) {
                continue;
            }
            if let Some(on_reload) = &self.on_reload {
                let told = catch_unwind(AssertUnwindSafe(|| on_reload(outcome)));
                if told.is_err() {
                    tracing::error!("the callback of a reload panicked");
                }
            }
        }
    }

    /// What the files hold when they have not changed for a while; `None` if nobody wants to know any more.
    fn settled(&mut self) -> Option<Snapshot> {
        let mut before = self.accepted.again();
        loop {
            // A folder may have been made anew.
            self.folders.watch(before.paths());
            // Also when nothing of ours has changed: where other things happen all the time, that is often enough.
            let until = Instant::now() + self.settles;
            while !self.is_over()
                && let Some(left) = until.checked_duration_since(Instant::now())
            {
                let _ = self.wakes.recv_timeout(left);
            }
            if self.is_over() {
                return None;
            }
            let now = self.accepted.again();
            if now == before {
                return Some(now);
            }
            before = now;
        }
    }

    fn is_over(&self) -> bool {
        self.shared.is_over.load(Ordering::Acquire) || self.registry.strong_count() == 0
    }

    /// Follows what the files hold, if it can be followed; `None` if they have changed under it.
    fn judge(&mut self, registry: &Registry, now: &Snapshot) -> Option<Result<ReloadReport, Error>> {
        // What is wrong with it says more than that it looks half-written.
        let loaded = registry.config().load_again().and_then(|config| {
            let doubts = now.doubts(&self.accepted);
            if doubts.is_empty() {
                Ok(config)
            } else {
                Err(Error::config(doubts))
            }
        });
        if self.accepted.again() != *now {
            return None;
        }
        self.judged = Some(now.clone());
        let config = match loaded {
            Ok(config) => config,
            Err(error) => {
                registry.inner.reloads.refuse();
                tracing::warn!("configuration not reloaded, the earlier one stays in force: {error}");
                return Some(Err(error));
            }
        };
        let outcome = registry.reload(config);
        if outcome.is_ok() {
            // It may name other files.
            self.accepted = Snapshot::of(&registry.config());
            self.judged = Some(self.accepted.clone());
            self.folders.watch(self.accepted.paths());
        }
        Some(outcome)
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
