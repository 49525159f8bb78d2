//! The kit itself, tried with plain clients: what the black-box tests stand on must hold.

mod client;
mod hyper_server;
mod surroundings;
mod tls;
