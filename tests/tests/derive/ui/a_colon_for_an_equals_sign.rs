use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile: "telemetry")]
struct Exporter {
    client: Client,
    #[pooled_client(profile: "audit")]
    audit: Client,
    #[pooled_client(setting, default: 3)]
    tries: u32,
}

fn main() {}
