//! What an annotated struct costs its crate's build: the derive's own part, which must stay below 5 ms.
//!
//! Cargo builds a derive without optimisation in every profile but those that say otherwise, and so is this test built: it
//! measures what users have. The figure is the median of many expansions, so that a machine with other things to do does not
//! spoil it. What the compiler makes of the expansion is measured by the bench `derive` of the tests.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use syn::DeriveInput;

use crate::profiles::Place;

const STRUCTS: usize = 200;
const MOST: Duration = Duration::from_millis(5);

fn service(number: usize, profile: &str) -> String {
    format!(
        "#[pooled_client(profile = \"{profile}\")] pub struct Service{number} {{
             client: Client,
             #[pooled_client(setting)] endpoint: Url,
             #[pooled_client(setting = \"batch\")] batch_size: Option<usize>,
             #[pooled_client(setting, default = 3)] tries: u32,
             #[pooled_client(default)] exported: AtomicU64,
             resource: Resource,
         }}"
    )
}

/// How long an expansion takes, in the middle of many: from the tokens that the compiler hands over to those that it gets.
fn median(folder: &Path, profile: &str) -> Duration {
    let place = Place {
        folder: Some(folder.to_owned()),
        config_var: None,
    };
    let mut times: Vec<Duration> = (0..STRUCTS)
        .map(|number| {
            let tokens: proc_macro2::TokenStream = service(number, profile).parse().unwrap();
            let began = Instant::now();
            let input: DeriveInput = syn::parse2(tokens).unwrap();
            let expansion = crate::derive(&input, &place);
            let took = began.elapsed();
            assert!(!expansion.to_string().contains("compile_error"), "{expansion}");
            took
        })
        .collect();
    times.sort_unstable();
    times[STRUCTS / 2]
}

#[test]
fn a_struct_costs_less_than_five_milliseconds_with_the_file_of_the_ten_services() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let took = median(workspace, "default");
    println!("an expansion: {took:?}");
    assert!(took < MOST, "{took:?}");
}

#[test]
fn a_struct_costs_no_more_with_a_thousand_profiles_in_several_files() {
    let folder = tempfile::tempdir().unwrap();
    let text = (0..1000).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "[service_{number}]\ntimeout = \"10s\"\n[service_{number}.pool]\nmax_idle = 7\n[service_{number}.settings]\nendpoint = \"http://x\"");
        text
    });
    for name in ["httputil.toml", "httputil.staging.toml", "httputil.production.toml"] {
        std::fs::write(folder.path().join(name), &text).unwrap();
    }
    let took = median(folder.path(), "service_999");
    println!("an expansion: {took:?}");
    assert!(took < MOST, "{took:?}");
}
