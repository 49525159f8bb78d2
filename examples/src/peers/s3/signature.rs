//! Signature Version 4 from the verifier's side, by its description and not by the signer's code.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use http::request::Parts;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use percent_encoding::percent_decode_str;

use crate::s3::escaped;

/// Whom requests have to be signed by.
pub(super) struct Verifier {
    pub(super) access_key: &'static str,
    pub(super) secret_key: &'static str,
    pub(super) region: String,
}

/// Why a request is refused: the store's code for it.
pub(super) type Refusal = &'static str;

/// What a signature says of itself, in headers or in the query.
struct Claim<'a> {
    credential: String,
    signed_headers: String,
    signature: String,
    time: String,
    payload: &'a str,
    lasts: i64,
}

impl Verifier {
    /// Whether the request is signed, and how its body was: the digest that it must have, or `None` for any.
    pub(super) fn verify(&self, parts: &Parts) -> Result<Option<String>, Refusal> {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let mut parameters = parameters(parts.uri.query().unwrap_or_default());
        let claim = if let Some(authorization) = header("authorization") {
            of_headers(authorization, header)?
        } else {
            of_query(&mut parameters)?
        };
        let signed = DateTime::strptime("%Y%m%dT%H%M%SZ", &claim.time)
            .and_then(|time| time.to_zoned(TimeZone::UTC))
            .map_err(|_| "AuthorizationHeaderMalformed")?;
        let age = Timestamp::now().as_second() - signed.timestamp().as_second();
        if age > claim.lasts || age < -900 {
            return Err("RequestTimeTooSkewed");
        }
        let scope = format!("{}/{}/s3/aws4_request", &claim.time[..8], self.region);
        match claim.credential.split_once('/') {
            Some((access_key, _)) if access_key != self.access_key => return Err("InvalidAccessKeyId"),
            Some((_, claimed)) if claimed == scope => {}
            _ => return Err("AuthorizationHeaderMalformed"),
        }
        for name in ["host"]
            .into_iter()
            .chain(parts.headers.keys().map(http::HeaderName::as_str))
        {
            let must_be = name == "host" || name.starts_with("x-amz-");
            if must_be && !claim.signed_headers.split(';').any(|signed| signed == name) {
                return Err("AccessDenied");
            }
        }
        let canonical = canonical(parts, &parameters, &claim.signed_headers, claim.payload)?;
        let text = format!(
            "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
            claim.time,
            hex(digest(&SHA256, canonical.as_bytes()).as_ref())
        );
        if self.signature(&claim.time[..8], &text) != claim.signature {
            return Err("SignatureDoesNotMatch");
        }
        Ok((claim.payload != "UNSIGNED-PAYLOAD").then(|| claim.payload.to_owned()))
    }

    fn signature(&self, day: &str, text: &str) -> String {
        let secret = format!("AWS4{}", self.secret_key);
        let steps = [day, &self.region, "s3", "aws4_request", text];
        let end = steps.iter().fold(secret.into_bytes(), |key, step| {
            sign(&Key::new(HMAC_SHA256, &key), step.as_bytes()).as_ref().to_vec()
        });
        hex(&end)
    }
}

fn of_headers<'a>(authorization: &str, header: impl Fn(&str) -> Option<&'a str>) -> Result<Claim<'a>, Refusal> {
    let malformed = "AuthorizationHeaderMalformed";
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or(malformed)?;
    let field = |name: &str| {
        let mut fields = fields.split(',').map(str::trim);
        fields
            .find_map(|field| field.strip_prefix(name))
            .map(str::to_owned)
            .ok_or(malformed)
    };
    Ok(Claim {
        credential: field("Credential=")?,
        signed_headers: field("SignedHeaders=")?,
        signature: field("Signature=")?,
        time: header("x-amz-date").ok_or(malformed)?.to_owned(),
        payload: header("x-amz-content-sha256").ok_or("MissingSecurityHeader")?,
        lasts: 900,
    })
}

/// Of a URL that was signed for somebody else; the signature itself is no part of what it signs.
fn of_query<'a>(parameters: &mut Vec<(String, String)>) -> Result<Claim<'a>, Refusal> {
    let value = |name: &str| {
        let found = parameters.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.clone()).ok_or("AccessDenied")
    };
    let claim = Claim {
        credential: value("X-Amz-Credential")?,
        signed_headers: value("X-Amz-SignedHeaders")?,
        signature: value("X-Amz-Signature")?,
        time: value("X-Amz-Date")?,
        payload: "UNSIGNED-PAYLOAD",
        lasts: value("X-Amz-Expires")?.parse().map_err(|_| "AccessDenied")?,
    };
    parameters.retain(|(name, _)| name != "X-Amz-Signature");
    Ok(claim)
}

/// The request as it is signed: its path as it came, escaped once.
fn canonical(parts: &Parts, parameters: &[(String, String)], signed: &str, payload: &str) -> Result<String, Refusal> {
    let mut query: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
        .collect();
    query.sort();
    let mut headers = String::new();
    for name in signed.split(';') {
        let values: Vec<&str> = parts
            .headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        let words = |value: &&str| value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        if values.is_empty() {
            return Err("SignatureDoesNotMatch");
        }
        let values: Vec<String> = values.iter().map(words).collect();
        headers.extend([name, ":", &values.join(","), "\n"]);
    }
    Ok(format!(
        "{}\n{}\n{}\n{headers}\n{signed}\n{payload}",
        parts.method,
        parts.uri.path(),
        query.join("&")
    ))
}

/// The parameters of a query, as they are.
pub(super) fn parameters(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}
