use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(name = "telemetry")]
struct Exporter {
    client: Client,
    #[pooled_client(rename = "url")]
    endpoint: String,
    #[pooled_client(skip)]
    seen: u64,
}

#[derive(PooledClient)]
#[pooled_client(endpoint = "telemetry")]
struct Other {
    client: Client,
}

fn main() {}
