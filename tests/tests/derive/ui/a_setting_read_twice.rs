use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: Client,
    #[pooled_client(setting)]
    endpoint: String,
    #[pooled_client(setting = "endpoint")]
    target: String,
}

fn main() {}
