use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
union Exporter {
    client: std::mem::ManuallyDrop<Client>,
}

fn main() {}
