use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry", constructor = "make one")]
struct Exporter {
    client: Client,
}

fn main() {}
