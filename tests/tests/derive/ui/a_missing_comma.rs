use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry" unchecked)]
struct Exporter {
    client: Client,
}

fn main() {}
