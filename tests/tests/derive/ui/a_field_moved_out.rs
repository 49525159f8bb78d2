use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: Client,
    name: String,
}

fn name(exporter: Exporter) -> String {
    exporter.name
}

fn main() {}
