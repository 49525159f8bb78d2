use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = telemetry)]
struct Exporter {
    client: Client,
}

fn main() {}
