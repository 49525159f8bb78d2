use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "Telemetry", drop = "no")]
pub struct Exporter {
    client: Client,
    second: Client,
    #[pooled_client(setting = 3)]
    endpoint: String,
}

fn main() {}
