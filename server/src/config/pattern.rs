//! Glob patterns over names: `*`, `?`, `[a-z]`, `[^x]` and `\` as in KEYS, matched in linear time per star.
//!
//! One point of return, the last star, is enough for globs: an earlier star never has to take more. So no pattern
//! costs more than its length times the length of the name, and nothing recurses.

/// Whether the whole name fits; `fold` compares ASCII letters regardless of case.
pub fn matches(pattern: &[u8], name: &[u8], fold: bool) -> bool {
    let (mut rest, mut left) = (pattern, name);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some((b'*', after)) = rest.split_first() {
            retry = Some((after, left));
            rest = after;
            continue;
        }
        if rest.is_empty() && left.is_empty() {
            return true;
        }
        if let Some((byte, after_byte)) = left.split_first()
            && let Some(after) = step(rest, *byte, fold)
        {
            (rest, left) = (after, after_byte);
            continue;
        }
        match retry {
            Some((after_star, [_, taken @ ..])) => {
                retry = Some((after_star, taken));
                (rest, left) = (after_star, taken);
            }
            _ => return false,
        }
    }
}

/// Whether the text means anything but itself.
pub fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// What is left of the pattern once its first element took this byte.
fn step(pattern: &[u8], byte: u8, fold: bool) -> Option<&[u8]> {
    let same = |a: u8| a == byte || fold && a.eq_ignore_ascii_case(&byte);
    match pattern {
        [b'?', after @ ..] => Some(after),
        [b'[', set @ ..] => {
            let (fits, after) = in_set(set, byte, fold);
            fits.then_some(after)
        }
        [b'\\', escaped, after @ ..] => same(*escaped).then_some(after),
        [literal, after @ ..] => same(*literal).then_some(after),
        [] => None,
    }
}

/// Reads the inside of `[...]`; one that is never closed ends with the pattern.
fn in_set(set: &[u8], byte: u8, fold: bool) -> (bool, &[u8]) {
    let (negated, mut rest) = match set {
        [b'^', after @ ..] => (true, after),
        set => (false, set),
    };
    let lower = |b: u8| if fold { b.to_ascii_lowercase() } else { b };
    let byte = lower(byte);
    let mut found = false;
    loop {
        rest = match rest {
            [b'\\', escaped, after @ ..] => {
                found |= lower(*escaped) == byte;
                after
            }
            [b']', after @ ..] => return (found != negated, after),
            [] => return (found != negated, rest),
            [from, b'-', to, after @ ..] => {
                let (from, to) = (lower(*from.min(to)), lower(*from.max(to)));
                found |= (from..=to).contains(&byte);
                after
            }
            [one, after @ ..] => {
                found |= lower(*one) == byte;
                after
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, name: &str) -> bool {
        matches(pattern.as_bytes(), name.as_bytes(), true)
    }

    #[test]
    fn globs_match_whole_names() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "x"),
            ("a*c", "abbc"),
            ("*a*b*", "xxaxxbxx"),
            ("?", "x"),
            ("[a-c]x", "BX"),
            ("[^a]", "b"),
            ("hash-max-[zl]*value", "hash-max-listpack-value"),
            ("\\*", "*"),
            ("[\\]]", "]"),
            ("HZ", "hz"),
            ("**x", "x"),
            ("[ab", "b"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("", "x"),
            ("?", ""),
            ("a*c", "abb"),
            ("[^a]", "a"),
            ("[a-c]", "d"),
            ("\\*", "x"),
            ("ab", "a"),
            ("*a", "ab"),
            ("[a", ""),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
        assert!(!matches(b"HZ", b"hz", false));
    }

    #[test]
    fn many_stars_stay_cheap() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!fits(&pattern, &"a".repeat(20_000)));
    }
}
