//! The documents that stores answer.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// One page of a bucket's listing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Its objects.
    pub objects: Vec<Listed>,
    /// Where the next page begins; `None` where there is none.
    pub next: Option<String>,
}

/// An object, as a listing tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key, as it is.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its `ETag`, quotes included.
    pub e_tag: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListBucketResult {
    #[serde(default)]
    contents: Vec<Contents>,
    #[serde(default)]
    is_truncated: bool,
    next_continuation_token: Option<String>,
    encoding_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    key: String,
    size: u64,
    #[serde(rename = "ETag", default)]
    e_tag: String,
}

impl Page {
    /// Of the answer to `ListObjectsV2`.
    pub(super) fn of(text: &str) -> Result<Page, String> {
        let result: ListBucketResult = quick_xml::de::from_str(text).map_err(|error| error.to_string())?;
        let is_encoded = result.encoding_type.as_deref() == Some("url");
        let object = |contents: Contents| {
            let key = if is_encoded {
                decoded(&contents.key)?
            } else {
                contents.key
            };
            Ok(Listed {
                key,
                size: contents.size,
                e_tag: contents.e_tag,
            })
        };
        let next = result.next_continuation_token.filter(|_| result.is_truncated);
        if result.is_truncated && next.is_none() {
            return Err("the listing goes on, and it does not say where".to_owned());
        }
        Ok(Page {
            objects: result.contents.into_iter().map(object).collect::<Result<_, String>>()?,
            next,
        })
    }
}

/// XML has no form for control characters, so keys are asked for as forms have them: `+` is a space.
fn decoded(key: &str) -> Result<String, String> {
    let key = key.replace('+', " ");
    let key = percent_decode_str(&key).decode_utf8().map(Cow::into_owned);
    key.map_err(|_| "a key is not UTF-8".to_owned())
}

/// The name of an upload in parts that was begun.
pub(super) fn upload_id(text: &str) -> Result<String, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct InitiateMultipartUploadResult {
        upload_id: String,
    }
    let result: InitiateMultipartUploadResult = quick_xml::de::from_str(text).map_err(|error| error.to_string())?;
    Ok(result.upload_id)
}

/// The parts of an upload, in order, each with its `ETag`.
pub(super) fn complete(tags: &[String]) -> String {
    let parts: Vec<String> = tags
        .iter()
        .enumerate()
        .map(|(number, tag)| {
            let tag = quick_xml::escape::escape(tag.as_str());
            format!("<Part><PartNumber>{}</PartNumber><ETag>{tag}</ETag></Part>", number + 1)
        })
        .collect();
    format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", parts.concat())
}

/// What a store says of a failure.
#[derive(Default, Deserialize)]
#[serde(rename = "Error", rename_all = "PascalCase", default)]
pub(super) struct Complaint {
    pub(super) code: String,
    pub(super) message: String,
}

impl Complaint {
    /// Of a body, if it is one.
    pub(super) fn of(text: &str) -> Option<Complaint> {
        let is_one = text.contains("<Error>") || text.contains("<Error ");
        quick_xml::de::from_str(text).ok().filter(|_| is_one)
    }
}

#[cfg(test)]
mod tests {
    use super::{Complaint, Listed, Page, complete};

    #[test]
    fn a_page_tells_its_keys_as_they_are_and_where_the_next_one_begins() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>photos</Name><KeyCount>2</KeyCount>
            <EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
            <NextContinuationToken>a+b/c=</NextContinuationToken>
            <Contents><Key>a+b%2Bc%01%C3%A9</Key><ETag>&quot;1&quot;</ETag><Size>7</Size></Contents>
            <Contents><Key>d%2F%2F</Key><ETag>&quot;2&quot;</ETag><Size>0</Size><Owner><ID>x</ID></Owner></Contents>
            </ListBucketResult>"#;
        let listed = |key: &str, size, e_tag: &str| Listed {
            key: key.to_owned(),
            size,
            e_tag: e_tag.to_owned(),
        };
        let wanted = Page {
            objects: vec![listed("a b+c\u{1}é", 7, "\"1\""), listed("d//", 0, "\"2\"")],
            next: Some("a+b/c=".to_owned()),
        };
        assert_eq!(Page::of(text), Ok(wanted));
        let empty = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
        assert_eq!(Page::of(empty), Ok(Page::default()));
        let plain = "<ListBucketResult><Contents><Key>a+b%20</Key><Size>1</Size></Contents></ListBucketResult>";
        assert_eq!(Page::of(plain).unwrap().objects[0].key, "a+b%20");
        Page::of("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>").unwrap_err();
        Page::of("<html>").unwrap_err();
    }

    #[test]
    fn a_complaint_is_told_from_anything_else() {
        let told =
            Complaint::of("<Error><Code>NoSuchKey</Code><Message>no &amp; no</Message><Key>a</Key></Error>").unwrap();
        assert_eq!((told.code.as_str(), told.message.as_str()), ("NoSuchKey", "no & no"));
        assert!(
            Complaint::of("<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>").is_none()
        );
        assert!(Complaint::of("").is_none());
        let tags = ["\"1\"".to_owned()];
        assert_eq!(
            complete(&tags),
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;1&quot;</ETag></Part></CompleteMultipartUpload>"
        );
    }
}
