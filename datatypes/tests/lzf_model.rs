//! LZF: what comes out is what went in, and bad bytes are refused.

use ostraka_datatypes::lzf::{compress, decompress};
use proptest::prelude::*;

/// Texts that repeat themselves at short and long distances, and some that do not.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        (any::<u8>(), 0..700_usize).prop_map(|(byte, len)| vec![byte; len]),
        (prop::collection::vec(b'a'..b'd', 1..12), 0..900_usize)
            .prop_map(|(word, times)| word.repeat(times)),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_round_trip_changes_nothing(text in text()) {
        let limit = text.len() + text.len() / 32 + 1;
        let packed = compress(&text, limit).expect("incompressible text grows by a 32nd at most");
        prop_assert_eq!(decompress(&packed, text.len()), Some(text.clone()));
        prop_assert_eq!(decompress(&packed, text.len() + 1), None);
        if !text.is_empty() {
            prop_assert_eq!(decompress(&packed, text.len() - 1), None);
        }
        let tight = compress(&text, packed.len().saturating_sub(1));
        prop_assert!(packed.is_empty() || tight.is_none());
    }

    #[test]
    fn bad_bytes_are_refused_or_have_the_length_asked_for(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        len in prop_oneof![0..2000_usize, any::<usize>()],
    ) {
        let out = decompress(&bytes, len);
        prop_assert!(out.is_none_or(|out| out.len() == len));
    }

    #[test]
    fn damage_is_survived(text in text(), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut packed = compress(&text, usize::MAX).expect("there is no limit");
        if !packed.is_empty() {
            let at = at.index(packed.len());
            packed[at] = with;
            decompress(&packed, text.len());
            decompress(&packed[..at], text.len());
        }
    }
}

#[test]
fn the_format_is_that_of_rdb() {
    // 100 times "a", as redis-server writes it into a dump: one literal, then one long copy that overlaps itself.
    let dumped = b"\x01aa\xe0\x57\x00\x01aa";
    assert_eq!(decompress(dumped, 100), Some(vec![b'a'; 100]));
    assert_eq!(decompress(b"\x02abc\x20\x02", 6), Some(b"abcabc".to_vec()));
    assert_eq!(decompress(b"\x20\x00", 3), None, "nothing is there yet");
    assert_eq!(decompress(b"\xe0\xff", 300), None, "cut short");
    assert_eq!(decompress(b"\x01a", 2), None, "cut short");
    assert_eq!(decompress(b"", 0), Some(Vec::new()));
}

#[test]
fn repetition_compresses_well() {
    let text = b"a list of jobs, each much like the one before; ".repeat(170);
    assert!(compress(&text, text.len()).expect("it does").len() < text.len() / 40);
}
