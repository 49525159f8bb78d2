use httputil::{Client, PooledClient};

#[derive(PooledClient)]
struct Exporter {
    client: Client,
}

fn main() {}
