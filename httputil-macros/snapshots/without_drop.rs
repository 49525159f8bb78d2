#[allow(dead_code, clippy::too_many_arguments)]
impl Plain {
    /// Builds it from the process-wide registry, on the profile `default`.
    ///
    /// # Errors
    ///
    /// If the configuration has mistakes, a setting is missing or of another type, or the profile is unknown.
    fn new() -> ::core::result::Result<Self, ::httputil::Error> {
        <Self as ::httputil::PooledClient>::from_registry(
            &::httputil::Registry::global()?,
            (),
        )
    }
    /// Builds it from this registry, on the profile `default`.
    ///
    /// # Errors
    ///
    /// If the configuration has mistakes, a setting is missing or of another type, or the profile is unknown.
    fn with_registry(
        registry: &::httputil::Registry,
    ) -> ::core::result::Result<Self, ::httputil::Error> {
        <Self as ::httputil::PooledClient>::from_registry(registry, ())
    }
}
#[automatically_derived]
impl ::httputil::PooledClient for Plain {
    const PROFILE: &'static str = "default";
    const SETTINGS: &'static [&'static str] = &[];
    type Args = ();
    fn from_registry(
        registry: &::httputil::Registry,
        (): Self::Args,
    ) -> ::core::result::Result<Self, ::httputil::Error> {
        let mut parts = ::httputil::__private::Parts::of::<Self>(registry);
        let client_ = parts.client("default");
        let parts = parts.complete()?;
        ::core::result::Result::Ok(Self {
            client: parts.take(client_),
        })
    }
    fn client(&self) -> &::httputil::Client {
        &self.client
    }
    fn clients(
        &self,
    ) -> impl ::core::iter::ExactSizeIterator<Item = &::httputil::Client> {
        ::core::iter::IntoIterator::into_iter([&self.client])
    }
}
