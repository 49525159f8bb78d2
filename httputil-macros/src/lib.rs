//! `#[derive(PooledClient)]` for [httputil](https://docs.rs/httputil).
//!
//! ```text
//! tokens ─► parse (attributes as written) ─► check (rules) ─► model::Service ─► profiles (the file) ─► expand ─► tokens
//! ```
//!
//! The rule that holds it together: every room adds its mistakes to one list and goes on, and `expand` prints a valid
//! service or, beside the errors, its outline. So all mistakes of a struct are told at once, and none makes another.

mod check;
mod errors;
mod expand;
mod locate;
mod model;
mod nearest;
mod parse;
mod profiles;
mod toml_words;
mod types;

#[cfg(test)]
mod snapshots;

use proc_macro2::TokenStream;
use syn::{DeriveInput, parse_macro_input};

use crate::errors::Errors;
use crate::profiles::Place;

/// Makes a struct a service: it is built from the configuration, leases the shared pool of its profile, and gives the
/// lease back.
///
/// ```no_run
/// use std::sync::atomic::AtomicU64;
/// use std::time::Duration;
///
/// use httputil::{Client, PooledClient, Registry};
/// use url::Url;
///
/// /// Ships finished spans to the collector.
/// #[derive(PooledClient)]
/// #[pooled_client(profile = "telemetry")]
/// pub struct SpanExporter {
///     client: Client, // found by its type, leased from the profile's pool
///     #[pooled_client(setting)]
///     endpoint: Url, // read from [telemetry.settings] endpoint = "…"
///     #[pooled_client(default)]
///     exported: AtomicU64, // Default::default()
///     tenant: String, // anything else is an argument of the constructors
/// }
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let exporter = SpanExporter::new("acme".to_owned())?; // the process-wide registry
/// # let registry = Registry::builder().build()?;
/// let another = SpanExporter::with_registry(&registry, "acme".to_owned())?; // an explicit one
///
/// exporter.stop(); // or drop it
/// another.shutdown(Duration::from_secs(5)).await; // stop, and wait for what is in flight
/// # Ok(())
/// # }
/// ```
///
/// # What it writes
///
/// - The constructors `new(arguments…)` and `with_registry(&registry, arguments…)`, as visible as the struct.
/// - The trait `PooledClient`: the profile's name, the keys of the settings, `from_registry`, `client`, `clients`,
///   `stop` and `shutdown`.
/// - `Drop`, which gives the struct's hold on its leases back. A service that derives `Clone` works: its last clone
///   closes the idle connections.
///
/// # On the struct
///
/// | attribute | meaning |
/// |---|---|
/// | `profile = "telemetry"` | required: whose pool and policy the client has, and whose `settings` are read; `"default"` is one |
/// | `constructor = "connect"` | the constructors are `connect` and `connect_with`; `"pub(crate) connect"` sets their visibility too; for a struct that has a `new` of its own |
/// | `drop = "none"` | no `Drop`, for a struct whose fields are moved out or that has its own; each hold goes back with its field |
/// | `on_stop = path` | this `fn(&ServiceInfo)` is called once for each service: at its first `stop` or `shutdown`, else when its last clone is dropped; if it panics, that is logged and stops nothing else |
/// | `isolated` | the type has a pool of its own, named `profile/Type` (`profile/module::Type` where another type has that name), with the profile's settings |
/// | `unchecked` | the profile is looked up at run time only |
/// | `crate = path` | where httputil's items are, if not at `::httputil` |
///
/// # On a field
///
/// | attribute | meaning |
/// |---|---|
/// | none | a field written `Client` or `httputil::Client` is the client, any other an argument of the constructors |
/// | `client` | the client, under another name of the type |
/// | `profile = "other"` | a further client, of another profile |
/// | `setting` | read from `[profile.settings]`, by the field's name; `Option` makes it optional |
/// | `setting = "key"` | the same, by this key |
/// | `setting, default = expr` | if it is not set, this value; `setting, default` takes `Default::default()` |
/// | `default` | `Default::default()` |
/// | `default = expr` | this value, made anew for each service |
/// | `argument` | an argument, though the type is written as some `Client` |
///
/// A setting is anything that implements serde's `Deserialize`. `from_registry` reports all settings that are missing,
/// wrong or misspelt together. What is set and near to no key of the service, or to be read by another service of the
/// profile that was built before, is left alone; what may be a word of its own beside a key that is set as well,
/// `endpoints` beside `endpoint`, is only logged, unless only a variable or code gives it: then it was to override that.
/// The same holds for the keys in a setting's tables, `[profile.settings.queue]`, as far as its type passes them over: of a
/// struct those that are no fields, also where it is flattened into another one or a form of an enum. (A type that takes
/// any key, such as a map, reads them all.)
/// The type of an argument of a `pub` service must be `pub` too, for it is part of `PooledClient::Args`.
///
/// # Misspelt profiles
///
/// The derive looks every profile up in the file that the program would read: from the crate's folder upward,
/// `httputil.toml` or `config/httputil.toml`, to the first folder with `Cargo.lock` or `.git`, and the
/// `httputil.<env>.toml` files beside it. A profile that is in none of them does not compile. Editing such a file
/// builds the crate again. Without a file, in crates from a registry, a git checkout or a vendor folder, and with
/// `unchecked`, nothing is looked up before run time.
#[proc_macro_derive(PooledClient, attributes(pooled_client))]
pub fn pooled_client(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive(&input, &Place::of_this_build()).into()
}

fn derive(input: &DeriveInput, place: &Place) -> TokenStream {
    let mut errors = Errors::default();
    let service = check::service(input, &mut errors);
    let watched = profiles::check(&service, place, &mut errors);
    match errors.finish() {
        None => expand::service(&service, watched.as_deref()),
        Some(error) => {
            let mut tokens = TokenStream::new();
            if service.is_sized() {
                tokens.extend(expand::outline(&service));
            }
            tokens.extend(expand::watch(watched.as_deref()));
            tokens.extend(error.to_compile_error());
            tokens
        }
    }
}
