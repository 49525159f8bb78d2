use httputil::{Client, PooledClient};

fn farewell(_: &Exporter) {}

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry", on_stop = farewell)]
struct Exporter {
    client: Client,
}

fn main() {}
