//! Round trips, bombs, damage and the two framings of snappy.

use super::*;
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

/// Text that compresses and noise that does not, mixed.
fn payloads() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((any::<u8>(), 1_usize..2000), 0..60).prop_map(|runs| {
        runs.into_iter().flat_map(|(byte, times)| std::iter::repeat_n(byte, times)).collect()
    })
}

fn codecs() -> impl Strategy<Value = Codec> {
    prop::sample::select(Codec::ALL.to_vec())
}

proptest! {
    #[test]
    fn what_is_compressed_comes_back(codec in codecs(), data in payloads()) {
        let compressed = compress(codec, &data).unwrap();
        prop_assert_eq!(decompress(codec, &compressed, data.len()).unwrap(), data);
    }

    #[test]
    fn what_is_compressed_at_any_level_comes_back(
        codec in codecs(),
        level in prop_oneof![-40..30, any::<i32>()],
        data in payloads(),
    ) {
        let compressed = compress(Compression { codec, level: Some(level) }, &data).unwrap();
        prop_assert_eq!(decompress(codec, &compressed, data.len()).unwrap(), data);
    }

    #[test]
    fn one_byte_over_the_limit_is_too_large(codec in codecs(), data in payloads()) {
        prop_assume!(!data.is_empty());
        let compressed = compress(codec, &data).unwrap();
        let refused = decompress(codec, &compressed, data.len() - 1);
        let is_too_large = matches!(refused, Err(Error::TooLarge { .. }));
        prop_assert!(is_too_large);
    }

    #[test]
    fn cut_and_changed_input_never_panics(
        codec in codecs(),
        data in payloads(),
        cut: prop::sample::Index,
        at: prop::sample::Index,
        flip: u8,
    ) {
        let mut compressed = compress(codec, &data).unwrap();
        if !compressed.is_empty() {
            let at = at.index(compressed.len());
            compressed[at] ^= flip;
        }
        compressed.truncate(cut.index(compressed.len() + 1));
        if let Ok(bytes) = decompress(codec, &compressed, LIMIT) {
            prop_assert!(bytes.len() <= LIMIT);
        }
    }

    #[test]
    fn noise_never_panics(codec in codecs(), noise: Vec<u8>) {
        let _ = decompress(codec, &noise, LIMIT);
        let mut framed = SNAPPY_HEADER.to_vec();
        framed.extend_from_slice(&noise);
        let _ = decompress(Codec::Snappy, &framed, LIMIT);
        let mut framed = b"\x04\x22\x4d\x18".to_vec();
        framed.extend_from_slice(&noise);
        let _ = decompress(Codec::Lz4, &framed, LIMIT);
    }
}

/// 64 MiB of zeros at a limit of 1 MiB; that the buffer stays small is the next test.
#[test]
fn a_bomb_of_each_codec_is_refused() {
    let zeros = vec![0_u8; 64 << 20];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let bomb = compress(codec, &zeros).unwrap();
        let refused = decompress(codec, &bomb, LIMIT);
        assert!(matches!(refused, Err(Error::TooLarge { .. })), "{codec:?}");
    }
}

#[test]
fn the_output_buffer_of_a_bomb_stays_at_the_limit() {
    let mut out = Vec::new();
    assert!(!append_bounded(&mut io::repeat(0), &mut out, LIMIT).unwrap());
    assert_eq!(out.len(), LIMIT + 1);
    assert!(out.capacity() <= 2 * LIMIT + STEP_BYTES, "{}", out.capacity());
}

#[test]
fn a_snappy_block_that_lies_about_its_length_is_refused_before_memory_is_spent() {
    // Claims 512 KiB, within the limit, in six bytes.
    let lie = [0x80, 0x80, 0x20, 0x00, 0x61, 0x00];
    let refused = decompress(Codec::Snappy, &lie, LIMIT);
    assert!(
        matches!(&refused, Err(Error::Damaged { source, .. })
        if source.to_string() == "claimed length"),
        "{refused:?}"
    );
}

const SNAPPY_HEADER: &[u8] = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01";

fn block(data: &[u8]) -> Vec<u8> {
    let raw = snap::raw::Encoder::new().compress_vec(data).unwrap();
    let mut out = u32::try_from(raw.len()).unwrap().to_be_bytes().to_vec();
    out.extend(raw);
    out
}

#[test]
fn snappy_is_read_raw_and_framed() {
    let raw = snap::raw::Encoder::new().compress_vec(b"as librdkafka writes it").unwrap();
    assert_eq!(decompress(Codec::Snappy, &raw, LIMIT).unwrap(), b"as librdkafka writes it");

    let framed = [SNAPPY_HEADER, &block(b"as the "), &block(b"Java client does")].concat();
    assert_eq!(decompress(Codec::Snappy, &framed, LIMIT).unwrap(), b"as the Java client does");

    let twice = [SNAPPY_HEADER, &block(b"one "), SNAPPY_HEADER, &block(b"two")].concat();
    assert_eq!(decompress(Codec::Snappy, &twice, LIMIT).unwrap(), b"one two");

    assert_eq!(decompress(Codec::Snappy, SNAPPY_HEADER, LIMIT).unwrap(), b"");
}

#[test]
fn broken_snappy_framing_is_damage() {
    let whole = [SNAPPY_HEADER, &block(b"block")].concat();
    for cut in 1..whole.len() {
        if cut != SNAPPY_HEADER.len() {
            let refused = decompress(Codec::Snappy, &whole[..cut], LIMIT);
            assert!(matches!(refused, Err(Error::Damaged { .. })), "cut at {cut}");
        }
    }
    let negative = [SNAPPY_HEADER, &[0xff, 0xff, 0xff, 0xff]].concat();
    assert!(decompress(Codec::Snappy, &negative, LIMIT).is_err());
}

#[test]
fn concatenated_members_and_frames_are_read_through() {
    for codec in [Codec::Gzip, Codec::Lz4, Codec::Zstd] {
        let twice = [compress(codec, b"one ").unwrap(), compress(codec, b"two").unwrap()].concat();
        assert_eq!(decompress(codec, &twice, LIMIT).unwrap(), b"one two", "{codec:?}");
    }
}

#[test]
fn lz4_frames_of_different_block_sizes_follow_each_other() {
    let frame = |size, mode, data: &[u8]| {
        let info = FrameInfo::new().block_size(size).block_mode(mode).content_checksum(true);
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    };
    let data = vec![7; 300_000];
    let large = frame(BlockSize::Max4MB, BlockMode::Linked, &data);
    let small = frame(BlockSize::Max64KB, BlockMode::Linked, &data);
    let both = decompress(Codec::Lz4, &[large, small].concat(), LIMIT).unwrap();
    assert_eq!(both, [data.clone(), data].concat());
}

#[test]
fn names_and_ids_are_kafkas() {
    for (id, name) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let codec = Codec::from_id(u8::try_from(id).unwrap()).unwrap();
        assert_eq!((codec.name(), Codec::from_name(name)), (name, Some(codec)));
    }
    assert_eq!(Codec::from_name("uncompressed"), Some(Codec::None));
    assert_eq!((Codec::from_id(5), Codec::from_name("producer")), (None, None));
}
