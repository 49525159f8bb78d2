use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    #[pooled_client(client)]
    client: String,
    #[pooled_client(default)]
    handle: Option<Client>,
}

fn main() {}
