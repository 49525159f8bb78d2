use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
enum Exporter {
    Spans(Client),
}

fn main() {}
