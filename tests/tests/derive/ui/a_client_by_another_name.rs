use httputil::{Client, PooledClient};

type C = Client;

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: C,
}

fn main() {}
