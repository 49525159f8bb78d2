//! `#[derive(PooledClient)]`.

use proc_macro::TokenStream;

/// Stub.
#[proc_macro_derive(PooledClient, attributes(pooled_client))]
pub fn pooled_client(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}
