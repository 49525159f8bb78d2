//! The kit itself, tried with plain clients: what the black-box tests stand on must hold.

mod client;
mod hyper_server;
mod scripted;
mod surroundings;
mod tls;
