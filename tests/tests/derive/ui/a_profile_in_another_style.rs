use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "s3-Migration")]
struct Migration {
    client: Client,
}

fn main() {}
