use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: Client,
    #[pooled_client(setting)]
    endpoint: str,
}

fn main() {}
