use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile)]
struct Exporter {
    client: Client,
}

fn main() {}
