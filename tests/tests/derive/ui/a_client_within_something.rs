use std::sync::Arc;

use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: Option<Client>,
}

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Shared {
    name: String,
    client: Arc<httputil::Client>,
}

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Borrowing<'a> {
    client: &'a Client,
}

fn main() {}
