use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
#[allow(non_snake_case)]
struct Exporter {
    client: Client,
    #[pooled_client(setting = "End-Point")]
    endpoint: String,
    #[pooled_client(setting)]
    maxBatch: usize,
}

fn main() {}
