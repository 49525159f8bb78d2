//! The kit itself, tried with plain clients: what the black-box tests stand on must hold.

mod client;
mod distance;
mod h2_scripted;
mod hyper_server;
mod scripted;
mod surroundings;
mod tls;
