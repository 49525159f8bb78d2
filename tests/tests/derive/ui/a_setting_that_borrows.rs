use std::path::Path;

use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter<'a> {
    client: Client,
    #[pooled_client(setting)]
    endpoint: &'a str,
    #[pooled_client(setting)]
    tenant: Option<&'static str>,
    #[pooled_client(setting)]
    sizes: &'a [u8],
    #[pooled_client(setting)]
    folder: &'a Path,
    #[pooled_client(setting)]
    number: &'a u8,
}

fn main() {}
