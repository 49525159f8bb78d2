use compression_codecs::EncodeV2;
use compression_codecs::core::Level;
use proptest::prelude::*;

use super::*;

fn encoder(coding: Coding) -> Box<dyn EncodeV2> {
    match coding {
        #[cfg(feature = "gzip")]
        Coding::Gzip => Box::new(compression_codecs::GzipEncoder::new(Level::Best.into())),
        #[cfg(feature = "brotli")]
        Coding::Br => Box::new(compression_codecs::BrotliEncoder::new(
            compression_codecs::brotli::params::EncoderParams::default().quality(Level::Fastest),
        )),
        #[cfg(feature = "zstd")]
        Coding::Zstd => Box::new(compression_codecs::ZstdEncoder::new(3)),
        #[cfg(feature = "deflate")]
        Coding::Deflate => Box::new(compression_codecs::ZlibEncoder::new(Level::Best.into())),
        #[allow(unreachable_patterns, reason = "with all features there is no other")]
        other => panic!("{other:?} was not built in"),
    }
}

fn encoded_by(mut encoder: Box<dyn EncodeV2>, plain: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let mut input = PartialBuffer::new(plain);
    let mut is_done = false;
    while !is_done {
        let mut output = WriteBuffer::new_initialized(&mut buffer);
        if input.unwritten().is_empty() {
            is_done = encoder.finish(&mut output).unwrap();
        } else {
            encoder.encode(&mut input, &mut output).unwrap();
        }
        wire.extend_from_slice(output.written());
    }
    wire
}

fn encoded(coding: Coding, plain: &[u8]) -> Vec<u8> {
    encoded_by(encoder(coding), plain)
}

/// What comes out of these bytes, if they come in pieces of these sizes.
fn decoded(coding: Coding, mut wire: &[u8], mut sizes: impl Iterator<Item = usize>) -> Result<Vec<u8>, Corrupt> {
    let mut decoder = Decoder::new(coding).unwrap();
    let mut plain = Vec::new();
    while !wire.is_empty() {
        let (first, rest) = wire.split_at(sizes.next().unwrap_or(usize::MAX).clamp(1, wire.len()));
        wire = rest;
        decoder.push(Bytes::copy_from_slice(first));
        while let Some(piece) = decoder.next()? {
            assert!(piece.len() <= PIECE);
            plain.extend_from_slice(&piece);
        }
    }
    while let Some(piece) = decoder.finish()? {
        plain.extend_from_slice(&piece);
    }
    Ok(plain)
}

fn whole(coding: Coding, wire: &[u8]) -> Result<Vec<u8>, Corrupt> {
    decoded(coding, wire, std::iter::empty())
}

fn built_in() -> impl Iterator<Item = Coding> {
    Coding::ALL.into_iter().filter(|coding| coding.is_built_in())
}

/// What grows much, what hardly does, and lengths around a piece's.
fn texts() -> Vec<Vec<u8>> {
    let mixed = |length: usize| {
        (0..length)
            .map(|n| (n.wrapping_mul(n) >> 7).to_le_bytes()[0])
            .collect::<Vec<_>>()
    };
    let mut texts: Vec<Vec<u8>> = [0, 1, 5, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 100_000]
        .map(mixed)
        .into();
    texts.extend([PIECE, 2 * PIECE, 5_000_000].map(|length| vec![b'a'; length]));
    texts
}

#[test]
fn what_was_compressed_comes_out_whole_however_it_is_cut() {
    for coding in built_in() {
        for plain in texts() {
            let wire = encoded(coding, &plain);
            for size in [1, 7, 1000, usize::MAX] {
                let came = decoded(coding, &wire, std::iter::repeat(size)).unwrap();
                assert!(came == plain, "{coding:?}, {} bytes by {size}", plain.len());
            }
        }
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_is_an_error() {
    for coding in built_in() {
        for plain in [&b"a short text, a short text"[..], &vec![b'x'; 40_000]] {
            let wire = encoded(coding, plain);
            for length in 1..wire.len() {
                for size in [1, usize::MAX] {
                    let cut = decoded(coding, &wire[..length], std::iter::repeat(size));
                    assert!(cut.is_err(), "{coding:?} cut at {length} of {}", wire.len());
                }
            }
        }
        assert_eq!(whole(coding, b"").unwrap(), b"", "no body is no stream that was cut");
    }
}

#[test]
fn members_in_a_row_are_one_stream_and_other_bytes_behind_it_are_an_error() {
    for coding in built_in() {
        let one = encoded(coding, b"one");
        let both = [one.clone(), encoded(coding, b"two")].concat();
        for size in [1, usize::MAX] {
            let came = decoded(coding, &both, std::iter::repeat(size));
            match coding {
                Coding::Gzip | Coding::Zstd => assert_eq!(came.unwrap(), b"onetwo"),
                _ => assert!(matches!(came, Err(Corrupt::Behind(_))), "{coding:?}: {came:?}"),
            }
        }
        assert!(whole(coding, &[&one[..], b"garbage"].concat()).is_err(), "{coding:?}");
    }
}

#[test]
fn bytes_that_are_none_of_the_coding_are_an_error() {
    for coding in built_in() {
        assert!(
            whole(coding, b"<html>it was never compressed</html>").is_err(),
            "{coding:?}"
        );
        let mut wire = encoded(coding, &texts()[7]);
        let middle = wire.len() / 2;
        wire[middle..middle + 8].fill(0xff);
        let came = whole(coding, &wire);
        // Brotli has no checksum, and zstd's is not mandatory.
        if matches!(coding, Coding::Gzip | Coding::Deflate) {
            assert!(came.is_err(), "{coding:?}");
        }
    }
}

#[cfg(feature = "deflate")]
#[test]
fn deflate_is_taken_with_and_without_zlib_around_it() {
    for plain in texts() {
        let raw = encoded_by(
            Box::new(compression_codecs::DeflateEncoder::new(Level::Default.into())),
            &plain,
        );
        for size in [1, 1000, usize::MAX] {
            assert!(decoded(Coding::Deflate, &raw, std::iter::repeat(size)).unwrap() == plain);
        }
    }
}

#[cfg(feature = "zstd")]
#[test]
fn a_zstd_stream_cannot_ask_for_a_window_beyond_8_mib() {
    // A frame's head: a window of 2^(10 + 17) bytes, then one empty last block.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00];
    assert!(matches!(whole(Coding::Zstd, &frame), Err(Corrupt::Broken(..))));
    let within = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3, 0x01, 0x00, 0x00];
    assert_eq!(whole(Coding::Zstd, &within).unwrap(), b"");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_in_any_pieces_comes_out_whole(
        words in prop::collection::vec((any::<u8>(), 1_usize..3000), 0..40),
        sizes in prop::collection::vec(1_usize..5000, 1..20),
    ) {
        let plain: Vec<u8> = words.iter().flat_map(|(byte, times)| std::iter::repeat_n(*byte, *times)).collect();
        for coding in built_in() {
            let wire = encoded(coding, &plain);
            let came = decoded(coding, &wire, sizes.iter().copied().cycle()).unwrap();
            prop_assert!(came == plain, "{:?}", coding);
        }
    }

    #[test]
    fn no_bytes_make_a_panic_or_an_endless_loop(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1_usize..50) {
        for coding in built_in() {
            let _ = decoded(coding, &bytes, std::iter::repeat(size));
        }
    }
}
