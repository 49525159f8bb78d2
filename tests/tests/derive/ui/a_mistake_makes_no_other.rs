use httputil::{Client, PooledClient};

#[derive(PooledClient)]
#[pooled_client(profile = "telemetrY")]
pub struct Exporter {
    client: Client,
    #[pooled_client(setting)]
    endpoint: String,
    name: String,
}

fn generic<S: PooledClient<Args = String>>(registry: &httputil::Registry) {
    let service = S::from_registry(registry, String::new()).unwrap();
    service.client();
    service.stop();
}

fn call(registry: &httputil::Registry) {
    let exporter = Exporter::new("a".to_owned()).unwrap();
    exporter.stop();
    let _ = Exporter::with_registry(registry, exporter.name.clone());
    println!("{} {}", exporter.endpoint, exporter.client.profile());
    generic::<Exporter>(registry);
}

fn main() {
    call(&httputil::Registry::global().unwrap());
}
