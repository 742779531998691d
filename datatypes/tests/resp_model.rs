//! The request parser against `redis-protocol` as encoder, against itself fed in other pieces, and against the
//! error texts that Redis' clients know.

use ostraka_datatypes::resp::{Limits, Parser, Progress, ProtocolError};
use proptest::prelude::*;
use redis_protocol::resp2::encode;
use redis_protocol::resp2::types::{OwnedFrame, Resp2Frame};

type Command = Vec<Vec<u8>>;

const MAX_BULK: usize = 512 * 1024 * 1024;

/// What a connection made of a stream: the commands executed, and the fault that closed it.
#[derive(Debug, PartialEq)]
struct Outcome {
    commands: Vec<Command>,
    fault: Option<ProtocolError>,
    unread: usize,
}

/// A connection that receives `pieces` and keeps what no command has taken.
fn receive<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: &Limits) -> Outcome {
    let mut parser = Parser::default();
    let (mut pending, mut commands) = (Vec::new(), Vec::new());
    for piece in pieces {
        pending.extend_from_slice(piece);
        loop {
            let mut spans = Vec::new();
            let before = pending.len();
            match parser.parse(&mut pending, limits, &mut spans) {
                Ok(Progress::Command { consumed }) => {
                    assert!(!spans.is_empty() && parser.is_between_commands());
                    commands.push(
                        spans
                            .iter()
                            .map(|span| span.of(&pending).to_vec())
                            .collect(),
                    );
                    pending.drain(..consumed);
                }
                Ok(Progress::Empty { consumed }) => {
                    assert!(spans.is_empty() && parser.is_between_commands());
                    pending.drain(..consumed);
                }
                Ok(Progress::Incomplete { missing }) => {
                    assert!(missing > 0 && spans.is_empty());
                    assert_eq!(parser.is_between_commands(), pending.is_empty());
                    break;
                }
                Err(fault) => {
                    return Outcome {
                        commands,
                        fault: Some(fault),
                        unread: 0,
                    };
                }
            }
            assert!(pending.len() < before, "each step consumes or returns");
        }
    }
    Outcome {
        commands,
        fault: None,
        unread: pending.len(),
    }
}

fn receive_whole(stream: &[u8]) -> Outcome {
    receive([stream], &Limits::authenticated(MAX_BULK))
}

fn receive_bytewise(stream: &[u8]) -> Outcome {
    receive(stream.chunks(1), &Limits::authenticated(MAX_BULK))
}

fn encoded(command: &Command) -> Vec<u8> {
    let frame = OwnedFrame::Array(
        command
            .iter()
            .cloned()
            .map(OwnedFrame::BulkString)
            .collect(),
    );
    let mut stream = vec![0; frame.encode_len(false)];
    let len = encode::encode(&mut stream, &frame, false).expect("any bytes can be encoded");
    assert_eq!(len, stream.len());
    stream
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let argument = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..12),
        1 => prop::collection::vec(any::<u8>(), 90..120),
        1 => prop::collection::vec(any::<u8>(), 990..1020),
    ];
    prop::collection::vec(prop::collection::vec(argument, 1..14), 0..8)
}

/// Streams of tokens that the parser branches on.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => prop::sample::select(vec![
            "*", "$", "\r\n", "\r", "\n", "*1\r\n", "*2\r\n", "$1\r\n", "$3\r\nGET\r\n", "$-1\r\n", "*-1\r\n", "*0\r\n",
            "-", "0", "1", "9", "10", " ", "\"", "'", "\\", "\\x4", "\\n", "\0", "PING\r\n", "a", "+", "*03\r\n",
        ]).prop_map(|token| token.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn what_another_encoder_writes_is_read_back(commands in commands()) {
        let stream: Vec<u8> = commands.iter().flat_map(encoded).collect();
        let expected = Outcome { commands, fault: None, unread: 0 };
        prop_assert_eq!(&receive_whole(&stream), &expected);
        prop_assert_eq!(&receive_bytewise(&stream), &expected);
    }

    #[test]
    fn pieces_do_not_matter(stream in noise(), cuts in prop::collection::vec(1_usize..9, 1..40)) {
        let mut rest = &stream[..];
        let pieces = cuts.iter().map(|&cut| {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            rest = after;
            piece
        });
        let mut pieces: Vec<&[u8]> = pieces.collect();
        pieces.push(rest);
        let whole = receive_whole(&stream);
        prop_assert_eq!(&receive(pieces, &Limits::authenticated(MAX_BULK)), &whole);
        prop_assert_eq!(&receive_bytewise(&stream), &whole);
    }

    #[test]
    fn an_inline_word_may_hold_any_byte_if_escaped(words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 1..5)) {
        let line: String = words.iter().map(|word| {
            let escaped: String = word.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            format!("\"{escaped}\" ")
        }).collect();
        prop_assert_eq!(receive_whole(format!("{line}\r\n").as_bytes()).commands, [words]);
    }
}

#[test]
fn requests_without_arguments_are_skipped() {
    for nothing in [
        "\r\n",
        "\n",
        " \t \r\n",
        "*0\r\n",
        "*-10\r\n",
        "*-9223372036854775808\r\n",
    ] {
        let stream = format!("{nothing}*1\r\n$4\r\nPING\r\n");
        let outcome = receive_whole(stream.as_bytes());
        assert_eq!(outcome.commands, [[b"PING"]], "{nothing:?}");
        assert_eq!(receive_bytewise(stream.as_bytes()), outcome);
    }
}

#[test]
fn faults_are_told_in_redis_words() {
    let long = "1".repeat(70_000);
    let cases = [
        ("*3000000000\r\n".to_owned(), "invalid multibulk length"),
        ("*2147483648\r\n".to_owned(), "invalid multibulk length"),
        (
            "*9223372036854775808\r\n".to_owned(),
            "invalid multibulk length",
        ),
        ("*12a\r\n".to_owned(), "invalid multibulk length"),
        ("*\r\n".to_owned(), "invalid multibulk length"),
        ("*+1\r\n".to_owned(), "invalid multibulk length"),
        ("*-0\r\n".to_owned(), "invalid multibulk length"),
        ("*01\r\n".to_owned(), "invalid multibulk length"),
        ("*1\r\n$536870913\r\n".to_owned(), "invalid bulk length"),
        ("*1\r\n$-1\r\n".to_owned(), "invalid bulk length"),
        ("*1\r\n$blabla\r\n".to_owned(), "invalid bulk length"),
        ("*1\r\n$\r\n".to_owned(), "invalid bulk length"),
        (
            "*1\r\n$18446744073709551616\r\n".to_owned(),
            "invalid bulk length",
        ),
        (
            "*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n".to_owned(),
            "expected '$', got 'f'",
        ),
        (
            "*1\r\n*1\r\n$4\r\nPING\r\n".to_owned(),
            "expected '$', got '*'",
        ),
        ("*1\r\n\r\n".to_owned(), r"expected '$', got '\r'"),
        ("*1\r\n$4\r\nPINGxx".to_owned(), "invalid CRLF in request"),
        ("*1\r\n$3\r\nPING\r\n".to_owned(), "invalid CRLF in request"),
        ("*1\r\n$4\r\nPING\rx".to_owned(), "invalid CRLF in request"),
        ("*1\rx".to_owned(), "invalid CRLF in request"),
        ("*1\r\n$4\rx".to_owned(), "invalid CRLF in request"),
        (format!("*{long}"), "too big mbulk count string"),
        (format!("*{long}\r\n"), "too big mbulk count string"),
        (format!("*1\r\n${long}"), "too big bulk count string"),
        ("A".repeat(70_000), "too big inline request"),
        ("A".repeat(70_000) + "\r\n", "too big inline request"),
        (
            "set \"\"\"test-key\"\"\" test-value\r\n".to_owned(),
            "unbalanced quotes in request",
        ),
    ];
    for (stream, text) in cases {
        let outcome = receive_whole(stream.as_bytes());
        let fault = outcome.fault.map(|fault| fault.to_string());
        assert_eq!(
            fault,
            Some(format!("Protocol error: {text}")),
            "{:.40}",
            stream
        );
        assert_eq!(receive_bytewise(stream.as_bytes()), outcome);
    }
}

#[test]
fn lines_of_64_kib_are_the_longest() {
    let accepted = format!("SET k {}\n", "v".repeat(65_536 - 6));
    assert_eq!(
        receive_whole(accepted.as_bytes()).commands[0][2].len(),
        65_530
    );
    let refused = format!("SET k {}\n", "v".repeat(65_536 - 5));
    assert_eq!(
        receive_whole(refused.as_bytes()).fault,
        Some(ProtocolError::TooBigInline)
    );
    let waiting = receive_whole(&[b'*'; 65_536]);
    assert_eq!((waiting.fault, waiting.unread), (None, 65_536));
    assert_eq!(
        receive_whole(&[b'*'; 65_537]).fault,
        Some(ProtocolError::TooBigCount)
    );
}

#[test]
fn commands_before_a_fault_are_executed() {
    let outcome = receive_whole(b"*1\r\n$4\r\nPING\r\n*1\r\n$-9\r\n");
    assert_eq!(outcome.commands, [[b"PING"]]);
    assert_eq!(outcome.fault, Some(ProtocolError::InvalidBulkLength));
}

#[test]
fn limits_hold_at_their_edges() {
    let strangers = Limits::unauthenticated(MAX_BULK);
    let fault = |stream: &str, limits| receive([stream.as_bytes()], limits).fault;
    let command = |count: usize, len: usize| {
        let argument = format!("${len}\r\n{}\r\n", "x".repeat(len));
        format!("*{count}\r\n{}", argument.repeat(count))
    };
    assert_eq!(fault(&command(10, 16_384), &strangers), None);
    let (count, bulk) = (
        ProtocolError::UnauthenticatedMultibulkLength,
        ProtocolError::UnauthenticatedBulkLength,
    );
    assert_eq!(fault(&command(11, 1), &strangers), Some(count));
    assert_eq!(fault(&command(1, 16_385), &strangers), Some(bulk));
    assert_eq!(
        fault("*3000000000\r\n", &strangers),
        Some(ProtocolError::InvalidMultibulkLength)
    );
    assert_eq!(
        fault("*1\r\n$3000000000\r\n", &strangers),
        Some(ProtocolError::InvalidBulkLength)
    );

    let known = Limits::authenticated(20_000);
    assert_eq!(fault(&command(11, 20_000), &known), None);
    assert_eq!(
        fault(&command(1, 20_001), &known),
        Some(ProtocolError::InvalidBulkLength)
    );
}

#[test]
fn limits_may_fall_while_a_command_arrives() {
    let mut parser = Parser::default();
    let mut spans = Vec::new();
    let mut stream = b"*1\r\n$30\r\n".to_vec();
    let progress = parser.parse(&mut stream, &Limits::authenticated(30), &mut spans);
    assert_eq!(progress, Ok(Progress::Incomplete { missing: 32 }));
    stream.extend_from_slice(&[b'x'; 30]);
    stream.extend_from_slice(b"\r\n");
    let progress = parser.parse(&mut stream, &Limits::authenticated(20), &mut spans);
    assert_eq!(progress, Ok(Progress::Command { consumed: 41 }));
}

#[test]
fn the_missing_bytes_of_a_large_argument_are_known() {
    let mut parser = Parser::default();
    let mut stream = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nxyz".to_vec();
    let mut spans = Vec::new();
    let progress = parser.parse(&mut stream, &Limits::authenticated(MAX_BULK), &mut spans);
    assert_eq!(
        progress,
        Ok(Progress::Incomplete {
            missing: MAX_BULK - 3 + 2
        })
    );
    assert_eq!(
        spans.capacity(),
        4,
        "spans are stored for arguments received, not announced"
    );
}

#[test]
fn a_parser_is_small() {
    assert!(size_of::<Parser>() <= 40);
}
