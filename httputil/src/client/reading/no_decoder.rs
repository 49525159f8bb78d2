//! This program was built without any coding: there is no decoder, and nobody can have one.

use bytes::Bytes;

use crate::settings::Coding;

pub(super) enum Decoder {}

/// What nobody can decode cannot be broken.
pub(in crate::client) enum Corrupt {}

impl std::fmt::Display for Corrupt {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

impl Decoder {
    pub(super) fn new(_: Coding) -> Option<Decoder> {
        None
    }

    pub(super) fn push(&mut self, _: Bytes) {
        match *self {}
    }

    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Corrupt> {
        match *self {}
    }

    pub(super) fn finish(&mut self) -> Result<Option<Bytes>, Corrupt> {
        match *self {}
    }

    pub(super) fn consumed(&self) -> u64 {
        match *self {}
    }
}
