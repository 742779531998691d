//! Patterns against a recursive matcher that is obviously right and obviously slow.

use ostraka_datatypes::glob::{Pattern, matches, matches_nocase};
use proptest::prelude::*;

/// A star tries every split; all else takes one byte.
fn model(pattern: &[u8], subject: &[u8], nocase: bool) -> bool {
    match pattern {
        [] => subject.is_empty(),
        [b'*', rest @ ..] => (0..=subject.len()).any(|at| model(rest, &subject[at..], nocase)),
        _ => match (model_one(pattern, nocase), subject) {
            ((accepted, rest), [byte, after @ ..]) => {
                accepted[usize::from(*byte)] && model(rest, after, nocase)
            }
            (_, []) => false,
        },
    }
}

/// The set of bytes that the first element of `pattern` accepts, and the pattern behind it.
fn model_one(pattern: &[u8], nocase: bool) -> ([bool; 256], &[u8]) {
    let folded = |byte: u8| {
        if nocase {
            byte.to_ascii_lowercase()
        } else {
            byte
        }
    };
    let set = |accepts: &dyn Fn(u8) -> bool| std::array::from_fn(|byte| accepts(byte as u8));
    match pattern {
        [b'?', rest @ ..] => ([true; 256], rest),
        [b'[', rest @ ..] => model_class(rest, nocase),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => {
            (set(&|byte| folded(byte) == folded(*literal)), rest)
        }
        [] => ([false; 256], pattern),
    }
}

fn model_class(class: &[u8], nocase: bool) -> ([bool; 256], &[u8]) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut accepted = [false; 256];
    let mut add = |low: u8, high: u8, fold: bool| {
        let folded = |byte: u8| {
            if fold {
                byte.to_ascii_lowercase() as i8
            } else {
                byte as i8
            }
        };
        for byte in 0..=255 {
            accepted[usize::from(byte)] |= (folded(low)..=folded(high)).contains(&folded(byte));
        }
    };
    while at < class.len() && class[at] != b']' {
        if class[at] == b'\\' && at + 1 < class.len() {
            add(class[at + 1], class[at + 1], false);
            at += 2;
        } else if at + 2 < class.len() && class[at + 1] == b'-' {
            let (one, other) = (class[at] as i8, class[at + 2] as i8);
            add(one.min(other) as u8, one.max(other) as u8, nocase);
            at += 3;
        } else {
            add(class[at], class[at], nocase);
            at += 1;
        }
    }
    (
        accepted.map(|accepted| accepted != negated),
        &class[(at + 1).min(class.len())..],
    )
}

fn text(alphabet: &'static [u8], len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(alphabet), 0..len)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn a_pattern_matches_as_the_model_does(pattern in text(b"abcABC***??[[]]^-\\\xff\x80", 14), subject in text(b"abcABC]^-\\\xff\x80", 9)) {
        let empty = subject.is_empty() && pattern != b"*";
        for nocase in [false, true] {
            let expected = if empty { pattern.is_empty() } else { model(&pattern, &subject, nocase) };
            let found = if nocase { matches_nocase(&pattern, &subject) } else { matches(&pattern, &subject) };
            prop_assert_eq!(found, expected, "nocase {}", nocase);
        }
    }
}

#[track_caller]
fn check(pattern: &str, matching: &[&str], others: &[&str]) {
    for subject in matching {
        assert!(
            matches(pattern.as_bytes(), subject.as_bytes()),
            "{pattern} {subject}"
        );
    }
    for subject in others {
        assert!(
            !matches(pattern.as_bytes(), subject.as_bytes()),
            "{pattern} {subject}"
        );
    }
}

#[test]
fn the_documented_patterns() {
    check(
        "h?llo",
        &["hello", "hallo", "h\u{1}llo"],
        &["hllo", "heello"],
    );
    check("h*llo", &["hllo", "heeeello", "hllollo"], &["hll", "ahllo"]);
    check("h[ae]llo", &["hello", "hallo"], &["hillo"]);
    check("h[^e]llo", &["hallo", "hbllo"], &["hello", "hllo"]);
    check("h[a-b]llo", &["hallo", "hbllo"], &["hcllo"]);
    check(r"h\*llo", &["h*llo"], &["hello"]);
    check(r"[\]]", &["]"], &[r"\", "a"]);
    check("foo*", &["foo", "foobar"], &["fo", "afoo"]);
    check("", &[""], &["a"]);
}

#[test]
fn odd_classes_are_taken_as_redis_takes_them() {
    check("[", &[], &["[", "a", ""]);
    check("[a", &["a"], &["[a", "b"]);
    check("[^", &["a", "]"], &["", "[^"]);
    check("[a-", &["a", "-"], &["b"]);
    check("[a-]", &["]", "^", "a"], &["-", "b"]);
    check("[b-a]c", &["ac", "bc"], &["cc"]);
    check("[]a", &[], &["a", "]a"]);
    check("[^]a", &["xa"], &["a"]);
    check("\\", &["\\"], &["", "a"]);
}

#[test]
fn only_a_lone_star_matches_nothing_at_all() {
    check("*", &["", "a"], &[]);
    check("**", &["a", "ab"], &[""]);
    check("?*", &["a"], &[""]);
}

#[test]
fn case_may_be_disregarded() {
    assert!(matches_nocase(b"MAX[m-z]*y", b"maxMemory"));
    assert!(
        !matches_nocase(b"[\\m]", b"M"),
        "an escaped byte keeps its case"
    );
    assert!(!matches(b"MAX*", b"maxmemory"));
}

#[test]
fn some_patterns_need_no_matching() {
    assert!(Pattern::new(b"*").is_all());
    assert!(!Pattern::new(b"**").is_all());
    assert_eq!(Pattern::new(b"key:1").exact(), Some(&b"key:1"[..]));
    assert_eq!(Pattern::new(br"key\:1").exact(), None);
}

#[test]
fn hostile_patterns_take_no_time() {
    let subject = [b'a'; 300];
    assert!(!matches("a*".repeat(40).as_bytes(), b"b"));
    assert!(!matches(("a*".repeat(200) + "b").as_bytes(), &subject));
    assert!(!matches(
        b"a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
        &subject
    ));
    assert!(!matches(("?*".repeat(300) + "[").as_bytes(), &subject));
    assert!(!matches("*?".repeat(50_000).as_bytes(), &subject));
    assert!(matches("*".repeat(100_000).as_bytes(), &subject));
    assert!(!matches("\\".repeat(9_999).as_bytes(), &subject));
    assert!(!matches("[".repeat(5_000).as_bytes(), &subject));
    assert!(!matches(
        format!("[^{}", "a-z".repeat(5_000)).as_bytes(),
        &subject
    ));
    let subject = [b'a'; 100_000];
    assert!(!matches(
        (["*"; 50].join("a").repeat(20) + "b").as_bytes(),
        &subject
    ));
}
