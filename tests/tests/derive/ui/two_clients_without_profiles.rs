use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    spans: Client,
    metrics: Client,
}

fn main() {}
