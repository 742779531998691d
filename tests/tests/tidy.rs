//! The habits of this code base, checked: sizes of files and functions, where `unsafe` and the outside world may
//! appear, which crate may know which, and the README's two commands.
//!
//! What was over a limit when its rule came is listed in `tests/tidy_ratchet.txt` with its size, and may only shrink:
//! a line there must match exactly, so whoever makes something smaller also makes the list smaller.
//!
//! The scanner does not parse Rust. It blanks comments and literals, then reads words and counts braces; that is
//! exact enough for these questions and has no dependencies.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const MAX_FILE_LINES: usize = 800;
const MAX_FUNCTION_LINES: usize = 70;

/// The only places for `unsafe` code and for clock, files, threads and sockets.
const RAW: &str = "datatypes/src/raw";
const OS: &str = "server/src/os";

/// Crates by rank: a crate may depend on crates of lower rank only, so siblings never know one another.
const RANKS: [(&str, u8); 7] = [
    ("datatypes", 0),
    ("persistence", 1),
    ("replication", 1),
    ("scripting", 1),
    ("server", 2),
    ("tests", 3),
    ("benches", 3),
];

/// What enters through `server/src/os` only, because the simulation stands in for it.
const OUTSIDE_WORLD: [&str; 11] = [
    "Instant::now",
    "SystemTime",
    "std::fs",
    "File::open",
    "TcpListener",
    "TcpStream",
    "UnixStream",
    "thread::spawn",
    "thread::sleep",
    "process::Command",
    "RandomState",
];

const UNFINISHED: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];
const README_COMMANDS: [&str; 2] = ["cargo run --release", "cargo test --workspace"];

struct Source {
    /// Relative to the root, with `/`.
    path: String,
    /// The text with comments and literals blanked, line for line.
    code: String,
    lines: usize,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests crate lies in the workspace")
        .to_path_buf()
}

fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    for (name, _) in RANKS {
        collect(&root, &root.join(name), &mut found);
    }
    assert!(
        found.len() > 10,
        "the sources were not found under {root:?}"
    );
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries
        .map(|e| e.expect("readable folder").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.ends_with("target") {
            collect(root, &path, found);
        } else if path
            .extension()
            .is_some_and(|e| e == "rs" || e == "py" || e == "c")
        {
            found.push(source(root, &path));
        }
    }
}

fn source(root: &Path, path: &Path) -> Source {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    let relative = path.strip_prefix(root).expect("found under the root");
    Source {
        path: relative.to_string_lossy().replace('\\', "/"),
        lines: text.lines().count(),
        code: if path.extension().is_some_and(|e| e == "rs") {
            blank(&text)
        } else {
            String::new()
        },
    }
}

/// The text with every comment, string and character literal replaced by spaces; line breaks stay.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        for byte in &mut out[at..end.max(at)] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the comment or literal that starts at `at` ends; `at` itself if none starts there.
fn literal_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return at + rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return at + find(rest, b"*/").map_or(rest.len(), |i| i + 2);
    }
    if rest[0] == b'"' {
        return at + quoted(rest, b'"');
    }
    if rest[0] == b'\'' {
        return at + character(rest);
    }
    let starts_word = at == 0 || !is_word(bytes[at - 1]);
    at + raw_string(rest).filter(|_| starts_word).unwrap_or(0)
}

/// Length of a literal in `quote`s, escapes included.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut i = 1;
    while i < rest.len() && rest[i] != quote {
        i += if rest[i] == b'\\' { 2 } else { 1 };
    }
    (i + 1).min(rest.len())
}

/// Length of a character literal, 0 for a lifetime.
fn character(rest: &[u8]) -> usize {
    let escaped = rest.get(1) == Some(&b'\\');
    let closes_within_one_char = rest.iter().skip(2).take(4).position(|&b| b == b'\'');
    match closes_within_one_char {
        Some(i) if !escaped && (i == 0 || !rest[1].is_ascii()) => i + 3,
        _ if escaped => quoted(rest, b'\''),
        _ => 0,
    }
}

/// Length of `r"…"`, `r#"…"#`, `br"…"`; the plain `b"…"` begins with its quote for us.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let body = rest.strip_prefix(b"b").unwrap_or(rest).strip_prefix(b"r")?;
    let hashes = body.iter().take_while(|&&b| b == b'#').count();
    if body.get(hashes) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.extend(std::iter::repeat_n(b'#', hashes));
    let open = rest.len() - body.len() + hashes + 1;
    Some(find(&rest[open..], &close).map_or(rest.len(), |i| open + i + close.len()))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where `word` stands by itself in the code.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    let alone = move |at: usize| {
        let before = at.checked_sub(1).map(|i| bytes[i]);
        let after = bytes.get(at + word.len()).copied();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    };
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| alone(at))
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].bytes().filter(|&b| b == b'\n').count() + 1
}

/// Name and number of lines of every function with a body, signature and closing brace included.
fn functions(code: &str) -> Vec<(String, usize)> {
    words(code, "fn")
        .filter_map(|at| {
            let name: String = code[at + 2..]
                .trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let end = body_end(code.as_bytes(), at)?;
            (!name.is_empty()).then(|| (name, line_of(code, end) - line_of(code, at) + 1))
        })
        .collect()
}

/// The closing brace of the body that follows; none for a declaration or a function pointer.
fn body_end(code: &[u8], from: usize) -> Option<usize> {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for (at, &byte) in code.iter().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets = brackets.checked_sub(1)?,
            b'{' => braces += 1,
            b'}' => {
                braces = braces.checked_sub(1)?;
                if braces == 0 {
                    return Some(at);
                }
            }
            b';' if braces == 0 && brackets == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Everything over its limit: what it is -> how many lines it has.
fn oversized() -> BTreeMap<String, usize> {
    let mut over = BTreeMap::new();
    for source in sources() {
        if source.lines >= MAX_FILE_LINES {
            over.insert(source.path.clone(), source.lines);
        }
        for (name, lines) in functions(&source.code) {
            if lines >= MAX_FUNCTION_LINES {
                let worst = over.entry(format!("{}::{name}", source.path)).or_default();
                *worst = lines.max(*worst);
            }
        }
    }
    over
}

fn ratchet() -> BTreeMap<String, usize> {
    let path = root().join("tests/tidy_ratchet.txt");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (what, lines) = line
                .rsplit_once(' ')
                .expect("a line is: what, space, lines");
            (what.to_owned(), lines.parse().expect("lines is a number"))
        })
        .collect()
}

fn refuse(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Every place where one of the words appears, of the files that `watched` chooses.
fn appearances(forbidden: &[&str], why: &str, watched: impl Fn(&str) -> bool) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|s| watched(&s.path)) {
        for word in forbidden {
            for at in words(&source.code, word) {
                faults.push(format!(
                    "{}:{}: {word}: {why}",
                    source.path,
                    line_of(&source.code, at)
                ));
            }
        }
    }
    faults
}

#[test]
fn files_and_functions_stay_small() {
    let (over, listed) = (oversized(), ratchet());
    let mut faults = Vec::new();
    for (what, lines) in &over {
        match listed.get(what) {
            None => faults.push(format!(
                "{what} has {lines} lines: cut it where a noun appears"
            )),
            Some(allowed) if lines > allowed => {
                faults.push(format!("{what} grew from {allowed} to {lines} lines"))
            }
            Some(allowed) if lines < allowed => {
                faults.push(format!("{what} shrank to {lines}: lower the ratchet"))
            }
            Some(_) => {}
        }
    }
    for what in listed.keys().filter(|what| !over.contains_key(*what)) {
        faults.push(format!("{what} is small now: take it off the ratchet"));
    }
    refuse(&faults);
}

#[test]
fn unsafe_code_stays_in_its_two_folders() {
    let elsewhere = |path: &str| !path.starts_with(RAW) && !path.starts_with(OS);
    refuse(&appearances(
        &["unsafe"],
        "belongs into datatypes/src/raw or server/src/os",
        elsewhere,
    ));
}

#[test]
fn the_outside_world_enters_through_os() {
    let product = |path: &str| {
        path.contains("/src/") && !path.starts_with("tests/") && !path.starts_with("benches/")
    };
    refuse(&appearances(
        &OUTSIDE_WORLD,
        "enters through server/src/os",
        |path| product(path) && !path.starts_with(OS),
    ));
}

#[test]
fn nothing_is_left_unfinished() {
    refuse(&appearances(
        &UNFINISHED,
        "finish it, or make it a clear error",
        |_| true,
    ));
}

#[test]
fn no_test_sleeps() {
    refuse(&appearances(
        &["sleep"],
        "wait for what must happen instead",
        |path| path.contains("/tests/"),
    ));
}

#[test]
fn crates_know_only_those_below() {
    let mut faults = Vec::new();
    for (name, rank) in RANKS {
        let Ok(manifest) = fs::read_to_string(root().join(name).join("Cargo.toml")) else {
            continue;
        };
        for (below, other) in RANKS {
            let depends = manifest
                .lines()
                .any(|line| line.starts_with(&format!("ostraka-{below}")));
            if depends && other >= rank {
                faults.push(format!(
                    "{name} must not depend on {below}: arrows point down only"
                ));
            }
        }
    }
    refuse(&faults);
}

#[test]
fn readme_gives_the_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap_or_default();
    let missing = README_COMMANDS
        .iter()
        .filter(|command| !readme.contains(**command));
    refuse(
        &missing
            .map(|command| format!("README.md does not say `{command}`"))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn scanner_sees_code_and_nothing_else() {
    let code = blank(
        "let a = \"unsafe {\"; // unsafe\nlet c = '{'; fn f<'a>(x: [u8; 2]) { r#\"}\"#; '\\''; }\n/* fn g() {} */ b\"\\\"\";",
    );
    assert_eq!(words(&code, "unsafe").count(), 0);
    assert_eq!(functions(&code), [("f".to_owned(), 1)]);
    assert_eq!(code.lines().count(), 3);
}

#[test]
fn function_sizes_count_from_signature_to_brace() {
    let code = "trait T { fn declared(&self); }\nfn two(\n) {\n}\nfn outer() {\n  fn inner() {}\n  let p: fn(u8) = x;\n}\n";
    let sizes =
        [("two", 3), ("outer", 4), ("inner", 1)].map(|(name, lines)| (name.to_owned(), lines));
    assert_eq!(functions(code), sizes);
}
