use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry", profile = "audit")]
#[pooled_client(unchecked)]
#[pooled_client(unchecked)]
struct Exporter {
    client: Client,
}

fn main() {}
