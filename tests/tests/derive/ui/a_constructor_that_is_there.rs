use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: Client,
}

impl Exporter {
    fn new() -> Exporter {
        unimplemented!()
    }
}

fn main() {}
