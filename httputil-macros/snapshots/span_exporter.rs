#[allow(dead_code, clippy::too_many_arguments)]
impl SpanExporter {
    /// Builds it from the process-wide registry, on the profile `telemetry`.
    ///
    /// # Errors
    ///
    /// If the configuration has mistakes, a setting is missing or of another type, or the profile is unknown.
    pub fn new(resource: Resource) -> ::core::result::Result<Self, ::httputil::Error> {
        <Self as ::httputil::PooledClient>::from_registry(
            &::httputil::Registry::global()?,
            resource,
        )
    }
    /// Builds it from this registry, on the profile `telemetry`.
    ///
    /// # Errors
    ///
    /// If the configuration has mistakes, a setting is missing or of another type, or the profile is unknown.
    pub fn with_registry(
        registry: &::httputil::Registry,
        resource: Resource,
    ) -> ::core::result::Result<Self, ::httputil::Error> {
        <Self as ::httputil::PooledClient>::from_registry(registry, resource)
    }
}
#[automatically_derived]
impl ::httputil::PooledClient for SpanExporter {
    const PROFILE: &'static str = "telemetry";
    const SETTINGS: &'static [&'static str] = &["endpoint", "batch", "tries"];
    type Args = Resource;
    fn from_registry(
        registry: &::httputil::Registry,
        resource_: Self::Args,
    ) -> ::core::result::Result<Self, ::httputil::Error> {
        let mut parts = ::httputil::__private::Parts::of::<Self>(registry);
        let client_ = parts.client("telemetry");
        let endpoint_ = parts.required::<Url>("endpoint");
        let batch_size_ = parts.optional::<usize>("batch");
        let tries_ = parts.or_else::<u32>("tries", || 3);
        let parts = parts.complete()?;
        ::core::result::Result::Ok(Self {
            client: parts.take(client_),
            endpoint: parts.take(endpoint_),
            batch_size: parts.take(batch_size_),
            tries: parts.take(tries_),
            exported: ::core::default::Default::default(),
            resource: resource_,
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
#[automatically_derived]
impl ::core::ops::Drop for SpanExporter {
    fn drop(&mut self) {
        ::httputil::__private::release([&self.client]);
    }
}
