//! The longest common subsequence against the textbook's table.

use ostraka_datatypes::lcs::{Lcs, Match, TooLong, text};
use proptest::prelude::*;

const LIMIT: u64 = 512 * 1024 * 1024;

fn solved(a: &[u8], b: &[u8]) -> (usize, Vec<Match>) {
    let mut lcs = Lcs::new(a, b, true, LIMIT).expect("short strings");
    while !lcs.advance(a, 100) {}
    (lcs.length(), lcs.matches(a, b))
}

/// Lengths for all pairs of prefixes, then the way back that Redis takes.
fn model(a: &[u8], b: &[u8]) -> (usize, Vec<Match>) {
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            table[i][j] = match a[i - 1] == b[j - 1] {
                true => table[i - 1][j - 1] + 1,
                false => table[i - 1][j].max(table[i][j - 1]),
            };
        }
    }
    let mut pairs = Vec::new();
    let (mut i, mut j) = (a.len(), b.len());
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            (i, j) = (i - 1, j - 1);
            pairs.push((i, j));
        } else if table[i - 1][j] > table[i][j - 1] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    let mut matches: Vec<Match> = Vec::new();
    for (i, j) in pairs {
        match matches.last_mut() {
            Some(last) if last.a_start == i + 1 && last.b_start == j + 1 => {
                *last = Match {
                    a_start: i,
                    b_start: j,
                    len: last.len + 1,
                };
            }
            _ => matches.push(Match {
                a_start: i,
                b_start: j,
                len: 1,
            }),
        }
    }
    (table[a.len()][b.len()], matches)
}

fn string() -> impl Strategy<Value = Vec<u8>> {
    let letters = |alphabet: &'static [u8], len| {
        prop::collection::vec(prop::sample::select(alphabet), 0..len)
    };
    prop_oneof![
        letters(b"ab", 20),
        letters(b"abcd", 90),
        letters(b"abcdefgh", 300)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn pieces_and_length_are_the_tables(a in string(), b in string()) {
        let (length, matches) = solved(&a, &b);
        prop_assert_eq!(text(&a, &matches).len(), length);
        prop_assert_eq!((length, matches), model(&a, &b));
    }

    #[test]
    fn the_length_alone_needs_no_rows(a in string(), b in string()) {
        let mut lcs = Lcs::new(&a, &b, false, LIMIT).expect("short strings");
        prop_assert!(lcs.advance(&a, usize::MAX));
        prop_assert_eq!(lcs.length(), model(&a, &b).0);
    }
}

#[test]
fn the_documented_example() {
    let (a, b) = (b"ohmytext", b"mynewtext");
    let (length, matches) = solved(a, b);
    assert_eq!(length, 6);
    assert_eq!(text(a, &matches), b"mytext");
    let piece = |a_start, b_start, len| Match {
        a_start,
        b_start,
        len,
    };
    assert_eq!(matches, [piece(4, 5, 4), piece(2, 0, 2)]);
}

#[test]
fn nothing_is_common_with_nothing() {
    for (a, b) in [
        (&b""[..], &b""[..]),
        (b"abc", b""),
        (b"", b"abc"),
        (b"abc", b"xyz"),
    ] {
        assert_eq!(solved(a, b), (0, Vec::new()));
    }
}

#[test]
fn redis_table_must_fit_the_bulk_limit() {
    let (a, b) = (vec![b'x'; 9], vec![b'x'; 24]);
    assert!(Lcs::new(&a, &b, true, 1000).is_ok());
    let fault = Lcs::new(&a, &b, true, 999).expect_err("too long");
    assert_eq!(fault, TooLong::Table);
    let text = "Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
    assert_eq!(fault.to_string(), text);
}
