//! A compressed stream, piece by piece: bytes of the wire go in, at most one buffer's worth of decoded ones comes out at a
//! time, however much they grow.
//!
//! The codecs are `compression-codecs`', the ones beneath async-compression, without their readers: those stop at a
//! stream's end and tell nobody how far they have read.

use std::fmt;
use std::io;

use bytes::{Buf, Bytes};
use compression_codecs::DecodeV2;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};

use crate::settings::Coding;

/// What comes out at once.
const PIECE: usize = 16 << 10;

/// How a stream is broken.
#[derive(Debug)]
pub(in crate::client) enum Corrupt {
    /// It is none of its coding.
    Broken(Coding, io::Error),
    /// The body ended before it did.
    Cut(Coding),
    /// The body went on after it.
    Behind(Coding),
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Corrupt::Broken(coding, why) => {
                write!(
                    f,
                    "the response's body cannot be decompressed ({}): {why}",
                    coding.name()
                )
            }
            Corrupt::Cut(coding) => {
                write!(
                    f,
                    "the response's body ended in the middle of its compressed stream ({})",
                    coding.name()
                )
            }
            Corrupt::Behind(coding) => {
                write!(
                    f,
                    "the response's body goes on behind its compressed stream ({})",
                    coding.name()
                )
            }
        }
    }
}

type Codec = Box<dyn DecodeV2 + Send + Sync>;

pub(super) struct Decoder {
    coding: Coding,
    /// Made of the first byte: servers call two things deflate.
    codec: Option<Codec>,
    piece: Box<[u8]>,
    input: Bytes,
    consumed: u64,
    /// The last piece was full: there may be more within the codec.
    is_full: bool,
    /// The stream, or this member of it, has ended.
    is_done: bool,
}

impl Decoder {
    /// `None` if this program was built without the coding.
    pub(super) fn new(coding: Coding) -> Option<Decoder> {
        coding.is_built_in().then(|| Decoder {
            coding,
            codec: None,
            piece: vec![0; PIECE].into_boxed_slice(),
            input: Bytes::new(),
            consumed: 0,
            is_full: false,
            is_done: false,
        })
    }

    /// Takes the next bytes of the wire; [`next`](Decoder::next) has asked for them.
    pub(super) fn push(&mut self, input: Bytes) {
        debug_assert!(self.input.is_empty(), "there is still something to be decoded");
        self.input = input;
    }

    /// Bytes of the wire that were decoded.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed
    }

    /// The next decoded piece; `None` if more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Corrupt> {
        while self.is_full || !self.input.is_empty() {
            if let Some(piece) = self.step()? {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    fn step(&mut self) -> Result<Option<Bytes>, Corrupt> {
        let coding = self.coding;
        let broken = |error| Corrupt::Broken(coding, error);
        let codec = match (&mut self.codec, self.input.first()) {
            (Some(codec), _) => codec,
            (none, Some(first)) => {
                none.insert(codec(coding, *first).ok_or_else(|| broken(io::ErrorKind::Unsupported.into()))?)
            }
            (None, None) => return Ok(None),
        };
        if self.is_done && !self.input.is_empty() {
            // Of these several in a row are one (RFC 1952 §2.2, RFC 8878 §3.1).
            if !matches!(coding, Coding::Gzip | Coding::Zstd) {
                return Err(Corrupt::Behind(coding));
            }
            codec.reinit().map_err(broken)?;
            self.is_done = false;
        }
        let mut output = WriteBuffer::new_initialized(&mut self.piece);
        let mut input = PartialBuffer::new(&self.input[..]);
        let is_done = if self.input.is_empty() && matches!(coding, Coding::Gzip | Coding::Deflate) {
            // They take a call without input for a mistake, unless it is this one.
            codec.flush(&mut output).map(|_| false)
        } else {
            codec.decode(&mut input, &mut output)
        };
        self.is_done = is_done.map_err(broken)?;
        let (read, written) = (input.written_len(), output.written_len());
        if read == 0 && written == 0 && !self.is_done && !self.input.is_empty() {
            return Err(broken(io::ErrorKind::InvalidData.into()));
        }
        self.is_full = output.has_no_spare_space() && !self.is_done;
        self.input.advance(read);
        self.consumed += read as u64;
        Ok(self.first_of_piece(written))
    }

    /// The wire is at its end and [`next`](Decoder::next) has nothing more: what is left, then `None`.
    ///
    /// # Errors
    ///
    /// That the stream is not at its end.
    pub(super) fn finish(&mut self) -> Result<Option<Bytes>, Corrupt> {
        let (false, Some(codec)) = (self.is_done, &mut self.codec) else {
            // An empty body is none that was cut.
            return Ok(None);
        };
        let mut output = WriteBuffer::new_initialized(&mut self.piece);
        let is_done = codec.finish(&mut output).map_err(|_| Corrupt::Cut(self.coding))?;
        let written = output.written_len();
        if !is_done && written == 0 {
            return Err(Corrupt::Cut(self.coding));
        }
        self.is_done = is_done;
        Ok(self.first_of_piece(written))
    }

    fn first_of_piece(&self, length: usize) -> Option<Bytes> {
        (length > 0).then(|| Bytes::copy_from_slice(&self.piece[..length]))
    }
}

/// What decodes a stream that begins with this byte.
#[cfg_attr(
    not(feature = "deflate"),
    expect(unused_variables, reason = "only deflate looks at it")
)]
fn codec(coding: Coding, first: u8) -> Option<Codec> {
    match coding {
        #[cfg(feature = "gzip")]
        Coding::Gzip => Some(Box::new(compression_codecs::GzipDecoder::new())),
        #[cfg(feature = "brotli")]
        Coding::Br => Some(Box::new(compression_codecs::BrotliDecoder::new())),
        #[cfg(feature = "zstd")]
        Coding::Zstd => {
            use compression_codecs::zstd::params::DParameter;
            // 8 MiB: RFC 9659 §3.
            let params = [DParameter::window_log_max(23)];
            Some(Box::new(compression_codecs::ZstdDecoder::new_with_params(&params)))
        }
        // The first byte of a zlib stream says that deflate lies within, with a window of up to 32 KiB (RFC 1950 §2.2).
        #[cfg(feature = "deflate")]
        Coding::Deflate if first & 0x8f == 0x08 => Some(Box::new(compression_codecs::ZlibDecoder::new())),
        #[cfg(feature = "deflate")]
        Coding::Deflate => Some(Box::new(compression_codecs::DeflateDecoder::new())),
        #[allow(unreachable_patterns, reason = "with all features there is no other")]
        _ => None,
    }
}

#[cfg(test)]
mod tests;
