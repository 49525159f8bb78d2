//! The thread that looks after the files.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

#[cfg(feature = "watch")]
use super::folders::Folders;
use super::snapshot::Snapshot;
use crate::config::Config;
use crate::error::{Error, Problem};
use crate::registry::names::Inner;
use crate::registry::{Registry, ReloadReport};

/// Some file systems tell nothing (NFS, some bind mounts): the files are looked at so often in any case.
#[cfg(feature = "watch")]
const LOOKS_EVERY: Duration = Duration::from_secs(30);

/// The same where the system is not asked to tell.
const LOOKS_ALONE_EVERY: Duration = Duration::from_secs(5);

/// For so long the files must stay as they are.
pub(super) const SETTLES: Duration = Duration::from_millis(200);

/// For so many times as long a file must stay that is no more than the beginning of what it was.
const BEGINNINGS_SETTLE: u32 = 25;

pub(super) type OnReload = Box<dyn Fn(Result<ReloadReport, Error>) + Send>;

/// How to watch.
pub(super) struct Order {
    pub(super) settles: Duration,
    pub(super) on_reload: Option<OnReload>,
    is_by_itself: bool,
}

impl Order {
    pub(super) fn by_itself() -> Order {
        Order {
            settles: SETTLES,
            on_reload: None,
            is_by_itself: true,
        }
    }

    #[cfg(feature = "watch")]
    pub(super) fn of_program(settles: Duration, on_reload: Option<OnReload>) -> Order {
        Order {
            settles,
            on_reload,
            is_by_itself: false,
        }
    }
}

/// What the thread shares with those who wake and end it.
pub(super) struct Shared {
    is_over: AtomicBool,
    is_by_itself: bool,
    wake: SyncSender<()>,
}

impl Shared {
    pub(super) fn wake(&self) {
        // One that is not taken yet says the same.
        let _ = self.wake.try_send(());
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    pub(super) fn is_by_itself(&self) -> bool {
        self.is_by_itself
    }
}

/// Begins to watch the files of `config`, and of whatever is in force later.
///
/// # Errors
///
/// That the system gives no thread; or no watcher (its bound on them is reached), which whoever watches by itself does
/// without.
pub(super) fn start(registry: &Registry, config: Config, order: Order) -> Result<(Arc<Shared>, JoinHandle<()>), Error> {
    let failed = |why: &dyn std::fmt::Display| {
        let message = format!("the configuration's files cannot be watched: {why}");
        Error::config(vec![Problem::new(message)])
    };
    let (wake, wakes) = mpsc::sync_channel(1);
    let shared = Arc::new(Shared {
        is_over: AtomicBool::new(false),
        is_by_itself: order.is_by_itself,
        wake,
    });
    let accepted = Snapshot::of(&config, follows_all(&config, &shared));
    let mut notice = Notice::of(&shared).or_else(|why| {
        if !order.is_by_itself {
            return Err(failed(&why));
        }
        tracing::warn!("the system tells of no changes of files, so they are looked at now and then: {why}");
        Ok(Notice::ByLooking)
    })?;
    notice.watch(accepted.paths());
    let watching = Watching {
        registry: Arc::downgrade(&registry.inner),
        judged: None,
        beginning: None,
        followed: config,
        order,
        shared: Arc::clone(&shared),
        wakes,
        notice,
        accepted,
    };
    let thread = thread::Builder::new().name("httputil-watch".to_owned());
    let thread = thread.spawn(move || watching.run()).map_err(|error| failed(&error))?;
    registry.inner.watchers.add(&shared);
    shared.wake();
    Ok((shared, thread))
}

/// Whether all files are followed, not only certificates, keys and revocation lists.
fn follows_all(config: &Config, shared: &Shared) -> bool {
    !shared.is_by_itself || config.registry().watch
}

/// How it comes to be known that something may have changed.
enum Notice {
    #[cfg(feature = "watch")]
    BySystem(Folders),
    ByLooking,
}

impl Notice {
    #[cfg(feature = "watch")]
    fn of(shared: &Arc<Shared>) -> notify::Result<Notice> {
        let told = Arc::clone(shared);
        Folders::new(move || told.wake()).map(Notice::BySystem)
    }

    #[cfg(not(feature = "watch"))]
    #[expect(clippy::unnecessary_wraps, reason = "as with the feature")]
    fn of(_: &Arc<Shared>) -> Result<Notice, std::convert::Infallible> {
        Ok(Notice::ByLooking)
    }

    fn watch<'a>(&mut self, files: impl Iterator<Item = &'a Path> + Clone) {
        match self {
            #[cfg(feature = "watch")]
            Notice::BySystem(folders) => folders.watch(&files),
            Notice::ByLooking => drop(files),
        }
    }

    /// Until the next look, if nothing is told.
    fn pause(&self) -> Duration {
        match self {
            #[cfg(feature = "watch")]
            Notice::BySystem(_) => LOOKS_EVERY,
            Notice::ByLooking => LOOKS_ALONE_EVERY,
        }
    }
}

struct Watching {
    registry: Weak<Inner>,
    order: Order,
    shared: Arc<Shared>,
    wakes: Receiver<()>,
    notice: Notice,
    /// The configuration whose files these are.
    followed: Config,
    /// What the files held when they were last followed.
    accepted: Snapshot,
    /// What they held when they were last judged, well or not. Nothing at first, and after somebody else's reload: they may
    /// have changed since they were loaded.
    judged: Option<Snapshot>,
    /// What they held when a file was found to be no more than the beginning of what it was, since when, and still.
    beginning: Option<(Snapshot, Instant)>,
}

impl Watching {
    fn run(mut self) {
        loop {
            let _ = self.wakes.recv_timeout(self.pause());
            if self.is_over() || !self.find_in_force() {
                return;
            }
            let Some(now) = self.settled() else { return };
            let is_first = self.judged.is_none();
            if self.beginning.as_ref().is_some_and(|(beginning, _)| *beginning != now) {
                self.beginning = None;
            }
            if self.judged.as_ref() == Some(&now) && !self.has_stayed() {
                continue;
            }
            let Some(inner) = self.registry.upgrade() else { return };
            if self.shared.is_by_itself && inner.watchers.has_guard() {
                continue;
            }
            let Some(outcome) = self.judge(&Registry { inner }, &now) else {
                // Something changed while it was read.
                self.shared.wake();
                continue;
            };
            if is_first && outcome.as_ref().is_ok_and(ReloadReport::is_nothing) {
                continue;
            }
            if let Some(on_reload) = &self.order.on_reload {
                let told = catch_unwind(AssertUnwindSafe(|| on_reload(outcome)));
                if told.is_err() {
                    tracing::error!("the callback of a reload panicked");
                }
            }
        }
    }

    /// Until the next look, if nothing is told.
    fn pause(&self) -> Duration {
        let stays = self
            .beginning
            .as_ref()
            .map(|(_, since)| self.waits().saturating_sub(since.elapsed()));
        stays.map_or(self.notice.pause(), |stays| stays.min(self.notice.pause()))
    }

    /// For how long a file must stay that is no more than the beginning of what it was.
    fn waits(&self) -> Duration {
        self.order.settles * BEGINNINGS_SETTLE
    }

    /// Whether what looked like a beginning has been so for long enough to be meant.
    fn has_stayed(&self) -> bool {
        self.beginning
            .as_ref()
            .is_some_and(|(_, since)| since.elapsed() >= self.waits())
    }

    /// Somebody else may have put another configuration in force: its files count from now on. Not if the registry is gone.
    fn find_in_force(&mut self) -> bool {
        let Some(inner) = self.registry.upgrade() else {
            return false;
        };
        let config = inner.holding().config.clone();
        if !config.is(&self.followed) {
            let holds = self.look_at(&config);
            self.accept(config, holds);
            self.judged = None;
        }
        true
    }

    /// What the files of a configuration hold now.
    fn look_at(&self, config: &Config) -> Snapshot {
        Snapshot::of(config, follows_all(config, &self.shared))
    }

    /// The configuration is followed, whose files hold this.
    fn accept(&mut self, config: Config, holds: Snapshot) {
        self.accepted = holds;
        self.judged = Some(self.accepted.clone());
        self.beginning = None;
        self.followed = config;
        self.notice.watch(self.accepted.paths());
    }

    /// What the files hold when they have not changed for a while; `None` if nobody wants to know any more.
    fn settled(&mut self) -> Option<Snapshot> {
        let mut before = self.accepted.again();
        loop {
            // A folder may have been made anew.
            self.notice.watch(before.paths());
            // Also when nothing of ours has changed: where other things happen all the time, that is often enough.
            let until = Instant::now() + self.order.settles;
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
                // A folder may have gone while its files had gone already.
                self.notice.watch(before.paths());
                return Some(now);
            }
            before = now;
        }
    }

    fn is_over(&self) -> bool {
        self.shared.is_over() || self.registry.strong_count() == 0
    }

    /// Follows what the files hold, if it can be followed; `None` if they, or the configuration in force, have changed under
    /// it.
    fn judge(&mut self, registry: &Registry, now: &Snapshot) -> Option<Result<ReloadReport, Error>> {
        // It may name other files. They are looked at before it is in force, since what changes from then on is news.
        let loaded = self.load(now).map(|config| (self.look_at(&config), config));
        if self.accepted.again() != *now {
            return None;
        }
        let is_first = self.judged.replace(now.clone()).is_none();
        let loaded = loaded.and_then(|(holds, config)| Ok((holds, self.believe(config, now)?)));
        let (holds, config) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                registry.inner.reloads.refuse();
                tracing::warn!("configuration not reloaded, the earlier one stays in force: {error}");
                return Some(Err(error));
            }
        };
        // The same one where it says the same, so that several who watch don't wake each other for ever.
        let same = is_first && config.says_as(&self.followed);
        let config = if same { self.followed.clone() } else { config };
        let outcome = registry.reload_instead(&self.followed, config.clone(), !same)?;
        if outcome.is_ok() {
            self.accept(config, holds);
        }
        Some(outcome)
    }

    fn load(&self, now: &Snapshot) -> Result<Config, Error> {
        let config = if follows_all(&self.followed, &self.shared) {
            // What is wrong with it says more than that it looks half-written.
            self.followed.load_again()?
        } else {
            // The same, whose certificates, keys and revocation lists are read anew.
            self.followed.clone()
        };
        let doubts = now.doubts(&self.accepted);
        if doubts.is_empty() {
            Ok(config)
        } else {
            Err(Error::config(doubts))
        }
    }

    /// What was loaded, unless it may be only the beginning of what is being written.
    fn believe(&mut self, config: Config, now: &Snapshot) -> Result<Config, Error> {
        let beginnings = now.beginnings(&self.accepted, self.waits());
        // Having been told once, it is not told again, but believed.
        if beginnings.is_empty() || self.beginning.take().is_some() {
            return Ok(config);
        }
        self.beginning = Some((now.clone(), Instant::now()));
        Err(Error::config(beginnings))
    }
}
