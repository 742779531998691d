//! Texts for the tests of packed blocks.

use proptest::collection::vec;
use proptest::prelude::*;

/// Texts of every form: integers of each width and their neighbours, what merely looks like one, each length's bounds.
pub fn text() -> impl Strategy<Value = Vec<u8>> {
    let integer = (any::<i64>(), 0_u32..64)
        .prop_map(|(number, shift)| (number >> shift).to_string().into_bytes());
    let close = prop::sample::select(vec![
        "0",
        "127",
        "128",
        "-1",
        "-128",
        "-129",
        "32767",
        "32768",
        "8388607",
        "8388608",
        "-8388608",
        "-8388609",
        "2147483647",
        "2147483648",
        "-9223372036854775808",
        "9223372036854775807",
        "9223372036854775808",
        "-0",
        "01",
        "+1",
        "-",
        "1.5",
        "",
    ])
    .prop_map(|text| text.as_bytes().to_vec());
    let length = prop_oneof![0_usize..18, 60_usize..68, 120_usize..132, 250_usize..260];
    let bytes = length.prop_flat_map(|len| vec(any::<u8>(), len));
    let long = prop::sample::select(vec![16_380_usize, 16_384, 65_535, 65_536, 70_000])
        .prop_map(|len| vec![b'x'; len]);
    prop_oneof![4 => integer, 4 => close, 8 => bytes, 1 => long]
}
