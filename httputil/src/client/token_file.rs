//! A token that somebody else renews: a file, read again when it has changed.
//!
//! Requests look at the file once a second, and at once when a token was refused. They look from a thread of their own,
//! since a file may be on a network's disk that hangs, and wait for it for 200 ms; the token that is known serves until a new
//! one is whole. What is empty, or is just being written, is not. One look is for all who were refused meanwhile.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use tokio::sync::watch;
use tokio::time::Instant;

use super::credentials::bearer_of;
use crate::error::ShownPath;
use crate::files;

/// Between two looks.
const PACE: Duration = Duration::from_secs(1);
/// A request waits for a look no longer.
const LONGEST: Duration = Duration::from_millis(200);
/// A file that was written to within this may be written to further.
const SETTLED: Duration = Duration::from_millis(20);

pub(super) struct TokenFile {
    path: PathBuf,
    profile: String,
    state: Arc<Mutex<State>>,
}

struct State {
    token: HeaderValue,
    stamp: Stamp,
    looked: Instant,
    /// The look under way: its end closes the channel.
    looking: Option<watch::Receiver<()>>,
    /// Its last failure was told.
    has_complained: bool,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    number: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            #[cfg(unix)]
            number: std::os::unix::fs::MetadataExt::ino(metadata),
            #[cfg(not(unix))]
            number: 0,
        }
    }

    fn is_settled(&self) -> bool {
        let age = self.modified.and_then(|modified| modified.elapsed().ok());
        age.is_none_or(|age| age >= SETTLED)
    }
}

impl TokenFile {
    /// # Errors
    ///
    /// Why the file holds no token, in words that name it.
    pub(super) fn open(path: &Path, profile: &str) -> Result<TokenFile, String> {
        let (token, stamp) = read(path)?;
        if files::is_open_to_all(path) {
            tracing::warn!(
                file = %ShownPath(path),
                profile,
                "everybody on this machine can read the token (auth.bearer); take the right away: chmod o-r"
            );
        }
        Ok(TokenFile {
            path: path.to_owned(),
            profile: profile.to_owned(),
            state: Arc::new(Mutex::new(State {
                token,
                stamp,
                looked: Instant::now(),
                looking: None,
                has_complained: false,
            })),
        })
    }

    /// The token, if it need not be looked at.
    pub(super) fn known(&self) -> Option<HeaderValue> {
        let state = look(&self.state);
        let is_fresh = state.looking.is_some() || state.looked.elapsed() < PACE;
        is_fresh.then(|| state.token.clone())
    }

    /// The token, after a look at the file.
    pub(super) async fn current(&self) -> HeaderValue {
        self.look().await;
        look(&self.state).token.clone()
    }

    /// The token, if it is another one than this.
    pub(super) async fn other_than(&self, refused: &HeaderValue) -> Option<HeaderValue> {
        let other = || Some(look(&self.state).token.clone()).filter(|token| token != refused);
        if let Some(other) = other() {
            return Some(other);
        }
        let was_under_way = self.look().await;
        // It may have looked before the file changed.
        if was_under_way && other().is_none() {
            self.look().await;
        }
        other()
    }

    /// Looks at the file; or, if somebody does, waits for what comes of that. Whether that was so, and has come to its end.
    async fn look(&self) -> bool {
        let (mut seen, was_under_way) = {
            let mut state = look(&self.state);
            match state.looking.clone() {
                Some(under_way) => (under_way, true),
                None => (self.begin(&mut state), false),
            }
        };
        let is_over = tokio::time::timeout(LONGEST, seen.changed()).await.is_ok();
        was_under_way && is_over
    }

    fn begin(&self, state: &mut State) -> watch::Receiver<()> {
        let (done, seen) = watch::channel(());
        state.looking = Some(seen.clone());
        let (known, path, profile) = (state.stamp, self.path.clone(), self.profile.clone());
        let shared = Arc::clone(&self.state);
        let looking = move || {
            let found = find(&path, known);
            look(&shared).looked(&profile, found);
            drop(done);
        };
        let thread = std::thread::Builder::new().name("httputil-token".to_owned());
        if let Err(error) = thread.spawn(looking) {
            let why = format!("no thread could be started to read it: {error}");
            state.looked(&self.profile, Err(why));
        }
        seen
    }
}

impl State {
    fn looked(&mut self, profile: &str, found: Result<Option<(HeaderValue, Stamp)>, String>) {
        self.looking = None;
        self.looked = Instant::now();
        self.note(profile, found);
    }

    fn note(&mut self, profile: &str, found: Result<Option<(HeaderValue, Stamp)>, String>) {
        match found {
            Ok(Some((token, stamp))) => {
                (self.token, self.stamp) = (token, stamp);
                self.has_complained = false;
                tracing::debug!(profile, "a new token was read (auth.bearer)");
            }
            Err(why) if !self.has_complained => {
                self.has_complained = true;
                tracing::warn!(profile, "the old token serves on (auth.bearer): {why}");
            }
            Ok(None) | Err(_) => {}
        }
    }
}

fn look(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file's token, if the file has changed; waits until it has settled.
fn find(path: &Path, known: Stamp) -> Result<Option<(HeaderValue, Stamp)>, String> {
    let stamp = || path.metadata().map(|metadata| Stamp::of(&metadata));
    for _ in 0..5 {
        let now = stamp().map_err(|error| format!("the file {}: {}", ShownPath(path), files::Refused::from(error)))?;
        if now == known {
            return Ok(None);
        }
        if now.is_settled() {
            return read(path).map(Some);
        }
        std::thread::sleep(SETTLED);
    }
    Err(format!("the file {} is being written all the time", ShownPath(path)))
}

/// The text of a file, but for its last line end.
fn read(path: &Path) -> Result<(HeaderValue, Stamp), String> {
    let shown = ShownPath(path);
    let stamp = || path.metadata().map(|metadata| Stamp::of(&metadata));
    let told = |refused: files::Refused| format!("the file {shown}: {refused}");
    let before = stamp().map_err(|error| told(error.into()))?;
    let bytes = files::read(path).map_err(told)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("the file {shown} is not UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let token = bearer_of(line).map_err(|why| format!("the file {shown}: {why}"))?;
    let after = stamp().map_err(|error| told(error.into()))?;
    if before != after {
        return Err(format!("the file {shown} changed while it was read"));
    }
    Ok((token, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(path: &Path) -> Stamp {
        Stamp::of(&path.metadata().unwrap())
    }

    /// Written long enough ago.
    fn write(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(1)).unwrap();
    }

    #[test]
    fn a_token_is_a_file_s_text_but_for_one_line_end() {
        let file = std::env::temp_dir().join(format!("httputil-token-{}", std::process::id()));
        for (text, token) in [
            ("one", "Bearer one"),
            ("two\n", "Bearer two"),
            ("three\r\n", "Bearer three"),
        ] {
            write(&file, text);
            assert_eq!(read(&file).unwrap().0, token);
        }
        for (text, why) in [
            ("", "the token is empty"),
            ("\n", "the token is empty"),
            ("canary\n\n", "a header can't hold the token"),
            ("canary\0", "a header can't hold the token"),
        ] {
            write(&file, text);
            let error = read(&file).unwrap_err();
            assert!(error.contains(why) && !error.contains("canary"), "{error}");
        }
        write(&file, "one");
        assert!(find(&file, stamped(&file)).unwrap().is_none(), "it has not changed");
        let before = stamped(&file);
        std::fs::remove_file(&file).unwrap();
        assert!(find(&file, before).unwrap_err().ends_with("no such file"));
    }

    #[test]
    fn a_file_that_was_just_written_is_read_when_it_has_settled() {
        let file = std::env::temp_dir().join(format!("httputil-settled-{}", std::process::id()));
        write(&file, "old");
        let before = stamped(&file);
        std::fs::write(&file, "new one").unwrap();
        let (token, stamp) = find(&file, before).unwrap().unwrap();
        let age = stamp.modified.unwrap().elapsed().unwrap();
        assert!(age >= SETTLED, "who wrote it may write on: {age:?}");
        assert_eq!(
            (token, stamp),
            (HeaderValue::from_static("Bearer new one"), stamped(&file))
        );
        std::fs::remove_file(&file).unwrap();
    }
}
