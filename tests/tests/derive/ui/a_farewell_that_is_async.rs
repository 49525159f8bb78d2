use httputil::{Client, PooledClient};

async fn farewell(_: &httputil::ServiceInfo) {}

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry", on_stop = farewell)]
struct Exporter {
    client: Client,
}

fn main() {}
