#[allow(dead_code, clippy::too_many_arguments)]
impl<'a, T: Clone, const N: usize> Replica<'a, T, N>
where
    T: Send,
    [T; N]: prelude::http::__private::DeserializeOwned,
    Vec<T>: ::core::default::Default,
{
    /// Builds it from the process-wide registry, on the profile `replication`.
    ///
    /// # Errors
    ///
    /// If the configuration has mistakes, a setting is missing or of another type, or the profile is unknown.
    pub(crate) fn connect(
        r#type: &'a str,
        registry: T,
    ) -> ::core::result::Result<Self, prelude::http::Error> {
        <Self as prelude::http::PooledClient>::from_registry(
            &prelude::http::Registry::global()?,
            (r#type, registry),
        )
    }
    /// Builds it from this registry, on the profile `replication`.
    ///
    /// # Errors
    ///
    /// If the configuration has mistakes, a setting is missing or of another type, or the profile is unknown.
    pub(crate) fn connect_with(
        registry_: &prelude::http::Registry,
        r#type: &'a str,
        registry: T,
    ) -> ::core::result::Result<Self, prelude::http::Error> {
        <Self as prelude::http::PooledClient>::from_registry(
            registry_,
            (r#type, registry),
        )
    }
}
#[automatically_derived]
impl<'a, T: Clone, const N: usize> prelude::http::PooledClient for Replica<'a, T, N>
where
    T: Send,
    [T; N]: prelude::http::__private::DeserializeOwned,
    Vec<T>: ::core::default::Default,
{
    const PROFILE: &'static str = "replication";
    const SETTINGS: &'static [&'static str] = &["limits"];
    type Args = (&'a str, T);
    fn from_registry(
        __httputil_registry: &prelude::http::Registry,
        (__field_type, __field_registry): Self::Args,
    ) -> ::core::result::Result<Self, prelude::http::Error> {
        let mut __httputil_parts = prelude::http::__private::Parts::of::<
            Self,
        >(__httputil_registry);
        let __field_audit = <Client as prelude::http::__private::IsClient>::lease(
            &mut __httputil_parts,
            "telemetry",
        );
        let __field_source = <prelude::http::Client as prelude::http::__private::IsClient>::lease(
            &mut __httputil_parts,
            "replication",
        );
        let __field_limits = prelude::http::__private::Parts::required::<
            [T; N],
        >(&mut __httputil_parts, "limits");
        let __httputil_parts = prelude::http::__private::Parts::complete(
            __httputil_parts,
        )?;
        ::core::result::Result::Ok(Self {
            audit: prelude::http::__private::Complete::take(
                &__httputil_parts,
                __field_audit,
            ),
            source: prelude::http::__private::Complete::take(
                &__httputil_parts,
                __field_source,
            ),
            limits: prelude::http::__private::Complete::take(
                &__httputil_parts,
                __field_limits,
            ),
            seen: ::core::default::Default::default(),
            r#type: __field_type,
            registry: __field_registry,
        })
    }
    fn client(&self) -> &prelude::http::Client {
        <prelude::http::Client as prelude::http::__private::IsClient>::client(
            &self.source,
        )
    }
    fn clients(
        &self,
    ) -> impl ::core::iter::ExactSizeIterator<Item = &prelude::http::Client> {
        ::core::iter::IntoIterator::into_iter([
            <prelude::http::Client as prelude::http::__private::IsClient>::client(
                &self.source,
            ),
            <Client as prelude::http::__private::IsClient>::client(&self.audit),
        ])
    }
}
#[automatically_derived]
impl<'a, T: Clone, const N: usize> ::core::ops::Drop for Replica<'a, T, N>
where
    T: Send,
{
    fn drop(&mut self) {
        prelude::http::__private::release([
            <prelude::http::Client as prelude::http::__private::IsClient>::client(
                &self.source,
            ),
            <Client as prelude::http::__private::IsClient>::client(&self.audit),
        ]);
    }
}
