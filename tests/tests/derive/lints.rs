//! The code keeps the strictest lints, without a prelude: this file does not compile otherwise.
#![deny(
    missing_docs,
    unreachable_pub,
    unused,
    clippy::all,
    clippy::pedantic,
    clippy::nursery
)]
// The test's own modules, which `unreachable_pub` wants as they are.
#![allow(clippy::redundant_pub_crate)]

/// Where nothing is imported, not even the prelude.
#[no_implicit_prelude]
pub(crate) mod strict {
    /// A documented service.
    #[derive(::core::fmt::Debug, ::core::clone::Clone, ::httputil::PooledClient)]
    #[pooled_client(profile = "telemetry")]
    pub(crate) struct Strict<T> {
        client: ::httputil::Client,
        #[pooled_client(profile = "audit")]
        audit: ::httputil::Client,
        /// A setting.
        #[pooled_client(setting, default = ::std::string::String::new())]
        pub(crate) endpoint: ::std::string::String,
        /// Another.
        #[pooled_client(setting)]
        pub(crate) tries: ::core::option::Option<u32>,
        #[pooled_client(default)]
        pub(crate) count: u8,
        /// Eight arguments are more than clippy likes.
        pub(crate) one: T,
        pub(crate) two: u8,
        pub(crate) three: u8,
        pub(crate) four: u8,
        pub(crate) five: u8,
        pub(crate) six: u8,
        pub(crate) seven: u8,
        pub(crate) eight: ::std::string::String,
    }
}

#[test]
fn the_strictest_lints_find_nothing() {
    let registry = crate::support::registry("[telemetry]\n[audit]\n");
    let strict = strict::Strict::with_registry(&registry, 'a', 2, 3, 4, 5, 6, 7, String::new()).unwrap();
    assert_eq!(
        (strict.endpoint.as_str(), strict.tries, strict.count, strict.one),
        ("", None, 0, 'a')
    );
    let numbers = [
        strict.two,
        strict.three,
        strict.four,
        strict.five,
        strict.six,
        strict.seven,
    ];
    assert_eq!((numbers, strict.eight.as_str()), ([2, 3, 4, 5, 6, 7], ""));
}
