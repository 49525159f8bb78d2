use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter<C> {
    client: C,
    second: Option<u8>,
}

fn of_ours(_: Exporter<Client>) {}

fn main() {}
