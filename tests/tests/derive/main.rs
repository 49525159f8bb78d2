//! The derive, as its users meet it: what it writes, what it refuses and in which words, and the profiles it checks.
//!
//! The services here name profiles that the workspace's `config/httputil.toml` has, for the derive looks them up.

mod attributes;
mod compile_fail;
mod farewell;
mod folders;
mod hidden;
mod hygiene;
mod lifecycle;
mod lints;
mod nested;
mod projects;
mod service;
mod settings;
mod support;
