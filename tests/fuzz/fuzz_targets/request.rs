//! Any bytes as a connection's input: the parser never panics, each step consumes or waits, spans lie within the
//! bytes received, memory follows what was received, and the pieces in which bytes arrive make no difference.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostraka_datatypes::resp::{Limits, Parser, Progress, ProtocolError};

type Outcome = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

fn receive<'a>(pieces: impl Iterator<Item = &'a [u8]>, limits: &Limits) -> Outcome {
    let mut parser = Parser::default();
    let (mut pending, mut commands) = (Vec::new(), Vec::new());
    for piece in pieces {
        pending.extend_from_slice(piece);
        loop {
            let mut spans = Vec::new();
            let progress = parser.parse(&mut pending, limits, &mut spans);
            assert!(spans.capacity() <= pending.len().max(4));
            match progress {
                Ok(Progress::Command { consumed }) => {
                    assert!(consumed > 0 && !spans.is_empty());
                    commands.push(
                        spans
                            .iter()
                            .map(|span| span.of(&pending[..consumed]).to_vec())
                            .collect(),
                    );
                    pending.drain(..consumed);
                }
                Ok(Progress::Empty { consumed }) => {
                    assert!(consumed > 0 && spans.is_empty());
                    pending.drain(..consumed);
                }
                Ok(Progress::Incomplete { missing }) => {
                    assert!(missing > 0 && spans.is_empty());
                    break;
                }
                Err(fault) => return (commands, Some(fault)),
            }
        }
    }
    (commands, None)
}

fuzz_target!(|input: &[u8]| {
    let [mode, stream @ ..] = input else {
        return;
    };
    let limits = match mode & 1 {
        0 => Limits::authenticated(1 << 20),
        _ => Limits::unauthenticated(1 << 20),
    };
    let whole = receive(std::iter::once(stream), &limits);
    let size = usize::from(mode >> 1) + 1;
    assert_eq!(receive(stream.chunks(size), &limits), whole);
});
