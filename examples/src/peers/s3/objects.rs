//! Buckets, objects, and uploads in parts.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use md5::{Digest as _, Md5};
use reqwest::header::HeaderMap;

use super::content::Content;
use super::signature::hex;

/// An object.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) content: Content,
    /// Quotes included.
    pub(super) e_tag: String,
    pub(super) headers: HeaderMap,
}

/// An upload in parts that was begun.
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) headers: HeaderMap,
    pub(super) parts: BTreeMap<u32, Stored>,
}

#[derive(Default)]
pub(super) struct Bucket {
    pub(super) objects: BTreeMap<String, Stored>,
    pub(super) uploads: BTreeMap<String, Upload>,
    pub(super) begun: u32,
}

impl Stored {
    pub(super) fn new(content: Content, headers: HeaderMap) -> Stored {
        let e_tag = match &content {
            Content::Bytes(bytes) => format!("\"{}\"", hex(&Md5::digest(bytes))),
            // As of something that was made of parts.
            Content::Made(length) | Content::Passed(length, _) => format!("\"{length:032x}-1\""),
        };
        Stored {
            content,
            e_tag,
            headers,
        }
    }
}

impl Bucket {
    /// Makes an object of the parts that were named, in their order; says why not.
    pub(super) fn complete(&mut self, upload: &str, named: &[(u32, String)]) -> Result<Stored, &'static str> {
        let begun = self.uploads.get(upload).ok_or("NoSuchUpload")?;
        let mut whole = BytesMut::new();
        let mut passed = 0;
        for (number, tag) in named {
            let part = begun
                .parts
                .get(number)
                .filter(|part| part.e_tag == *tag)
                .ok_or("InvalidPart")?;
            match &part.content {
                Content::Bytes(bytes) => whole.extend_from_slice(bytes),
                content => passed += content.len(),
            }
        }
        let begun = self.uploads.remove(upload).ok_or("NoSuchUpload")?;
        let content = match passed {
            0 => Content::Bytes(whole.freeze()),
            passed => Content::Passed(passed + whole.len() as u64, String::new()),
        };
        let mut stored = Stored::new(content, begun.headers);
        stored.e_tag = format!("{}-{}\"", stored.e_tag.trim_end_matches('"'), named.len());
        self.objects.insert(begun.key, stored.clone());
        Ok(stored)
    }
}

/// What is kept of what comes: all of it up to so many bytes, and the digest alone of more.
pub(super) struct Taking {
    kept: BytesMut,
    most: usize,
    length: u64,
    digest: aws_lc_rs::digest::Context,
}

impl Taking {
    pub(super) fn new(most: usize) -> Taking {
        Taking {
            kept: BytesMut::new(),
            most,
            length: 0,
            digest: aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256),
        }
    }

    pub(super) fn take(&mut self, piece: &Bytes) {
        self.length += piece.len() as u64;
        self.digest.update(piece);
        if self.length <= self.most as u64 {
            self.kept.extend_from_slice(piece);
        } else {
            self.kept = BytesMut::new();
        }
    }

    /// The bytes, and their SHA-256.
    pub(super) fn end(self) -> (Content, String) {
        let digest = hex(self.digest.finish().as_ref());
        if self.length <= self.most as u64 {
            (Content::Bytes(self.kept.freeze()), digest)
        } else {
            (Content::Passed(self.length, digest.clone()), digest)
        }
    }
}
