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
        registry: &prelude::http::Registry,
        r#type: &'a str,
        registry: T,
    ) -> ::core::result::Result<Self, prelude::http::Error> {
        <Self as prelude::http::PooledClient>::from_registry(
            registry,
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
        registry: &prelude::http::Registry,
        (type_, registry_): Self::Args,
    ) -> ::core::result::Result<Self, prelude::http::Error> {
        let mut parts = prelude::http::__private::Parts::of::<Self>(registry);
        let audit_ = parts.client("telemetry");
        let source_ = parts.client("replication");
        let limits_ = parts.required::<[T; N]>("limits");
        let parts = parts.complete()?;
        ::core::result::Result::Ok(Self {
            audit: parts.take(audit_),
            source: parts.take(source_),
            limits: parts.take(limits_),
            seen: ::core::default::Default::default(),
            r#type: type_,
            registry: registry_,
        })
    }
    fn client(&self) -> &prelude::http::Client {
        &self.source
    }
    fn clients(
        &self,
    ) -> impl ::core::iter::ExactSizeIterator<Item = &prelude::http::Client> {
        ::core::iter::IntoIterator::into_iter([&self.source, &self.audit])
    }
}
#[automatically_derived]
impl<'a, T: Clone, const N: usize> ::core::ops::Drop for Replica<'a, T, N>
where
    T: Send,
{
    fn drop(&mut self) {
        prelude::http::__private::release([&self.source, &self.audit]);
    }
}
