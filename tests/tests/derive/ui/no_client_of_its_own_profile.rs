use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    #[pooled_client(profile = "audit")]
    client: Client,
}

fn main() {}
