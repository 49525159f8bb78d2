#[allow(dead_code, clippy::too_many_arguments)]
impl Alone {
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
        registry_: &::httputil::Registry,
    ) -> ::core::result::Result<Self, ::httputil::Error> {
        <Self as ::httputil::PooledClient>::from_registry(registry_, ())
    }
}
#[automatically_derived]
impl ::httputil::PooledClient for Alone {
    const PROFILE: &'static str = "default";
    const SETTINGS: &'static [&'static str] = &[];
    type Args = ();
    fn from_registry(
        __httputil_registry: &::httputil::Registry,
        (): Self::Args,
    ) -> ::core::result::Result<Self, ::httputil::Error> {
        let mut __httputil_parts = ::httputil::__private::Parts::of::<
            Self,
        >(__httputil_registry);
        ::httputil::__private::Parts::isolate(&mut __httputil_parts);
        ::httputil::__private::Parts::on_stop(&mut __httputil_parts, ends::farewell);
        let __field_client = <Client as ::httputil::__private::IsClient>::lease(
            &mut __httputil_parts,
            "default",
        );
        let __httputil_parts = ::httputil::__private::Parts::complete(__httputil_parts)?;
        ::core::result::Result::Ok(Self {
            client: ::httputil::__private::Complete::take(
                &__httputil_parts,
                __field_client,
            ),
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
impl ::core::ops::Drop for Alone {
    fn drop(&mut self) {
        ::httputil::__private::release([
            <Client as ::httputil::__private::IsClient>::client(&self.client),
        ]);
    }
}
