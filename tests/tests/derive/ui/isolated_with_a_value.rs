use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry", isolated = true)]
struct Exporter {
    client: Client,
}

fn main() {}
