//! What happens to requests and to their answers.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::values::{
    Codings, DurationText, HeaderNameText, Methods, OrNone, Origins, RateText, Scopes, SecretText, SizeText, Statuses,
    TokenText, TokenUrl,
};

/// `[auth]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthKeys {
    /// The Basic scheme.
    #[serde(default)]
    #[schemars(extend("x-none" = true))]
    pub(crate) basic: BasicKeys,
    /// A token, by the Bearer scheme; that of a file is read again when the file has changed, and when an answer is 401.
    pub(crate) bearer: Option<OrNone<TokenText>>,
    /// Tokens that an authorization server gives, by client credentials. Needs the feature `oauth2`.
    #[serde(default)]
    #[schemars(extend("x-none" = true))]
    pub(crate) oauth2: OAuth2Keys,
    /// Where credentials and secret headers may go, each an origin such as `https://api.example`; by default that of
    /// `base_url`.
    pub(crate) origins: Option<Origins>,
}

/// `[auth.basic]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BasicKeys {
    /// The user's name, without a colon.
    pub(crate) username: Option<OrNone<SecretText>>,
    /// Goes with `auth.basic.username`.
    pub(crate) password: Option<OrNone<SecretText>>,
}

/// `[auth.oauth2]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OAuth2Keys {
    /// Where tokens are had; fetched over the profile's own pool, renewed before they end, and once on 401.
    pub(crate) token_url: Option<OrNone<TokenUrl>>,
    /// Goes with `auth.oauth2.token_url`.
    pub(crate) client_id: Option<OrNone<String>>,
    /// Goes with `auth.oauth2.token_url`; that of a file is read for each token.
    pub(crate) client_secret: Option<OrNone<TokenText>>,
    /// What is asked for; empty leaves it to the server.
    pub(crate) scopes: Option<Scopes>,
    /// Whom the token is for, where the server wants to be told.
    pub(crate) audience: Option<OrNone<String>>,
    /// How the secret is told: by the Basic scheme, or in the request's body.
    pub(crate) client_auth: Option<ClientAuthKey>,
}

/// A way to tell a secret.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[schemars(inline)]
pub(crate) enum ClientAuthKey {
    #[serde(rename = "basic")]
    Basic,
    #[serde(rename = "body")]
    Body,
}

/// `[retry]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryKeys {
    /// Attempts in all; 1 switches retries off. What the server has certainly not processed is sent again all the same.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) max_attempts: Option<u32>,
    /// The pauses between attempts.
    #[serde(default)]
    pub(crate) backoff: BackoffKeys,
    /// Answers that are failures; 429 only when it bears `Retry-After`.
    pub(crate) statuses: Option<Statuses>,
    /// Methods of requests that may be sent twice.
    pub(crate) methods: Option<Methods>,
    /// A request that bears this header may be sent twice, whatever its method.
    pub(crate) idempotency_header: Option<HeaderNameText>,
    /// How many retries a host is spared.
    #[serde(default)]
    pub(crate) budget: RetryBudgetKeys,
    /// Keep the pause that an answer asks for by `Retry-After`.
    pub(crate) respect_retry_after: Option<bool>,
    /// An answer that asks for a longer pause is not waited for.
    #[schemars(extend("x-zero" = true))]
    pub(crate) max_retry_after: Option<DurationText>,
}

/// `[retry.backoff]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackoffKeys {
    /// The bound of the first pause; each further one is twice as long.
    pub(crate) base: Option<DurationText>,
    /// The bound of any pause.
    pub(crate) max: Option<DurationText>,
    /// How chance shapes a pause: anything up to the bound, at least half of it, or the bound itself.
    pub(crate) jitter: Option<JitterKey>,
}

/// `[retry.budget]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryBudgetKeys {
    /// Retries for each request to a host, over ten seconds; the profile's clients share it.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub(crate) ratio: Option<f64>,
    /// Retries a second to a host that are free beside these.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) min_per_second: Option<u32>,
}

/// A way to spread pauses.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum JitterKey {
    Full,
    Equal,
    None,
}

/// `[breaker]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BreakerKeys {
    /// Refuse requests to a host that fails; each host has a breaker, which the profile's clients share.
    pub(crate) enabled: Option<bool>,
    /// The share of failures that opens it: no connection, no TLS, a reset, no header in time, 502, 503, 504.
    #[schemars(range(min = 0.01, max = 1.0))]
    pub(crate) failure_ratio: Option<f64>,
    /// Fewer requests within the window open nothing.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) min_requests: Option<u32>,
    /// How far back requests count.
    pub(crate) window: Option<DurationText>,
    /// How long it refuses when it opens first, less up to a tenth by chance; twice as long each time that it opens again
    /// before the host has recovered.
    pub(crate) open_for: Option<DurationText>,
    /// The longest that it refuses.
    pub(crate) max_open_for: Option<DurationText>,
    /// Requests that are let through then to see whether the host is back; as many successes close it.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) half_open_requests: Option<u32>,
}

/// `[compression]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompressionKeys {
    /// Codings of answers that are asked for and undone, best first: "gzip", "br", "zstd" and "deflate", each with httputil's
    /// feature of that name ("brotli" for "br"). Those of the default that were not built in are left out.
    #[schemars(extend("examples" = [[]]))]
    pub(crate) accept: Option<Codings>,
    /// How many bytes may come of one on the wire, beyond the first 16 MiB.
    #[schemars(range(min = 1))]
    pub(crate) max_ratio: Option<u32>,
}

/// `[limit]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitKeys {
    /// Requests under way, over all hosts, until their answers' bodies have ended; those beyond wait within `timeout`.
    pub(crate) max_concurrent: Option<OrNone<NonZeroU32>>,
    /// The same of one host.
    pub(crate) max_concurrent_per_host: Option<OrNone<NonZeroU32>>,
    /// How many may wait for each of the other limits; those beyond fail at once, with 0 all do.
    pub(crate) queue: Option<OrNone<u32>>,
    /// Requests in a second, a minute or an hour, over all hosts; each attempt is one.
    pub(crate) rate: Option<OrNone<RateText>>,
    /// How many may go at once after a quiet time; by default as many as `limit.rate` names.
    pub(crate) burst: Option<OrNone<NonZeroU32>>,
    /// How large a response's body may be, decompressed.
    pub(crate) max_response_bytes: Option<OrNone<SizeText>>,
}

/// `[redirect]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedirectKeys {
    /// Redirects of one request that are followed, one more is an error; with 0 the answer is the caller's.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) max: Option<u32>,
    /// Follow them to another scheme, host or port, without credentials; else they are an error.
    pub(crate) cross_origin: Option<bool>,
    /// Follow them from https to http; else they are an error.
    pub(crate) downgrade: Option<bool>,
}

/// `[hedge]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HedgeKeys {
    /// When a request that has no answer yet is sent a second time beside the first; the first good answer wins. Only what
    /// may be sent twice is, paid for by `retry.budget`.
    pub(crate) after: Option<OrNone<DurationText>>,
}
