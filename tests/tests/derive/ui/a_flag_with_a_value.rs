use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry", unchecked = true)]
struct Exporter {
    #[pooled_client(client = "yes")]
    client: Client,
}

fn main() {}
