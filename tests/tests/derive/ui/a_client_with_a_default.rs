use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: Client,
    #[pooled_client(profile = "audit", default)]
    audit: Client,
}

fn main() {}
