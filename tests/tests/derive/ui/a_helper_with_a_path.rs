use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: Client,
    #[httputil::pooled_client(setting)]
    endpoint: String,
}

fn main() {}
