//! Replies against `redis-protocol` as decoder, and the output buffer against one flat string of bytes.

use std::sync::Arc;

use ostraka_datatypes::blob::{BLOB_MIN, Blob};
use ostraka_datatypes::resp::{Output, Protocol, Reply};
use proptest::prelude::*;
use redis_protocol::{resp2, resp3};

use Protocol::{Resp2, Resp3};

fn bytes_of(output: &Output) -> Vec<u8> {
    output.pieces().flatten().copied().collect()
}

fn written(protocol: Protocol, write: impl FnOnce(&mut Reply<'_>)) -> Vec<u8> {
    let mut output = Output::new();
    write(&mut Reply::new(&mut output, protocol));
    bytes_of(&output)
}

/// Checks what `write` sends in both protocols.
#[track_caller]
fn check(write: impl Fn(&mut Reply<'_>), in_resp2: &str, in_resp3: &str) {
    assert_eq!(String::from_utf8_lossy(&written(Resp2, &write)), in_resp2);
    assert_eq!(String::from_utf8_lossy(&written(Resp3, &write)), in_resp3);
}

#[track_caller]
fn check_both(write: impl Fn(&mut Reply<'_>), text: &str) {
    check(write, text, text);
}

#[test]
fn scalars_that_both_protocols_share() {
    check_both(|reply| reply.ok(), "+OK\r\n");
    check_both(|reply| reply.simple("PONG"), "+PONG\r\n");
    check_both(
        |reply| reply.error("ERR no such key"),
        "-ERR no such key\r\n",
    );
    check_both(|reply| reply.bulk(b""), "$0\r\n\r\n");
    check_both(|reply| reply.bulk(b"a\r\nb"), "$4\r\na\r\nb\r\n");
    check_both(|reply| reply.bulk_integer(-120), "$4\r\n-120\r\n");
    for value in [
        0,
        7,
        10,
        99,
        100,
        999,
        1000,
        12_345,
        i64::MAX,
        -1,
        -1000,
        i64::MIN,
    ] {
        check_both(|reply| reply.integer(value), &format!(":{value}\r\n"));
    }
}

#[test]
fn scalars_that_differ() {
    check(|reply| reply.null(), "$-1\r\n", "_\r\n");
    check(|reply| reply.null_array(), "*-1\r\n", "_\r\n");
    check(|reply| reply.boolean(true), ":1\r\n", "#t\r\n");
    check(|reply| reply.boolean(false), ":0\r\n", "#f\r\n");
    check(|reply| reply.double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n");
    check(
        |reply| reply.double(f64::NEG_INFINITY),
        "$4\r\n-inf\r\n",
        ",-inf\r\n",
    );
    check(
        |reply| reply.human_double(0.1),
        "$19\r\n0.10000000000000001\r\n",
        ",0.10000000000000001\r\n",
    );
    check(|reply| reply.big_number("-42"), "$3\r\n-42\r\n", "(-42\r\n");
    check(
        |reply| reply.verbatim(b"txt", b"a\nb"),
        "$3\r\na\nb\r\n",
        "=7\r\ntxt:a\nb\r\n",
    );
}

#[test]
fn aggregates() {
    check_both(|reply| reply.array(1000), "*1000\r\n");
    check(|reply| reply.map(3), "*6\r\n", "%3\r\n");
    check(|reply| reply.set(3), "*3\r\n", "~3\r\n");
    check(|reply| reply.push(3), "*3\r\n", ">3\r\n");
    check(
        |reply| assert_eq!(reply.attribute(1), reply.protocol() == Resp3),
        "",
        "|1\r\n",
    );
}

#[test]
fn a_text_cannot_end_its_line_early() {
    check_both(
        |reply| reply.error("ERR a\r\n+OK\nb\r\n\n"),
        "-ERR a  +OK b\r\n",
    );
    check_both(|reply| reply.simple("\r\n"), "+\r\n");
    check_both(|reply| reply.simple(b"\xff\n".as_slice()), "+\u{fffd}\r\n");
}

#[test]
fn a_deferred_length_may_be_nested() {
    let write = |reply: &mut Reply<'_>| {
        let pairs = reply.deferred_map();
        reply.bulk(b"k");
        let list = reply.deferred_array();
        for _ in 0..12 {
            reply.integer(1);
        }
        reply.close(list, 12);
        reply.bulk(b"l");
        let empty = reply.deferred_set();
        reply.close(empty, 0);
        reply.close(pairs, 2);
    };
    let ones = ":1\r\n".repeat(12);
    let body = |set| format!("$1\r\nk\r\n*12\r\n{ones}$1\r\nl\r\n{set}0\r\n");
    check(
        write,
        &format!("*4\r\n{}", body('*')),
        &format!("%2\r\n{}", body('~')),
    );
}

#[test]
fn small_blobs_are_copied_and_large_ones_referenced() {
    let large: Blob = Arc::new(vec![b'x'; BLOB_MIN]);
    let mut output = Output::new();
    let mut reply = Reply::new(&mut output, Resp2);
    reply.blob(&Arc::new(b"small".to_vec()));
    assert!(output.single_piece().is_some());
    Reply::new(&mut output, Resp2).blob(&large);
    assert_eq!(Arc::strong_count(&large), 2);
    assert!(output.single_piece().is_none());
    assert_eq!(
        output.pieces().map(<[u8]>::len).collect::<Vec<_>>(),
        [11 + 8, BLOB_MIN, 2]
    );
    output.advance(output.len() - 2);
    assert_eq!(Arc::strong_count(&large), 1);
    assert_eq!(output.single_piece(), Some(&b"\r\n"[..]));
}

#[test]
fn an_idle_output_holds_nothing() {
    let mut output = Output::new();
    assert_eq!(output.allocated(), 0);
    assert!(!output.has_buffer());
    output.lend(Vec::with_capacity(4096));
    assert_eq!((output.allocated(), output.has_buffer()), (4096, true));
    Reply::new(&mut output, Resp2).ok();
    assert_eq!(output.release().capacity(), 0, "what is unsent stays");
    output.advance(5);
    assert_eq!(output.release().capacity(), 4096);
    assert_eq!(output.allocated(), 0);
}

#[test]
fn a_huge_reply_is_held_in_chunks_and_let_go_of_as_it_is_sent() {
    let mut output = Output::new();
    let mut reply = Reply::new(&mut output, Resp2);
    let members = reply.deferred_array();
    for _ in 0..400_000 {
        reply.bulk(b"member");
    }
    reply.close(members, 400_000);
    assert_eq!(output.len(), 9 + 400_000 * 12);
    assert_eq!(
        output.pieces().next().map(|piece| &piece[..9]),
        Some(&b"*400000\r\n"[..])
    );
    let (before, half) = (output.allocated(), output.len() / 2);
    output.advance(half);
    assert!(output.allocated() < before * 6 / 10);
}

#[test]
fn an_output_over_its_limit_throws_everything_away_and_says_so() {
    let mut output = Output::new();
    output.set_limit(200_000);
    let mut reply = Reply::new(&mut output, Protocol::Resp2);
    let header = reply.deferred_map();
    for _ in 0..1_000_000 {
        reply.bulk(b"some value");
    }
    reply.close(header, 500_000);
    assert!(output.is_over());
    assert!(output.len() <= 200_000 && output.allocated() < 400_000);
}

#[test]
fn an_output_is_small_and_goes_from_thread_to_thread() {
    fn is_send<T: Send>() {}
    is_send::<Output>();
    assert!(size_of::<Output>() <= 112);
}

/// One step in the life of an output.
#[derive(Clone, Debug)]
enum Step {
    Bulk(usize),
    Blob(usize),
    Integer(i64),
    /// Opens an array, writes so many bulks of such a length and tells the count.
    Deferred(usize, usize),
    /// Writes something and takes it back.
    Rollback(Vec<usize>),
    /// Appends an output written elsewhere.
    Append(Vec<usize>),
    /// Sends this share of what is there, in thousandths.
    Send(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![0_usize..200, 0_usize..40_000, 60_000_usize..200_000];
    let sizes = prop::collection::vec(size.clone(), 0..5);
    prop_oneof![
        size.clone().prop_map(Step::Bulk),
        size.clone().prop_map(Step::Blob),
        any::<i64>().prop_map(Step::Integer),
        (0_usize..12, size).prop_map(|(count, size)| Step::Deferred(count, size)),
        sizes.clone().prop_map(Step::Rollback),
        sizes.prop_map(Step::Append),
        (0_usize..=1000).prop_map(Step::Send),
    ]
}

/// Writes one value of `size` bytes, copied or by reference, to the reply and to the model.
fn write_value(reply: &mut Reply<'_>, model: &mut Vec<u8>, size: usize, by_reference: bool) {
    let value = vec![b'a' + (size % 26) as u8; size];
    model.extend_from_slice(format!("${size}\r\n").as_bytes());
    model.extend_from_slice(&value);
    model.extend_from_slice(b"\r\n");
    if by_reference {
        reply.blob(&Arc::new(value))
    } else {
        reply.bulk(&value)
    }
}

fn write_values(reply: &mut Reply<'_>, sizes: &[usize]) -> Vec<u8> {
    let mut model = Vec::new();
    for (index, &size) in sizes.iter().enumerate() {
        write_value(reply, &mut model, size, index % 2 == 0);
    }
    model
}

fn run(step: Step, output: &mut Output, model: &mut Vec<u8>) {
    let mut reply = Reply::new(output, Resp2);
    match step {
        Step::Bulk(size) => write_value(&mut reply, model, size, false),
        Step::Blob(size) => write_value(&mut reply, model, size, true),
        Step::Integer(value) => {
            reply.integer(value);
            model.extend_from_slice(format!(":{value}\r\n").as_bytes());
        }
        Step::Deferred(count, size) => {
            let array = reply.deferred_array();
            model.extend_from_slice(format!("*{count}\r\n").as_bytes());
            for index in 0..count {
                write_value(&mut reply, model, size, index % 3 == 0);
            }
            reply.close(array, count);
        }
        Step::Rollback(sizes) => {
            let mark = reply.mark();
            write_values(&mut reply, &sizes);
            reply.rollback(mark);
        }
        Step::Append(sizes) => {
            let mut elsewhere = Output::new();
            model.extend(write_values(&mut Reply::new(&mut elsewhere, Resp2), &sizes));
            output.append(elsewhere);
        }
        Step::Send(share) => {
            let len = model.len() * share / 1000;
            output.advance(len);
            model.drain(..len);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn an_output_is_a_queue_of_bytes(steps in prop::collection::vec(step(), 1..24)) {
        let (mut output, mut model) = (Output::new(), Vec::new());
        for step in steps {
            run(step, &mut output, &mut model);
            prop_assert_eq!(output.len(), model.len());
            prop_assert!(output.pieces().all(|piece| !piece.is_empty()));
            prop_assert!(bytes_of(&output) == model);
            if let Some(piece) = output.single_piece() {
                prop_assert!(piece == model);
            }
        }
    }

    #[test]
    fn another_decoder_reads_resp2(value in prop::collection::vec(any::<u8>(), 0..2000), number in any::<i64>()) {
        let bytes = written(Resp2, |reply| {
            reply.array(3);
            reply.bulk(&value);
            reply.integer(number);
            reply.null();
        });
        let (frame, len) = resp2::decode::decode(&bytes).unwrap().unwrap();
        use resp2::types::OwnedFrame::{Array, BulkString, Integer, Null};
        prop_assert_eq!(len, bytes.len());
        prop_assert_eq!(frame, Array(vec![BulkString(value), Integer(number), Null]));
    }

    #[test]
    fn another_decoder_reads_resp3(key in any::<i64>(), value in any::<f64>(), flag in any::<bool>(), text in "[ -~]{0,40}") {
        let bytes = written(Resp3, |reply| {
            reply.map(1);
            reply.integer(key);
            reply.array(4);
            reply.double(value);
            reply.boolean(flag);
            reply.verbatim(b"txt", text.as_bytes());
            reply.null();
        });
        let (frame, len) = resp3::decode::complete::decode(&bytes).unwrap().unwrap();
        use resp3::types::{OwnedFrame as Frame, VerbatimStringFormat};
        prop_assert_eq!(len, bytes.len());
        let elements = vec![
            Frame::Double { data: value, attributes: None },
            Frame::Boolean { data: flag, attributes: None },
            Frame::VerbatimString { data: text.into_bytes(), format: VerbatimStringFormat::Text, attributes: None },
            Frame::Null,
        ];
        let pair = (Frame::Number { data: key, attributes: None }, Frame::Array { data: elements, attributes: None });
        prop_assert_eq!(frame, Frame::Map { data: [pair].into_iter().collect(), attributes: None });
    }
}
