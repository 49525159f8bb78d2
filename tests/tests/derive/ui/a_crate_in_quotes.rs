use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry", crate = "::httputil")]
struct Exporter {
    client: Client,
}

fn main() {}
