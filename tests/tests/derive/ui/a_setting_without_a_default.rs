use httputil::{Client, PooledClient};

#[derive(serde::Deserialize)]
struct Mode;

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: Client,
    #[pooled_client(setting, default)]
    mode: Mode,
}

fn main() {}
