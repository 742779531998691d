//! Any bytes as a number, a pattern or a line: nothing panics, and what is printed reads back.
#![no_main]

use std::hint::black_box;

use libfuzzer_sys::fuzz_target;
use ostraka_datatypes::numbers::{
    Extended, format_double, format_i64, parse_f64, parse_i64, parse_memory,
};
use ostraka_datatypes::resp::split_args;
use ostraka_datatypes::{glob, slot};

fuzz_target!(|input: &[u8]| {
    if let Some(value) = parse_i64(input) {
        assert_eq!(format_i64(value), input);
    }
    if let Some(value) = parse_f64(input) {
        let again = parse_f64(format_double(value).as_bytes());
        assert_eq!(again.map(f64::to_bits), Some(value.to_bits()));
    }
    if let Some(value) = Extended::parse(input) {
        assert!(Extended::parse(value.to_text().as_bytes()).is_some());
        let twice = value.checked_add(value).map(Extended::to_text);
        assert_eq!(twice.is_some(), value.checked_add(value).is_some());
    }
    black_box(parse_memory(input));
    assert!(slot::slot(input) < slot::SLOTS);
    let (pattern, subject) = input.split_at(input.len() / 2);
    assert!(
        !glob::matches(pattern, subject)
            || glob::matches_nocase(pattern, subject)
            || pattern.contains(&b'[')
    );
    black_box(split_args(&mut input.to_vec(), &mut Vec::new())).unwrap_or_default();
});
