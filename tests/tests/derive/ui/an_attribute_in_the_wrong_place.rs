use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry", setting)]
struct Exporter {
    client: Client,
    #[pooled_client(constructor = "connect")]
    endpoint: String,
}

fn main() {}
