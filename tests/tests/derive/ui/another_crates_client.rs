use httputil::PooledClient;

mod aws {
    pub struct Client;
}

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: aws::Client,
}

fn main() {}
