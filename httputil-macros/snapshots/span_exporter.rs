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
        registry_: &::httputil::Registry,
        resource: Resource,
    ) -> ::core::result::Result<Self, ::httputil::Error> {
        <Self as ::httputil::PooledClient>::from_registry(registry_, resource)
    }
}
#[automatically_derived]
impl ::httputil::PooledClient for SpanExporter {
    const PROFILE: &'static str = "telemetry";
    const SETTINGS: &'static [&'static str] = &["endpoint", "batch", "tries"];
    type Args = Resource;
    fn from_registry(
        __httputil_registry: &::httputil::Registry,
        __field_resource: Self::Args,
    ) -> ::core::result::Result<Self, ::httputil::Error> {
        let mut __httputil_parts = ::httputil::__private::Parts::of::<
            Self,
        >(__httputil_registry);
        let __field_client = <Client as ::httputil::__private::IsClient>::lease(
            &mut __httputil_parts,
            "telemetry",
        );
        let __field_endpoint = ::httputil::__private::Parts::required::<
            Url,
        >(&mut __httputil_parts, "endpoint");
        let __field_batch_size = ::httputil::__private::Parts::optional::<
            usize,
        >(&mut __httputil_parts, "batch");
        let __field_tries = ::httputil::__private::Parts::or_else::<
            u32,
        >(&mut __httputil_parts, "tries", || 3);
        let __httputil_parts = ::httputil::__private::Parts::complete(__httputil_parts)?;
        ::core::result::Result::Ok(Self {
            client: ::httputil::__private::Complete::take(
                &__httputil_parts,
                __field_client,
            ),
            endpoint: ::httputil::__private::Complete::take(
                &__httputil_parts,
                __field_endpoint,
            ),
            batch_size: ::httputil::__private::Complete::take(
                &__httputil_parts,
                __field_batch_size,
            ),
            tries: ::httputil::__private::Complete::take(
                &__httputil_parts,
                __field_tries,
            ),
            exported: ::core::default::Default::default(),
            resource: __field_resource,
        })
    }
    fn client(&self) -> &::httputil::Client {
        <Client as ::httputil::__private::IsClient>::client(&self.client)
    }
    fn clients(
        &self,
    ) -> impl ::core::iter::ExactSizeIterator<Item = &::httputil::Client> {
        ::core::iter::IntoIterator::into_iter([
            <Client as ::httputil::__private::IsClient>::client(&self.client),
        ])
    }
}
#[automatically_derived]
impl ::core::ops::Drop for SpanExporter {
    fn drop(&mut self) {
        ::httputil::__private::release([
            <Client as ::httputil::__private::IsClient>::client(&self.client),
        ]);
    }
}
