//! What may be written and is hardly meant.
//!
//! A mistake is refused; this is what works, and surprises: trust that was loosened (`trust`), a bound that never ends
//! anything because another one does before (`unreached`), a key behind a switch that is off (`idle`), a variable that a
//! file is stronger than (`shadowed`), a way that `egress.*` refuses (`refused`), a file of `tls.*` that is not here or
//! holds something else (`unusable`), a secret that its heir has nowhere to send to ([`homeless`](super::homeless)).
//! `httputil check` shows it, and its exit code stays 0.
//!
//! The rule: a warning is about a value that somebody wrote as the strongest word on it. What a profile changes of a
//! parent's on purpose is no surprise, so a parent's value that does nothing there is not mentioned.

mod all;
mod idle;
mod refused;
mod shadowed;
mod trust;
mod unreached;
mod unusable;
