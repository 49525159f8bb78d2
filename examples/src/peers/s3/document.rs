//! The documents that it answers, and those that it is sent.

use httputil_tests::server::{Reply, handlers};
use quick_xml::escape::escape;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;

use super::objects::{Bucket, Stored};
use crate::s3::escaped;

/// A page of a bucket's objects; `from` is the first key of it.
pub(super) fn listing(bucket: &Bucket, prefix: &str, from: Option<&str>, at_most: usize, encodes: bool) -> Reply {
    let mut found = bucket
        .objects
        .range(from.unwrap_or(prefix).to_owned()..)
        .filter(|(key, _)| key.starts_with(prefix));
    let contents: Vec<String> = found
        .by_ref()
        .take(at_most)
        .map(|(key, stored)| {
            format!(
                "<Contents><Key>{}</Key><ETag>{}</ETag><Size>{}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>",
                if encodes { encoded(key) } else { escape(key.as_str()).into_owned() },
                escape(&stored.e_tag),
                stored.content.len()
            )
        })
        .collect();
    let next = found.next().map(|(key, _)| key);
    let token = next.map_or(String::new(), |key| {
        format!("<NextContinuationToken>{}</NextContinuationToken>", escape(token(key)))
    });
    let encoding = if encodes {
        "<EncodingType>url</EncodingType>"
    } else {
        ""
    };
    of_xml(
        StatusCode::OK,
        &format!(
            "<ListBucketResult>{encoding}<IsTruncated>{}</IsTruncated>{token}{}</ListBucketResult>",
            next.is_some(),
            contents.concat()
        ),
    )
}

/// A token says nothing to whoever gets it, and has characters that must be escaped.
fn token(key: &str) -> String {
    use base64::Engine as _;
    format!("+/{}", base64::engine::general_purpose::STANDARD.encode(key))
}

pub(super) fn of_token(token: &str) -> Option<String> {
    use base64::Engine as _;
    let key = base64::engine::general_purpose::STANDARD
        .decode(token.strip_prefix("+/")?)
        .ok()?;
    String::from_utf8(key).ok()
}

/// As forms are encoded, which is what S3 does.
fn encoded(key: &str) -> String {
    escaped(key).replace("%20", "+").replace("%2F", "/")
}

pub(super) fn begun(upload: &str) -> Reply {
    of_xml(
        StatusCode::OK,
        &format!("<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"),
    )
}

pub(super) fn completed(stored: &Stored) -> Reply {
    of_xml(
        StatusCode::OK,
        &format!(
            "<CompleteMultipartUploadResult><ETag>{}</ETag></CompleteMultipartUploadResult>",
            escape(&stored.e_tag)
        ),
    )
}

pub(super) fn complaint(status: StatusCode, code: &str) -> Reply {
    of_xml(
        status,
        &format!("<Error><Code>{code}</Code><Message>it says {code}</Message></Error>"),
    )
}

/// The parts that are to make an object.
pub(super) fn named_parts(body: &str) -> Option<Vec<(u32, String)>> {
    #[derive(Deserialize)]
    struct CompleteMultipartUpload {
        #[serde(rename = "Part", default)]
        parts: Vec<Part>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Part {
        part_number: u32,
        #[serde(rename = "ETag")]
        e_tag: String,
    }
    let named: CompleteMultipartUpload = quick_xml::de::from_str(body).ok()?;
    Some(
        named
            .parts
            .into_iter()
            .map(|part| (part.part_number, part.e_tag))
            .collect(),
    )
}

fn of_xml(status: StatusCode, body: &str) -> Reply {
    let mut reply = handlers::full(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}"));
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    reply
}
