//! Building a request, in reqwest's words.
//!
//! Most of the work is reqwest's own: its builder runs on a client that never sends anything, because a multipart form's
//! stream and length are private to it. But it loses the request with the first mistake, so what is done often is done
//! here, and the request is known before everything else is tried: every mistake tells of its URL and profile.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Version};
use reqwest::Body;
use reqwest::multipart::Form;
use serde::Serialize;
use tokio::time::Instant;

use super::address::Known;
use super::execute::Written;
use super::failure::{self, Failing};
use super::into_url::{self, Resolved};
use super::{Client, IntoUrl, RequestOptions, multipart};
use crate::error::{BoxError, Error, Kind};

/// A reqwest client that builds requests and sends none. It opens no socket and starts no task.
pub(super) fn shim() -> &'static reqwest::Client {
    static SHIM: LazyLock<reqwest::Client> = LazyLock::new(|| {
        let builder = reqwest::Client::builder().no_proxy();
        // With reqwest's TLS in the tree it would read the platform's roots.
        #[cfg(feature = "reqwest")]
        let builder = builder.tls_certs_only([]);
        builder
            .build()
            .expect("a client without proxies and resolvers of its own can always be built")
    });
    &SHIM
}

/// A request under construction: reqwest's builder, bound to a [`Client`].
///
/// A mistake made on the way (a URL that cannot be parsed, a header that cannot be sent) is kept and returned by
/// [`send`](RequestBuilder::send) or [`build`](RequestBuilder::build).
#[must_use = "a request is not sent before `send()`"]
pub struct RequestBuilder {
    client: Client,
    /// The first mistake, once there is one: it knows the request that it was made in.
    request: Result<Begun, Error>,
    /// Its URL was written relative to `base_url`.
    is_relative: bool,
    options: Option<Box<RequestOptions>>,
}

enum Begun {
    /// As most requests are sent: reqwest's request is not needed, nor a URL of its own.
    Bare(Method, Arc<Known>),
    /// There is more to it. In the box that its address stays in.
    Whole(Box<reqwest::Request>),
}

impl Begun {
    fn whole(self) -> Box<reqwest::Request> {
        match self {
            Begun::Bare(method, known) => {
                let url = Arc::try_unwrap(known).map_or_else(|known| known.url.clone(), |known| known.url);
                Box::new(reqwest::Request::new(method, url))
            }
            Begun::Whole(request) => request,
        }
    }

    fn twin(&self) -> Option<Begun> {
        Some(match self {
            Begun::Bare(method, known) => Begun::Bare(method.clone(), Arc::clone(known)),
            Begun::Whole(request) => Begun::Whole(Box::new(request.try_clone()?)),
        })
    }
}

impl RequestBuilder {
    pub(super) fn new(client: Client, method: Method, url: impl IntoUrl) -> RequestBuilder {
        let mut is_relative = false;
        let request = into_url::resolve(&client.inner, url).and_then(|resolved| {
            let Resolved { url: known, .. } = resolved;
            is_relative = resolved.is_relative;
            if !known.has_user {
                return Ok(Begun::Bare(method, known));
            }
            // Credentials become a header.
            let begun = shim().request(method, known.url.clone()).build();
            begun
                .map(|request| Begun::Whole(Box::new(request)))
                .map_err(|error| failure::of_url(&client.inner, error))
        });
        RequestBuilder {
            client,
            request,
            is_relative,
            options: None,
        }
    }

    /// Changes the request itself.
    fn change(mut self, change: impl FnOnce(&mut reqwest::Request) -> Result<(), failure::Building>) -> RequestBuilder {
        self.request = self.request.and_then(|begun| {
            let mut request = begun.whole();
            match change(&mut request) {
                Ok(()) => Ok(Begun::Whole(request)),
                Err(mistake) => Err(Failing::of_built(&self.client.inner, &request).of_building(mistake)),
            }
        });
        self
    }

    /// Lets reqwest change the request.
    fn map(
        mut self,
        change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
        what: &'static str,
    ) -> RequestBuilder {
        self.request = self.request.and_then(|begun| {
            let request = begun.whole();
            // reqwest drops a request that it could not change.
            let failing = Failing::of_built(&self.client.inner, &request);
            let changed = change(reqwest::RequestBuilder::from_parts(shim().clone(), *request));
            changed
                .build()
                .map(|request| Begun::Whole(Box::new(request)))
                .map_err(|error| failing.of_building(failure::Building::by_reqwest(what, error)))
        });
        self
    }

    /// Adds a header; an earlier one of the same name stays.
    pub fn header<K, V>(self, name: K, value: V) -> RequestBuilder
    where
        HeaderName: TryFrom<K>,
        <HeaderName as TryFrom<K>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.change(|request| {
            let headers = request.headers_mut();
            let name = HeaderName::try_from(name)
                .map_err(|error| failure::Building::header_name(headers.keys().last(), error.into()))?;
            let value =
                HeaderValue::try_from(value).map_err(|error| failure::Building::header_value(&name, error.into()))?;
            headers.append(name, value);
            Ok(())
        })
    }

    /// Sets headers; earlier ones of the same names are replaced.
    pub fn headers(self, headers: HeaderMap) -> RequestBuilder {
        self.map(|inner| inner.headers(headers), "headers")
    }

    /// Sets `Authorization` by the Basic scheme (RFC 7617).
    pub fn basic_auth<U, P>(self, username: U, password: Option<P>) -> RequestBuilder
    where
        U: fmt::Display,
        P: fmt::Display,
    {
        self.map(|inner| inner.basic_auth(username, password), "header authorization")
    }

    /// Sets `Authorization` by the Bearer scheme (RFC 6750).
    pub fn bearer_auth<T: fmt::Display>(self, token: T) -> RequestBuilder {
        self.map(|inner| inner.bearer_auth(token), "header authorization")
    }

    /// Sets the body. Bytes and text can be sent again if the server has not processed them; a stream cannot, unless
    /// [`body_factory`](RequestBuilder::body_factory) makes it.
    pub fn body<T: Into<Body>>(self, body: T) -> RequestBuilder {
        self.change(|request| {
            *request.body_mut() = Some(body.into());
            Ok(())
        })
    }

    /// Bounds this request, body included, instead of the profile's `timeout`.
    pub fn timeout(self, timeout: Duration) -> RequestBuilder {
        self.change(|request| {
            *request.timeout_mut() = Some(timeout);
            Ok(())
        })
    }

    /// When this request, body included, is to be over, as [`RequestOptions::deadline`] says.
    pub fn deadline(self, deadline: impl Into<Instant>) -> RequestBuilder {
        self.option(|options| options.deadline(deadline))
    }

    /// Whether a failed attempt may be made again, as [`RequestOptions::retry`] says.
    pub fn retry(self, retry: bool) -> RequestBuilder {
        self.option(|options| options.retry(retry))
    }

    /// Whether the server may get this request twice, as [`RequestOptions::idempotent`] says.
    pub fn idempotent(self, idempotent: bool) -> RequestBuilder {
        self.option(|options| options.idempotent(idempotent))
    }

    /// How large the response's body may be, as [`RequestOptions::max_response_bytes`] says.
    pub fn max_response_bytes(self, bytes: u64) -> RequestBuilder {
        self.option(|options| options.max_response_bytes(bytes))
    }

    /// Whether this request goes over a connection of its own, as [`RequestOptions::fresh_connection`] says.
    pub fn fresh_connection(self, fresh: bool) -> RequestBuilder {
        self.option(|options| options.fresh_connection(fresh))
    }

    /// What makes the body anew for each sending, as [`RequestOptions::body_factory`] says.
    pub fn body_factory<B>(self, make: impl Fn() -> B + Send + Sync + 'static) -> RequestBuilder
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.option(|options| options.body_factory(make))
    }

    /// How many redirects this request follows, as [`RequestOptions::max_redirects`] says.
    pub fn max_redirects(self, max: u32) -> RequestBuilder {
        self.option(|options| options.max_redirects(max))
    }

    /// All options at once, in place of those set before; a time-out that was set stays unless these bear one.
    pub fn options(self, options: RequestOptions) -> RequestBuilder {
        self.option(|_| options)
    }

    fn option(mut self, set: impl FnOnce(RequestOptions) -> RequestOptions) -> RequestBuilder {
        let options = self.options.take().unwrap_or_default();
        self.options = Some(Box::new(set(*options)));
        self
    }

    /// Asks for a protocol. `HTTP_11`, the default, leaves the choice to the server; with `HTTP_2` the request fails where
    /// the connection turns out to speak HTTP/1.1. Other versions are refused.
    pub fn version(self, version: Version) -> RequestBuilder {
        self.change(|request| {
            *request.version_mut() = version;
            Ok(())
        })
    }

    /// Adds to the URL's query.
    pub fn query<T: Serialize + ?Sized>(self, query: &T) -> RequestBuilder {
        self.map(|inner| inner.query(query), "query")
    }

    /// Sets a form as the body (`application/x-www-form-urlencoded`).
    pub fn form<T: Serialize + ?Sized>(self, form: &T) -> RequestBuilder {
        self.map(|inner| inner.form(form), "form")
    }

    /// Sets JSON as the body.
    pub fn json<T: Serialize + ?Sized>(self, json: &T) -> RequestBuilder {
        self.change(|request| {
            let body = serde_json::to_vec(json).map_err(failure::Building::json)?;
            let headers = request.headers_mut();
            headers
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.into());
            Ok(())
        })
    }

    /// Sets a multipart form as the body (`multipart/form-data`). One with a line break or NUL in the name of a part or of its
    /// file is a mistake: it could begin a header there.
    pub fn multipart(self, form: Form) -> RequestBuilder {
        let what = "multipart form";
        let names = multipart::check(&form);
        let checked = self.change(|_| names.map_err(|broken| failure::Building::new(what, broken)));
        checked.map(|inner| inner.multipart(form), what)
    }

    /// The same request once more; `None` if its body is a stream that was set by [`body`](RequestBuilder::body).
    #[must_use]
    pub fn try_clone(&self) -> Option<RequestBuilder> {
        Some(RequestBuilder {
            client: self.client.clone(),
            request: Ok(self.request.as_ref().ok()?.twin()?),
            is_relative: self.is_relative,
            options: self.options.clone(),
        })
    }

    /// The finished request, for [`Client::execute`]. Its URL is whole: a relative one stands behind `base_url`, of several
    /// endpoints behind the first, and is sent there.
    ///
    /// # Errors
    ///
    /// [`Kind::Request`](crate::Kind::Request) for the first mistake made on the way, and where an option other than
    /// `timeout` was set: reqwest's request has no place for it. [`Client::execute_with`] takes both.
    pub fn build(self) -> Result<reqwest::Request, Error> {
        self.build_split().1
    }

    /// The client, and the finished request as [`build`](RequestBuilder::build) gives it.
    pub fn build_split(self) -> (Client, Result<reqwest::Request, Error>) {
        let RequestBuilder {
            client,
            request,
            is_relative: _,
            options,
        } = self;
        let request = request.map(Begun::whole);
        let request = match options {
            None => request,
            Some(options) => request.and_then(|request| {
                let message = format!(
                    "the request cannot be built: reqwest's request has no place for {}; give RequestOptions to \
                     execute_with instead",
                    options.set().join(", ")
                );
                Err(Failing::of_built(&client.inner, &request).describe(Error::new(Kind::Request, message)))
            }),
        };
        (client, request.map(|request| *request))
    }

    /// Goes on building a request.
    pub fn from_parts(client: Client, request: reqwest::Request) -> RequestBuilder {
        RequestBuilder {
            client,
            request: Ok(Begun::Whole(Box::new(request))),
            is_relative: false,
            options: None,
        }
    }

    /// Sends the request; see [`Client::execute`].
    pub fn send(self) -> impl Future<Output = Result<reqwest::Response, Error>> + Send + use<> {
        let RequestBuilder {
            client,
            request,
            is_relative,
            options,
        } = self;
        client.send(request.map(|begun| {
            let mut written = match begun {
                Begun::Bare(method, known) => Written::bare(method, known, options),
                Begun::Whole(request) => Written::of(request, options),
            };
            written.is_relative = is_relative;
            written
        }))
    }
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use serde::Serializer;

    use super::*;
    use crate::error::Kind;
    use crate::settings::{ClientConfig, Profile};

    const URL: &str = "https://user:canary@collector:4318/v1/traces?token=canary#canary";

    fn client() -> Client {
        Client::new(ClientConfig::from_profile(Profile::named("telemetry"))).unwrap()
    }

    struct Unserializable;

    impl Serialize for Unserializable {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("it has no form"))
        }
    }

    #[test]
    fn a_mistake_names_its_request_and_what_is_wrong_with_it() {
        type Mistake = fn(RequestBuilder) -> RequestBuilder;
        let cases: [(Mistake, &str); 8] = [
            (
                |begun| begun.header("accept", "a").header("x y", "canary"),
                "a header after accept: invalid HTTP header name",
            ),
            (
                |begun| begun.header("x-id", "canary\n"),
                "header x-id: failed to parse header value",
            ),
            (
                |begun| begun.bearer_auth("canary\r\n"),
                "header authorization: failed to parse header value",
            ),
            (|begun| begun.json(&Unserializable), "json: it has no form"),
            (|begun| begun.form(&[1]), "form: unsupported pair"),
            (
                |begun| begun.query(&3),
                "query: top-level serializer supports only maps and structs",
            ),
            (
                |begun| begun.json(&Unserializable).header("x y", "later"),
                "json: it has no form",
            ),
            (
                |begun| begun.header("x-id", "canary\0").body("text").timeout(Duration::ZERO),
                "header x-id: failed to parse header value",
            ),
        ];
        for (mistake, what) in cases {
            let error = mistake(client().post(URL)).build().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "POST https://collector:4318/v1/traces: the request cannot be built: {what} (profile telemetry)"
                )
            );
            assert_eq!((error.kind(), error.host()), (Kind::Request, Some("collector")));
            assert_eq!((error.profile(), error.attempts()), (Some("telemetry"), 0));
            assert!(error.elapsed().is_some() && error.source().is_some(), "{what}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn sending_tells_the_same() {
        let error = client().get(URL).header("x-id", "\n").send().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "GET https://collector:4318/v1/traces: the request cannot be built: header x-id: failed to parse header \
             value (profile telemetry)"
        );
    }

    #[test]
    fn a_url_that_is_none_is_told_without_it_and_with_the_profile() {
        let error = client().get("canary").header("x y", "").build().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the request cannot be built: relative URL without a base; write the whole URL, or set base_url (profile \
             telemetry)"
        );
        assert_eq!((error.url(), error.profile()), (None, Some("telemetry")));
        assert!(error.elapsed().is_some() && error.source().is_some());
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }

    #[test]
    fn what_is_built_is_what_reqwest_builds() {
        let form = [("a", "b c")];
        let ours = |begun: RequestBuilder| begun.build().unwrap();
        let theirs = |begun: reqwest::RequestBuilder| begun.build().unwrap();
        let same = |ours: reqwest::Request, theirs: reqwest::Request| {
            assert_eq!((ours.url(), ours.headers()), (theirs.url(), theirs.headers()));
            let bytes = |request: &reqwest::Request| request.body().and_then(Body::as_bytes).map(<[u8]>::to_vec);
            assert_eq!(bytes(&ours), bytes(&theirs));
            assert_eq!(ours.timeout(), theirs.timeout());
        };
        let (client, reqwest) = (client(), reqwest::Client::new());
        same(
            ours(
                client
                    .post(URL)
                    .header("x", "1")
                    .header("x", "2")
                    .json(&form)
                    .query(&form),
            ),
            theirs(
                reqwest
                    .post(URL)
                    .header("x", "1")
                    .header("x", "2")
                    .json(&form)
                    .query(&form),
            ),
        );
        same(
            ours(
                client
                    .post(URL)
                    .header(CONTENT_TYPE, "a/b")
                    .json(&1)
                    .timeout(Duration::from_secs(1)),
            ),
            theirs(
                reqwest
                    .post(URL)
                    .header(CONTENT_TYPE, "a/b")
                    .json(&1)
                    .timeout(Duration::from_secs(1)),
            ),
        );
        same(
            ours(client.post(URL).bearer_auth("t").form(&form)),
            theirs(reqwest.post(URL).bearer_auth("t").form(&form)),
        );
        same(
            ours(client.post(URL).body("text")),
            theirs(reqwest.post(URL).body("text")),
        );
    }
}
