use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: Client,
}

impl Drop for Exporter {
    fn drop(&mut self) {}
}

fn main() {}
