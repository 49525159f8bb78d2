use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry", on_stop = |_| {})]
struct Closure {
    client: Client,
}

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry", on_stop)]
struct Nothing {
    client: Client,
}

#[derive(PooledClient)]
#[pooled_client(profile = "telemetry", on_stop = "farewell")]
struct Text {
    client: Client,
}

fn main() {}
