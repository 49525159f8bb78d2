use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    #[pooled_client(client, setting)]
    client: Client,
}

fn main() {}
