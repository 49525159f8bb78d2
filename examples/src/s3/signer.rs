//! Signature Version 4 by `aws-sigv4`, made for each attempt on the headers that it goes out with.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningInstructions,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use httputil::{Attempt, AttemptLayer, BoxError, LayerFuture};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use url::Position;

use super::escape::{escaped, escaped_path};
use super::location::Location;

/// The layer that signs what goes to one [`Location`].
///
/// A body that is there as bytes is signed with its digest; of a stream, whose digest nobody knows before its end, the headers
/// alone are (`UNSIGNED-PAYLOAD`), which S3 takes over TLS and its likenesses take anywhere.
#[derive(Debug)]
pub struct Signer {
    credentials: Credentials,
    region: String,
}

impl Signer {
    /// Signs by the location's credentials, for its region.
    pub fn new(at: &Location) -> Signer {
        let token = at.session_token.as_ref().map(|token| token.expose().to_owned());
        Signer {
            credentials: Credentials::new(&at.access_key, at.secret_key.expose(), token, None, "settings"),
            region: at.region.clone(),
        }
    }

    fn sign(
        &self,
        request: SignableRequest<'_>,
        settings: SigningSettings,
        time: SystemTime,
    ) -> Result<SigningInstructions, BoxError> {
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(time)
            .settings(settings)
            .build()?;
        Ok(sign(request, &parameters.into())?.into_parts().0)
    }
}

impl AttemptLayer for Signer {
    fn sign<'a>(&'a self, attempt: &'a mut Attempt<'_>) -> LayerFuture<'a, Result<(), BoxError>> {
        let signed = || {
            let origin = &attempt.url()[..Position::BeforePath];
            let url = format!("{origin}{}", attempt.path_and_query());
            let body = attempt
                .body()
                .map_or(SignableBody::UnsignedPayload, |body| SignableBody::Bytes(body));
            let headers = of_s3(attempt.headers());
            let request = SignableRequest::new(attempt.method().as_str(), url, headers, body)?;
            self.sign(request, of_object_stores(), SystemTime::now())
        };
        let added = signed().and_then(|instructions| {
            let (headers, _) = instructions.into_parts();
            for header in headers {
                let mut value = HeaderValue::from_str(header.value())?;
                value.set_sensitive(header.sensitive());
                attempt.headers_mut().insert(header.name(), value);
            }
            Ok(())
        });
        Box::pin(std::future::ready(added))
    }
}

/// A URL by which anybody may do so with an object for so long: what is handed to somebody who has no credentials.
///
/// # Errors
///
/// That the location's endpoint or the time cannot be signed: more than seven days.
pub fn presigned(method: &Method, at: &Location, key: &str, valid_for: Duration) -> Result<String, BoxError> {
    let endpoint = at.endpoint.as_str().trim_end_matches('/');
    let mut url = format!("{endpoint}/{}/{}", at.bucket, escaped_path(key));
    if valid_for > Duration::from_hours(7 * 24) {
        return Err("a signed URL is valid for seven days at most".into());
    }
    let mut settings = of_object_stores();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(valid_for);
    // There, it would become a header that whoever has the URL has to send.
    settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
    let request = SignableRequest::new(
        method.as_str(),
        url.as_str(),
        std::iter::empty(),
        SignableBody::UnsignedPayload,
    )?;
    let instructions = Signer::new(at).sign(request, settings, SystemTime::now())?;
    for (number, (name, value)) in instructions.params().iter().enumerate() {
        url.push(if number == 0 { '?' } else { '&' });
        url.extend([&escaped(name), "=", &escaped(value)]);
    }
    Ok(url)
}

/// S3 is the one service whose paths are escaped once and not made simpler.
fn of_object_stores() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings
}

/// What has to be signed. The rest may be changed by a proxy on the way.
fn of_s3(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let concerns = |name: &str| {
        name.starts_with("x-amz-")
            || name.starts_with("x-minio-")
            || ["content-type", "content-md5", "range"].contains(&name)
    };
    headers
        .iter()
        .filter(move |(name, _)| concerns(name.as_str()))
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sigv4::http_request::{SignableBody, SignableRequest};

    use reqwest::Method;

    use super::{Signer, of_object_stores, presigned};
    use crate::s3::Location;

    fn location() -> Location {
        Location {
            endpoint: "https://examplebucket.s3.amazonaws.com".parse().unwrap(),
            region: "us-east-1".to_owned(),
            bucket: String::new(),
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
        }
    }

    #[test]
    fn a_url_is_signed_for_seven_days_at_most() {
        let days = |days: u64| presigned(&Method::GET, &location(), "a b", Duration::from_hours(24 * days));
        let url = days(7).unwrap();
        assert!(url.contains("/a%20b?") && url.contains("X-Amz-Expires=604800"), "{url}");
        days(8).unwrap_err();
    }

    /// The example of AWS's own description, "Authenticating Requests: Using the Authorization Header".
    #[test]
    fn signatures_are_those_of_the_description() {
        let location = location();
        // 2013-05-24T00:00:00Z
        let time = std::time::UNIX_EPOCH + Duration::from_hours(380_376);
        let signed = |target: &str, headers: &[(&str, &str)]| {
            let url = format!("https://examplebucket.s3.amazonaws.com{target}");
            let request = SignableRequest::new("GET", url, headers.iter().copied(), SignableBody::Bytes(b"")).unwrap();
            let instructions = Signer::new(&location).sign(request, of_object_stores(), time).unwrap();
            let authorization = instructions
                .headers()
                .find(|(name, _)| *name == "authorization")
                .unwrap();
            authorization.1.rsplit('=').next().unwrap().to_owned()
        };
        assert_eq!(
            signed("/test.txt", &[("range", "bytes=0-9")]),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        assert_eq!(
            signed("/?max-keys=2&prefix=J", &[]),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
        assert_eq!(
            signed("/?lifecycle", &[]),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
    }
}
