use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: Client,
    #[pooled_client(argument, default = 3)]
    tries: u32,
}

fn main() {}
