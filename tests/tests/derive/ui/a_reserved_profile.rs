use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "global")]
struct Exporter {
    client: Client,
}

fn main() {}
