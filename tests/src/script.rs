//! Scripts: requests and the replies that they must get, in a form that survives any rewrite of the server.
//!
//! ```text
//! # A comment. A blank line ends a case; each case begins with FLUSHALL on a fresh connection.
//! > SET k v EX 10
//! +OK
//! > GET "with \"quotes\" and \x00"
//! (nil)
//! > TTL k
//! ~ :[0-9]*
//! # !ours: the next request is not asked of the oracle, which does not know the command
//! > DIGEST k
//! "e1eebd0f0d6e5ad9"
//! ```

use std::net::SocketAddr;
use std::path::Path;

use ostraka_datatypes::glob;
use ostraka_datatypes::resp::split_args;

use crate::client::Client;
use crate::server::{Oracle, TestServer};

struct Step {
    line: usize,
    request: Vec<Vec<u8>>,
    expected: Vec<String>,
    ours_only: bool,
}

/// Replays a script of `tests/scripts` against our server at 1, 2 and 4 shards, and against a stock redis-server.
///
/// # Panics
/// At the first reply that is not the expected one, with the line of the script.
pub fn check(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("scripts")
        .join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases = parse(&text);
    assert!(!cases.is_empty(), "{name} has no cases");
    if let Some(oracle) = Oracle::start() {
        replay(name, "redis-server", oracle.address, &cases, |step| {
            !step.ours_only
        });
    }
    for shards in [1, 2, 4] {
        let server = TestServer::start(shards, "");
        replay(
            name,
            &format!("ours, {shards} shards"),
            server.address,
            &cases,
            |_| true,
        );
    }
}

fn parse(text: &str) -> Vec<Vec<Step>> {
    let mut cases: Vec<Vec<Step>> = vec![Vec::new()];
    let mut ours_only = false;
    for (line, text) in text.lines().enumerate() {
        let text = text.trim_end();
        if let Some(request) = text.strip_prefix("> ") {
            let request =
                words(request).unwrap_or_else(|| panic!("line {}: unbalanced quotes", line + 1));
            let step = Step {
                line: line + 1,
                request,
                expected: Vec::new(),
                ours_only,
            };
            cases.last_mut().expect("there is always a case").push(step);
            ours_only = false;
        } else if let Some(comment) = text.strip_prefix('#') {
            ours_only |= comment.trim_start().starts_with("!ours");
        } else if text.is_empty() {
            cases.push(Vec::new());
        } else {
            let step = cases.last_mut().and_then(|case| case.last_mut());
            step.unwrap_or_else(|| panic!("line {}: a reply without a request", line + 1))
                .expected
                .push(text.into());
        }
    }
    cases.retain(|case| !case.is_empty());
    cases
}

fn words(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut line = text.as_bytes().to_vec();
    let mut spans = Vec::new();
    split_args(&mut line, &mut spans).ok()?;
    Some(spans.iter().map(|span| span.of(&line).to_vec()).collect())
}

fn replay(
    name: &str,
    who: &str,
    address: SocketAddr,
    cases: &[Vec<Step>],
    asked: impl Fn(&Step) -> bool,
) {
    for case in cases {
        let mut client = Client::connect(address);
        assert_eq!(client.say("FLUSHALL"), "+OK");
        for step in case.iter().filter(|step| asked(step)) {
            let reply = client.ask(&step.request);
            assert!(
                fits(&step.expected, &reply),
                "{name}.txt line {} ({who}): expected {:#?}, got {reply:#?}",
                step.line,
                step.expected
            );
        }
    }
}

fn fits(expected: &[String], reply: &[String]) -> bool {
    expected.len() == reply.len()
        && expected
            .iter()
            .zip(reply)
            .all(|(expected, line)| match expected.strip_prefix("~ ") {
                Some(pattern) => glob::matches(pattern.as_bytes(), line.as_bytes()),
                None => expected == line,
            })
}
