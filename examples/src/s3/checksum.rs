//! Whether what came is what the store has: its checksum, else an `ETag` that is one, else the size.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, CRC_64_NVME, Crc, Table};
use md5::{Digest as _, Md5};
use reqwest::header::{ETAG, HeaderMap};

static CRC32: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);
static CRC32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);
static CRC64_NVME: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_NVME);

/// A digest under way. A clone is where to begin again from.
#[derive(Clone)]
pub struct Digest(Algorithm);

#[derive(Clone)]
enum Algorithm {
    None,
    Crc32(crc::Digest<'static, u32, Table<16>>),
    Crc32c(crc::Digest<'static, u32, Table<16>>),
    Crc64(crc::Digest<'static, u64, Table<16>>),
    Sha(digest::Context),
    Md5(Md5),
}

/// What a store says that an object's digest is.
#[derive(Clone)]
pub struct Expected {
    header: &'static str,
    begins: Digest,
    is: Vec<u8>,
}

impl Expected {
    /// The best that these headers of a whole object offer. Of an object that was uploaded in parts the checksums and the
    /// `ETag` may be made of those of its parts, as their `-` shows; one under a key of the store's has no digest for `ETag`.
    pub fn of(headers: &HeaderMap) -> Expected {
        let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let sha = |algorithm| Algorithm::Sha(digest::Context::new(algorithm));
        let known = [
            ("x-amz-checksum-crc64nvme", Algorithm::Crc64(CRC64_NVME.digest())),
            ("x-amz-checksum-crc32c", Algorithm::Crc32c(CRC32C.digest())),
            ("x-amz-checksum-crc32", Algorithm::Crc32(CRC32.digest())),
            ("x-amz-checksum-sha256", sha(&digest::SHA256)),
            ("x-amz-checksum-sha1", sha(&digest::SHA1_FOR_LEGACY_USE_ONLY)),
        ];
        let is_whole = said("x-amz-checksum-type") != Some("COMPOSITE");
        for (header, algorithm) in known.into_iter().filter(|_| is_whole) {
            let value = said(header).filter(|value| !value.contains('-'));
            if let Some(is) = value.and_then(|value| STANDARD.decode(value).ok()) {
                let begins = Digest(algorithm);
                return Expected { header, begins, is };
            }
        }
        let encryption = said("x-amz-server-side-encryption").unwrap_or_default();
        let is_md5 =
            !encryption.starts_with("aws:kms") && said("x-amz-server-side-encryption-customer-algorithm").is_none();
        let tag = said(ETAG.as_str()).filter(|_| is_md5).and_then(of_hex);
        let begins = Digest(tag.as_ref().map_or(Algorithm::None, |_| Algorithm::Md5(Md5::new())));
        Expected {
            header: "etag",
            begins,
            is: tag.unwrap_or_default(),
        }
    }

    /// Where the digest of the whole object begins.
    pub fn begin(&self) -> Digest {
        self.begins.clone()
    }

    /// Whether the digest of the whole object is the one that the store said; nothing but the size is known without one.
    ///
    /// # Errors
    ///
    /// In which header it said otherwise.
    pub fn agrees(&self, found: Digest) -> Result<(), String> {
        match found.end() {
            Some(found) if found != self.is => Err(format!("its digest is not that of the header {}", self.header)),
            _ => Ok(()),
        }
    }
}

impl Digest {
    /// Of nothing but the size.
    pub fn none() -> Digest {
        Digest(Algorithm::None)
    }

    /// Goes on with these bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Algorithm::None => {}
            Algorithm::Crc32(digest) | Algorithm::Crc32c(digest) => digest.update(bytes),
            Algorithm::Crc64(digest) => digest.update(bytes),
            Algorithm::Sha(context) => context.update(bytes),
            Algorithm::Md5(digest) => digest.update(bytes),
        }
    }

    fn end(self) -> Option<Vec<u8>> {
        Some(match self.0 {
            Algorithm::None => return None,
            Algorithm::Crc32(digest) | Algorithm::Crc32c(digest) => digest.finalize().to_be_bytes().to_vec(),
            Algorithm::Crc64(digest) => digest.finalize().to_be_bytes().to_vec(),
            Algorithm::Sha(context) => context.finish().as_ref().to_vec(),
            Algorithm::Md5(digest) => digest.finalize().to_vec(),
        })
    }
}

/// An `ETag` that is an MD5.
fn of_hex(tag: &str) -> Option<Vec<u8>> {
    let tag = tag.strip_prefix('"')?.strip_suffix('"')?;
    let pair = |at: usize| u8::from_str_radix(tag.get(at..at + 2)?, 16).ok();
    let is_hex = tag.len() == 32 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    (0..32).step_by(2).map(pair).collect::<Option<_>>().filter(|_| is_hex)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderName};

    use super::Expected;

    fn agrees(headers: &[(&'static str, &str)], bytes: &[u8]) -> Result<(), String> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let expected = Expected::of(&headers);
        let mut digest = expected.begin();
        bytes.chunks(3).for_each(|piece| digest.update(piece));
        expected.agrees(digest)
    }

    #[test]
    fn each_kind_of_checksum_is_compared_and_the_store_s_own_goes_before_the_tag() {
        let tag = ("etag", "\"00000000000000000000000000000000\"");
        // Check values of the catalogue of parametrised CRC algorithms, and of FIPS 180.
        for (header, value) in [
            ("x-amz-checksum-crc32", "y/Q5Jg=="),
            ("x-amz-checksum-crc32c", "4waSgw=="),
            ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
            ("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
            ("x-amz-checksum-sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ] {
            agrees(&[(header, value), tag], b"123456789").unwrap();
            let error = agrees(&[(header, value)], b"123456788").unwrap_err();
            assert_eq!(error, format!("its digest is not that of the header {header}"));
        }
        let tag = ("etag", "\"25f9e794323b453885f5181f1b624d0b\"");
        agrees(&[tag], b"123456789").unwrap();
        agrees(&[tag], b"12345678").unwrap_err();
    }

    #[test]
    fn what_is_made_of_parts_or_under_a_key_of_the_store_is_no_digest_of_the_object() {
        let tag = ("etag", "\"00000000000000000000000000000000\"");
        for headers in [
            &[
                ("x-amz-checksum-crc32", "AAAAAA==-2"),
                ("etag", "\"25f9e794323b453885f5181f1b624d0b-2\""),
            ][..],
            &[
                ("x-amz-checksum-crc32", "AAAAAA=="),
                ("x-amz-checksum-type", "COMPOSITE"),
            ],
            &[tag, ("x-amz-server-side-encryption", "aws:kms")],
            &[tag, ("x-amz-server-side-encryption-customer-algorithm", "AES256")],
            &[("etag", "W/\"00000000000000000000000000000000\"")],
        ] {
            agrees(headers, b"anything").unwrap();
        }
    }
}
