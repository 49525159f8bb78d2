#[allow(dead_code, clippy::too_many_arguments)]
impl SpanExporter {
    /// Builds it from the process-wide registry, on the profile `Telemetry`.
    ///
    /// # Errors
    ///
    /// If the configuration has mistakes, a setting is missing or of another type, or the profile is unknown.
    pub fn new(_: Resource) -> ::core::result::Result<Self, ::httputil::Error> {
        ::core::unreachable!()
    }
    /// Builds it from this registry, on the profile `Telemetry`.
    ///
    /// # Errors
    ///
    /// If the configuration has mistakes, a setting is missing or of another type, or the profile is unknown.
    pub fn with_registry(
        _: &::httputil::Registry,
        _: Resource,
    ) -> ::core::result::Result<Self, ::httputil::Error> {
        ::core::unreachable!()
    }
}
#[automatically_derived]
impl ::httputil::PooledClient for SpanExporter {
    const PROFILE: &'static str = "Telemetry";
    const SETTINGS: &'static [&'static str] = &["endpoint"];
    type Args = Resource;
    fn from_registry(
        _: &::httputil::Registry,
        _: Self::Args,
    ) -> ::core::result::Result<Self, ::httputil::Error> {
        ::core::unreachable!()
    }
    fn client(&self) -> &::httputil::Client {
        ::core::unreachable!()
    }
    fn clients(
        &self,
    ) -> impl ::core::iter::ExactSizeIterator<Item = &::httputil::Client> {
        ::core::iter::empty()
    }
}
::core::compile_error! {
    "a profile's name is lower-case words joined by `_`: did you mean \"telemetry\"?"
}
