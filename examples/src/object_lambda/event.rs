//! What the transformer is told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the user asked for, as far as it concerns the transformer.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct UserRequest {
    /// The URL that the user asked for.
    pub url: String,
    /// The headers that came with it. Those that bear secrets are not told.
    pub headers: BTreeMap<String, String>,
}

/// The event, as `MinIO` and AWS have it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    pub(crate) protocol_version: String,
    pub(crate) get_object_context: Context,
    pub(crate) user_request: UserRequest,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Context {
    pub(crate) output_route: String,
    pub(crate) output_token: String,
    #[serde(rename = "inputS3Url")]
    pub(crate) input_s3_url: String,
}

impl UserRequest {
    /// Without what is between the user and us.
    pub(super) fn without_secrets(&self) -> UserRequest {
        let secret = ["authorization", "cookie", "proxy-authorization", "x-amz-security-token"];
        let is_told = |name: &str| !secret.contains(&name.to_ascii_lowercase().as_str());
        let told = self.headers.iter().filter(|(name, _)| is_told(name));
        UserRequest {
            url: self.url.clone(),
            headers: told.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }
}
