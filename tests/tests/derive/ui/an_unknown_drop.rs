use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry", drop = "never")]
struct Exporter {
    client: Client,
}

fn main() {}
