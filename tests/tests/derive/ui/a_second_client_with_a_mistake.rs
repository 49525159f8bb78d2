use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Isolated {
    client: Client,
    #[pooled_client(isolated)]
    other: Client,
}

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Setting {
    client: Client,
    #[pooled_client(setting, client)]
    other: Client,
}

fn main() {}
