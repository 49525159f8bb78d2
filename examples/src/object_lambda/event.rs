//! What the transformer is told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Headers that nobody but the user and us is to know.
const SECRET_HEADERS: [&str; 6] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-security-token",
    "x-amz-server-side-encryption-customer-key",
];

/// Parameters of a signed URL, of both versions of signatures, with which anybody could do what the user may.
const SECRET_PARAMETERS: [&str; 3] = ["signature", "x-amz-security-token", "x-amz-signature"];

/// What the user asked for, as far as it concerns the transformer.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct UserRequest {
    /// The URL that the user asked for. What signs it is not told.
    pub url: String,
    /// The headers that came with it, each with all of its values. Those that bear secrets are not told.
    pub headers: BTreeMap<String, Vec<String>>,
}

/// The event, in `MinIO`'s form, whose headers are lists.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    pub(crate) protocol_version: String,
    pub(crate) get_object_context: Context,
    pub(crate) user_identity: Identity,
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

/// By whose leave the object is read.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identity {
    pub(crate) r#type: String,
    pub(crate) principal_id: String,
    pub(crate) access_key_id: String,
}

impl Identity {
    pub(super) fn of(access_key: &str) -> Identity {
        Identity {
            r#type: "IAMUser".to_owned(),
            principal_id: access_key.to_owned(),
            access_key_id: access_key.to_owned(),
        }
    }
}

impl UserRequest {
    /// Without what is between the user and us.
    pub(super) fn without_secrets(&self) -> UserRequest {
        let is_told = |name: &str| !SECRET_HEADERS.contains(&name.to_ascii_lowercase().as_str());
        let told = self.headers.iter().filter(|(name, _)| is_told(name));
        UserRequest {
            url: without_signature(&self.url),
            headers: told.map(|(name, values)| (name.clone(), values.clone())).collect(),
        }
    }
}

fn without_signature(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let is_told = |parameter: &&str| {
        let name = parameter.split('=').next().unwrap_or_default();
        !SECRET_PARAMETERS.contains(&name.to_ascii_lowercase().as_str())
    };
    let told: Vec<&str> = query.split('&').filter(is_told).collect();
    if told.is_empty() {
        return path.to_owned();
    }
    format!("{path}?{}", told.join("&"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Context, Event, Identity, UserRequest, without_signature};

    #[test]
    fn an_event_is_as_minio_tells_it() {
        let event = Event {
            protocol_version: "1.00".to_owned(),
            get_object_context: Context {
                output_route: "a".to_owned(),
                output_token: "b".to_owned(),
                input_s3_url: "http://s/b/k".to_owned(),
            },
            user_identity: Identity::of("AKIA"),
            user_request: UserRequest {
                url: "/b/k".to_owned(),
                headers: [("Accept".to_owned(), vec!["*/*".to_owned()])].into(),
            },
        };
        let wanted = json!({
            "protocolVersion": "1.00",
            "getObjectContext": { "outputRoute": "a", "outputToken": "b", "inputS3Url": "http://s/b/k" },
            "userIdentity": { "type": "IAMUser", "principalId": "AKIA", "accessKeyId": "AKIA" },
            "userRequest": { "url": "/b/k", "headers": { "Accept": ["*/*"] } },
        });
        assert_eq!(serde_json::to_value(event).unwrap(), wanted);
    }

    #[test]
    fn a_url_is_told_without_what_signs_it() {
        for (url, told) in [
            ("https://s/b/k", "https://s/b/k"),
            (
                "/b/k?partNumber=1&X-Amz-Expires=9&X-Amz-Signature=canary&x=",
                "/b/k?partNumber=1&X-Amz-Expires=9&x=",
            ),
            ("/b/k?x-amz-security-token=canary", "/b/k"),
            ("/b/k?AWSAccessKeyId=a&Signature=canary", "/b/k?AWSAccessKeyId=a"),
        ] {
            assert_eq!(without_signature(url), told);
        }
    }
}
