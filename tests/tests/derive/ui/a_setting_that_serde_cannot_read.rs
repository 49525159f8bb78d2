use httputil::{Client, PooledClient};

struct Endpoint;

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: Client,
    #[pooled_client(setting)]
    endpoint: Endpoint,
}

fn main() {}
