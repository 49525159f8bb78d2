//! From a name to a stream that speaks HTTP: each phase's bound and error, whom TLS trusts, which protocol is spoken, and
//! on whose runtime.
//!
//! Everything is seen from outside: what the client says, and what a server on loopback saw. Nothing here trusts the
//! platform's roots, looks at the process's proxy variables, or needs a network.

mod addresses;
mod base_url;
mod bounds;
mod ca_files;
mod certificates;
mod client_certificates;
mod crls;
mod dns;
mod dns_balance;
mod dns_balance_faults;
mod dns_overrides;
mod egress;
mod egress_proxies;
mod elsewhere;
mod faults;
mod header_bounds;
mod identities;
mod insecure;
mod no_new_connection;
mod pins;
mod protocol;
mod proxy_connect;
mod proxy_down;
mod proxy_forward;
mod proxy_hostile;
mod proxy_kept;
mod proxy_login;
mod proxy_routes;
mod proxy_secrets;
mod proxy_socks;
mod proxy_tls;
mod race;
mod runtimes;
mod scene;
mod server_name;
mod tcp_options;
mod tower_door;
#[cfg(unix)]
mod unix_sockets;
mod urls;
mod versions;
