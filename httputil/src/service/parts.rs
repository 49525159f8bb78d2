//! Collects what a service is made of, and every reason why a part is missing.
//!
//! ```text
//! Parts::of ─► client / required / optional / or_else, each a Part ─► complete ─► take the parts, or one Error
//! ```
//!
//! Nothing fails before `complete`: the user hears of all problems at once, of settings that nobody reads because they
//! are misspelt too. A [`Part`] can be opened only by the
//! [`Complete`] that says that all parts are there.

use crate::client::Client;
use crate::config::{Config, Ignored, Keys, WrittenSetting};
use crate::error::{Error, Origin, Problem};
use crate::registry::{Registry, ServiceInfo};

use super::PooledClient;
use super::farewell::{self, Farewell, IsFarewell};
use super::nearness::{Nearness, meant, nearest};
use super::readable::{Readable, WithDefault};
use super::setting;

/// The parts of one service, while they are gathered.
#[derive(Debug)]
pub struct Parts<'r> {
    registry: &'r Registry,
    config: Config,
    profile: &'static str,
    type_name: &'static str,
    service: &'static str,
    /// Whether the type has a pool of its own.
    is_isolated: bool,
    on_stop: Option<Farewell>,
    /// What was leased, the client of its own profile first.
    clients: Vec<Client>,
    /// What the service reads from its settings.
    keys: &'static [&'static str],
    /// Without its profile a service has no settings, and that is one problem, not one for each.
    has_profile: bool,
    /// What the settings' types passed over in their tables, with the key of the setting.
    ignored: Vec<(String, Ignored)>,
    /// Settings, or paths into them, that were already said to be misspelt.
    misspelt: Vec<String>,
    problems: Vec<Problem>,
    /// The first failure that is no mistake in the configuration.
    failure: Option<Error>,
}

/// A client or a setting that may be missing.
#[derive(Debug)]
#[must_use]
pub struct Part<T>(Option<T>);

/// Proof that every part is there.
#[derive(Debug)]
pub struct Complete(());

impl<'r> Parts<'r> {
    /// Begins with nothing.
    #[must_use]
    pub fn of<S: PooledClient>(registry: &'r Registry) -> Parts<'r> {
        let config = registry.config();
        registry.remember_settings(S::PROFILE, S::SETTINGS.iter().copied());
        let has_profile = config.profile(S::PROFILE).is_ok();
        Parts {
            registry,
            config,
            profile: S::PROFILE,
            type_name: std::any::type_name::<S>(),
            service: setting::short_name(std::any::type_name::<S>()),
            is_isolated: false,
            on_stop: None,
            clients: Vec::new(),
            keys: S::SETTINGS,
            has_profile,
            ignored: Vec::new(),
            misspelt: Vec::new(),
            problems: Vec::new(),
            failure: None,
        }
    }

    /// Gives the type a pool of its own, `profile/Type`.
    pub fn isolate(&mut self) {
        self.is_isolated = true;
    }

    /// Calls this once, when the lease of the service's own client ends.
    pub fn on_stop(&mut self, farewell: impl IsFarewell + Send + Sync + 'static) {
        self.on_stop = Some(Farewell::of(farewell));
    }

    /// A lease on the pool of `profile`.
    pub(super) fn client(&mut self, profile: &str) -> Part<Client> {
        let is_own = profile == self.profile;
        let leased = if is_own && self.is_isolated {
            let type_name = self.type_name.split('<').next().unwrap_or(self.type_name);
            self.registry.isolated_client(profile, type_name)
        } else {
            self.registry.client(profile)
        };
        if let Ok(client) = &leased {
            let place = if is_own { 0 } else { self.clients.len() };
            self.clients.insert(place, client.clone());
        }
        self.part(leased)
    }

    /// A setting that must be there.
    pub fn required<T: Readable>(&mut self, key: &str) -> Part<T> {
        let found = self.read::<T>(key);
        if let Part(Some(None)) = found
            && self.has_profile
        {
            let problem = self.misspelt(key);
            let problem = problem.unwrap_or_else(|| setting::missing::<T>(self.service, self.profile, key));
            self.problems.push(problem);
        }
        Part(found.0.flatten())
    }

    /// A setting that may be left out.
    pub fn optional<T: Readable>(&mut self, key: &str) -> Part<Option<T>> {
        self.read(key)
    }

    /// A setting with a value for when it is left out.
    pub fn or_else<T: Readable>(&mut self, key: &str, fallback: impl FnOnce() -> T) -> Part<T> {
        Part(self.read(key).0.map(|found| found.unwrap_or_else(fallback)))
    }

    /// A setting with its type's default for when it is left out.
    pub fn or_default<T: Readable + WithDefault>(&mut self, key: &str) -> Part<T> {
        self.or_else(key, T::make)
    }

    /// Whether all is there; if not, everything that is wrong.
    pub fn complete(mut self) -> Result<Complete, Error> {
        self.find_near_misses();
        match (self.problems.is_empty(), self.failure) {
            (false, _) => Err(Error::config(self.config.underlined(self.problems))),
            (true, Some(failure)) => Err(failure),
            (true, None) => {
                if let Some(own) = self.clients.first() {
                    let info = ServiceInfo::of(self.type_name, self.profile, own);
                    // Before it is listed: whoever sees it there can stop it.
                    if let Some(on_stop) = self.on_stop {
                        let info = info.clone();
                        own.at_the_end(move || farewell::say(&on_stop, &info));
                    }
                    self.registry.add_service(info, &self.clients);
                }
                Ok(Complete(()))
            }
        }
    }

    fn read<T: Readable>(&mut self, key: &str) -> Part<Option<T>> {
        if !self.has_profile {
            return Part(None);
        }
        let (read, keys) = self.config.setting_with_keys(self.profile, key);
        let known = keys.known.iter().map(|path| format!("{key}{path}"));
        self.registry.remember_settings(self.profile, known);
        let is_told = read.is_err() && self.lacks_what_is_misspelt(key, &keys);
        let ignored = keys.ignored.into_iter().map(|each| (key.to_owned(), each));
        self.ignored.extend(ignored);
        if is_told { Part(None) } else { self.part(read) }
    }

    /// Whether the key that a table lacks stands there misspelt, which is then told.
    fn lacks_what_is_misspelt(&mut self, setting: &str, keys: &Keys) -> bool {
        let Some((table, missing)) = &keys.missing else {
            return false;
        };
        let mut beside = keys.ignored.iter().filter(|ignored| ignored.table == *table);
        let near = nearest(missing, beside.clone().map(|ignored| ignored.key.as_str()));
        let Some(ignored) = near.and_then(|near| beside.find(|ignored| ignored.key == near)) else {
            return false;
        };
        let path = format!("{setting}{}", ignored.path());
        let problem = setting::misspelt(&ignored.origin, self.service, self.profile, &path, missing, true);
        self.problems.push(problem);
        self.misspelt.push(path);
        true
    }

    /// The setting that was probably meant to be `key`, which is missing: set, near to it, and not read by this service.
    fn misspelt(&mut self, key: &str) -> Option<Problem> {
        let unread = self.unread();
        let near = nearest(key, unread.iter().map(|(key, _)| key.as_str()))?;
        let (_, written) = unread.iter().find(|(unread, _)| unread == near)?;
        let problem = setting::misspelt(&written.origin, self.service, self.profile, near, key, true);
        self.misspelt.push(near.to_owned());
        Some(problem)
    }

    /// What is set, is read by nobody and is near to a setting that this service reads, needed or not. A profile may be
    /// shared: what is near to nothing is another service's, and what may be, is only logged.
    fn find_near_misses(&mut self) {
        if !self.has_profile {
            return;
        }
        for (key, written) in self.unread() {
            let Some((meant, nearness)) = meant(&key, self.keys.iter().copied()) else {
                continue;
            };
            if self.misspelt.contains(&key) {
                continue;
            }
            let problem = setting::misspelt(&written.origin, self.service, self.profile, &key, meant, false);
            let meant = self.config.written_setting(self.profile, meant);
            let meant = meant.map(|meant| meant.is_in_no_file);
            self.tell(problem, is_mistake(nearness, written.is_in_no_file, meant));
        }
        for (setting, ignored) in std::mem::take(&mut self.ignored) {
            self.find_near_miss_within(&setting, &ignored);
        }
    }

    /// The same, of a key in a setting's table.
    fn find_near_miss_within(&mut self, setting: &str, ignored: &Ignored) {
        let path = format!("{setting}{}", ignored.path());
        let Some((meant, nearness)) = meant(&ignored.key, ignored.known.iter().map(String::as_str)) else {
            return;
        };
        if self.misspelt.contains(&path) || self.is_read_elsewhere(setting, ignored) {
            return;
        }
        let problem = setting::misspelt(&ignored.origin, self.service, self.profile, &path, meant, false);
        let beside = ignored.beside(meant);
        let meant = beside.map(|origin| self.is_in_no_file(&format!("{setting}{}.{meant}", ignored.table), origin));
        let is_in_no_file = self.is_in_no_file(&path, &ignored.origin);
        self.tell(problem, is_mistake(nearness, is_in_no_file, meant));
    }

    /// Whether a service that is given this table as well knows the key.
    fn is_read_elsewhere(&self, setting: &str, ignored: &Ignored) -> bool {
        let path = format!("{setting}{}", ignored.path());
        let written = self.config.written_setting(self.profile, &path);
        let written = written.or_else(|| self.config.written_setting(self.profile, setting));
        let readers = self
            .registry
            .readers_of_setting(&format!("{setting}{}", ignored.form()));
        written.is_some_and(|written| readers.into_iter().any(|reader| written.counts_for(reader)))
    }

    /// Whether no file has what is written here, in a table or in an inline table of a variable.
    fn is_in_no_file(&self, path: &str, origin: &Origin) -> bool {
        matches!(origin, Origin::Variable(_) | Origin::Code(_))
            && (self.config.written_setting(self.profile, path)).is_none_or(|written| written.is_in_no_file)
    }

    fn tell(&mut self, problem: Problem, is_mistake: bool) {
        if is_mistake {
            self.problems.push(problem);
        } else {
            tracing::warn!("{problem}");
        }
    }

    /// The settings that are set and that neither this service reads nor any that was asked for before it and is given them.
    fn unread(&self) -> Vec<(String, WrittenSetting)> {
        let set = self.config.setting_keys(self.profile).unwrap_or_default();
        let written = set.into_iter().filter_map(|key| {
            let written = self.config.written_setting(self.profile, &key)?;
            let mut readers = self.registry.readers_of_setting(&key).into_iter();
            (!readers.any(|reader| written.counts_for(reader))).then_some((key, written))
        });
        written.collect()
    }

    /// Keeps the value, or what the error says.
    fn part<T>(&mut self, result: Result<T, Error>) -> Part<T> {
        let error = match result {
            Ok(value) => return Part(Some(value)),
            Err(error) => error,
        };
        if error.problems().is_empty() {
            self.failure.get_or_insert(error);
        } else {
            for problem in error.problems() {
                if !self.problems.contains(problem) {
                    self.problems.push(problem.clone());
                }
            }
        }
        Part(None)
    }
}

/// Whether what is near to a key that is read was meant to be it: where it is a slip; where nothing is set that it may stand
/// beside; and where it came from outside the file, to override what the file has, for then the override would be lost.
/// Of both it is asked whether no file has them.
fn is_mistake(nearness: Nearness, is_in_no_file: bool, meant: Option<bool>) -> bool {
    let overrides = is_in_no_file && meant == Some(false);
    match nearness {
        Nearness::Slip => true,
        Nearness::PerhapsAnother => overrides || meant.is_none(),
        Nearness::OtherDigits => overrides,
    }
}

impl Complete {
    /// Opens a part.
    ///
    /// # Panics
    ///
    /// If the part is another service's and is missing; generated code has one service's only.
    #[must_use]
    pub fn take<T>(&self, part: Part<T>) -> T {
        part.0
            .expect("a missing part is a problem, and with a problem nothing is complete")
    }
}
