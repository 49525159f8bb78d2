//! Names that answer from a script: addresses, none, an error, or nothing at all.
//!
//! ```
//! use httputil_tests::resolver::{Answer, ScriptedResolver};
//!
//! let resolver = ScriptedResolver::new()
//!     .name("two.test", Answer::to(["127.0.0.1:80", "127.0.0.2:80"]))
//!     .name("slow.test", Answer::Hang)
//!     .name("gone.test", Answer::Fail("no such host".into()));
//! assert_eq!(resolver.calls(), 0);
//! ```

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::Location;
use std::sync::Arc;

use reqwest::dns::{Name, Resolve, Resolving};
use tokio::sync::watch;

use crate::PATIENCE;
use crate::gate::Gate;

/// What the resolver says to a name.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These addresses, in this order; port 0 stands for the URL's.
    Addresses(Vec<SocketAddr>),
    /// An answer without an address.
    Empty,
    /// An error with this text.
    Fail(String),
    /// Nothing, ever.
    Hang,
    /// What follows, when the gate opens.
    After(Gate, Box<Answer>),
}

impl Answer {
    /// Addresses written out, such as `["127.0.0.1:0"]`.
    ///
    /// # Panics
    ///
    /// When one is no socket address.
    #[must_use]
    pub fn to<const N: usize>(addresses: [&str; N]) -> Self {
        Self::Addresses(
            addresses
                .iter()
                .map(|text| text.parse().expect("an address such as 127.0.0.1:0"))
                .collect(),
        )
    }

    /// This answer, held back until the gate opens.
    #[must_use]
    pub fn after(self, gate: &Gate) -> Self {
        Self::After(gate.clone(), Box::new(self))
    }

    async fn give(self) -> Result<Vec<SocketAddr>, String> {
        let mut answer = self;
        loop {
            match answer {
                Self::Addresses(addresses) => return Ok(addresses),
                Self::Empty => return Ok(Vec::new()),
                Self::Fail(why) => return Err(why),
                Self::Hang => std::future::pending().await,
                Self::After(gate, then) => {
                    gate.pass().await;
                    answer = *then;
                }
            }
        }
    }
}

/// A resolver for `reqwest` and for the client under test. Clones share names and counts.
#[derive(Clone, Debug)]
pub struct ScriptedResolver(Arc<watch::Sender<Book>>);

#[derive(Debug, Default)]
struct Book {
    answers: HashMap<String, Answer>,
    calls: Vec<String>,
    pending: usize,
}

impl ScriptedResolver {
    /// One that knows no name: every look-up fails.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Book::default())))
    }

    /// Adds a name.
    #[must_use]
    pub fn name(self, name: &str, answer: Answer) -> Self {
        self.set(name, answer);
        self
    }

    /// Changes what is said to a name from now on.
    pub fn set(&self, name: &str, answer: Answer) {
        self.0.send_modify(|book| {
            book.answers.insert(name.to_owned(), answer);
        });
    }

    /// Look-ups begun.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.0.borrow().calls.len()
    }

    /// The names that were looked up, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.0.borrow().calls.clone()
    }

    /// Look-ups begun for one name.
    #[must_use]
    pub fn calls_for(&self, name: &str) -> usize {
        self.0.borrow().calls.iter().filter(|called| *called == name).count()
    }

    /// Look-ups that have neither answered nor been dropped.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.0.borrow().pending
    }

    /// Waits until `n` look-ups have begun.
    #[track_caller]
    pub fn until_calls(&self, n: usize) -> impl Future<Output = ()> {
        self.until(format!("{n} look-ups"), move |book| book.calls.len() >= n)
    }

    /// Waits until no look-up is pending.
    #[track_caller]
    pub fn until_quiet(&self) -> impl Future<Output = ()> {
        self.until("no pending look-up".to_owned(), |book| book.pending == 0)
    }

    #[track_caller]
    fn until(&self, what: String, mut holds: impl FnMut(&Book) -> bool) -> impl Future<Output = ()> {
        let caller = Location::caller();
        let book = self.0.clone();
        async move {
            let mut news = book.subscribe();
            let seen = tokio::time::timeout(PATIENCE, news.wait_for(|book| holds(book))).await;
            assert!(
                seen.is_ok(),
                "{caller}: waited {PATIENCE:?} for {what}; the resolver saw {:?}",
                book.borrow()
            );
        }
    }
}

impl Default for ScriptedResolver {
    fn default() -> Self {
        Self::new()
    }
}

impl Resolve for ScriptedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let mut answer = None;
        self.0.send_modify(|book| {
            answer = book.answers.get(&name).cloned();
            book.calls.push(name.clone());
            book.pending += 1;
        });
        let pending = Pending(self.clone());
        Box::pin(async move {
            let _pending = pending;
            let answer = answer.unwrap_or_else(|| Answer::Fail(format!("the script has no name {name}")));
            let addresses = answer.give().await?;
            Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

struct Pending(ScriptedResolver);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.0.send_modify(|book| book.pending -= 1);
    }
}
