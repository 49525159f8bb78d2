use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client("telemetry", isolated)]
struct Exporter {
    client: Client,
    #[pooled_client("endpoint")]
    url: String,
}

fn main() {}
