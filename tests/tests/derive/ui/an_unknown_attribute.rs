use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profil = "telemetry")]
struct Exporter {
    client: Client,
    #[pooled_client(seting)]
    endpoint: String,
    #[pooled_client(retries = 3)]
    tries: u32,
}

fn main() {}
