//! The way through a proxy: which one a request takes, and what is said to it.
//!
//! ```text
//! variables, keys ─► Proxies ─► Route ─┬─ Direct
//!                                      ├─ Forward: the proxy is sent the request, its target in absolute-form
//!                                      └─ Tunnel:  CONNECT or SOCKS5, then as if there were no proxy
//! ```
//!
//! The rule: what goes wrong before the target itself is spoken to is told as the proxy's, by its name, never with its
//! credentials; and what is the proxy's fault for all hosts is remembered once, in the proxy's own [`Health`].
//!
//! CONNECT and SOCKS are written here: hyper-util's tunnel keeps no status of a refusal, takes no 2xx but 200 and drops
//! the bytes behind the head; its SOCKS errors cannot be named outside of it, so that no reply code could be told, it
//! reads past the reply, and it resolves names by a call that blocks.

mod connect;
mod credentials;
mod environment;
mod exceptions;
mod failure;
mod head;
mod health;
mod proxies;
mod route;
mod server;
mod socks;
mod through;

pub(crate) use environment::explained as proxy_variable;
pub(crate) use exceptions::check_exception;
pub(crate) use proxies::Proxies;
pub(crate) use route::Route;
pub(crate) use server::{ProxyServer, check_url, shown_url};

use health::Health;
