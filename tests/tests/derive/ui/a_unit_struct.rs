use httputil::PooledClient;

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry")]
struct Exporter;

fn main() {}
