use httputil::PooledClient;

mod reqwest {
    pub struct Client;
}

use reqwest::Client;

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter {
    client: Client,
}

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry", drop = "none")]
struct Borrowing<'a> {
    #[pooled_client(client)]
    client: &'a httputil::Client,
}

fn main() {
    let exporter = Exporter::new().unwrap();
    exporter.stop();
    let _ = exporter.client();
}
