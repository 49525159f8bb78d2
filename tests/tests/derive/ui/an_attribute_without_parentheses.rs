use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client = "telemetry"]
struct Exporter {
    client: Client,
    #[pooled_client]
    endpoint: String,
}

fn main() {}
