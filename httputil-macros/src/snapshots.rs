//! What the derive prints, as a person would read it with cargo-expand.
//!
//! `snapshots/*.rs` hold the expansions; `UPDATE_SNAPSHOTS=1 cargo test -p httputil-macros` writes them anew.

use syn::{DeriveInput, parse_quote};

use crate::profiles::Place;

fn expansion(input: &DeriveInput) -> String {
    let tokens = crate::derive(
        input,
        &Place {
            folder: None,
            config_var: None,
        },
    );
    prettyplease::unparse(&syn::parse2(tokens).expect("the expansion is a sequence of items"))
}

fn compare(name: &str, input: &DeriveInput) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("snapshots")
        .join(format!("{name}.rs"));
    let got = expansion(input);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, &got).expect("the snapshot can be written");
    }
    let wanted = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        got == wanted,
        "{} is out of date; the derive now prints:\n{got}",
        file.display()
    );
}

#[test]
fn a_service_with_one_field_of_each_kind() {
    compare(
        "span_exporter",
        &parse_quote! {
            #[pooled_client(profile = "telemetry")]
            pub struct SpanExporter {
                client: Client,
                #[pooled_client(setting)]
                endpoint: Url,
                #[pooled_client(setting = "batch")]
                batch_size: Option<usize>,
                #[pooled_client(setting, default = 3)]
                tries: u32,
                #[pooled_client(default)]
                exported: AtomicU64,
                resource: Resource,
            }
        },
    );
}

#[test]
fn a_generic_service_with_two_clients_and_its_own_names() {
    compare(
        "generic",
        &parse_quote! {
            #[pooled_client(profile = "replication", constructor = "pub(crate) connect", crate = prelude::http)]
            struct Replica<'a, T: Clone = u8, const N: usize = 4>
            where
                T: Send,
            {
                #[pooled_client(profile = "telemetry")]
                audit: Client,
                source: prelude::http::Client,
                #[pooled_client(setting)]
                limits: [T; N],
                #[pooled_client(default)]
                seen: Vec<T>,
                r#type: &'a str,
                registry: T,
            }
        },
    );
}

#[test]
fn an_isolated_service_with_a_farewell() {
    compare(
        "isolated",
        &parse_quote! {
            #[pooled_client(profile = "default", isolated, on_stop = ends::farewell)]
            struct Alone { client: Client }
        },
    );
}

#[test]
fn a_service_without_drop() {
    compare(
        "without_drop",
        &parse_quote! {
            #[pooled_client(profile = "default", drop = "none")]
            struct Plain { client: httputil::Client }
        },
    );
}

#[test]
fn the_outline_of_a_service_with_a_mistake() {
    compare(
        "outline",
        &parse_quote! {
            #[pooled_client(profile = "Telemetry")]
            pub struct SpanExporter {
                client: Client,
                #[pooled_client(setting)]
                endpoint: Url,
                resource: Resource,
            }
        },
    );
}
