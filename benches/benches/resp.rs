//! The request parser and the reply encoder by themselves: what one command of a pipeline costs in them.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ostraka_datatypes::resp::{Limits, Output, Parser, Progress, Protocol, Reply, Span};

/// Commands per pipeline.
const PIPELINE: usize = 100;
/// Commands parsed before their spans are used, as the event loop does it.
const BATCH: usize = 32;

/// Writes one reply.
type Writer<'a> = &'a dyn Fn(&mut Reply<'_>);

fn request(arguments: &[&[u8]]) -> Vec<u8> {
    let mut output = Output::new();
    let mut reply = Reply::new(&mut output, Protocol::Resp2);
    reply.array(arguments.len());
    for argument in arguments {
        reply.bulk(argument);
    }
    output.pieces().collect::<Vec<_>>().concat()
}

fn parse_all(parser: &mut Parser, mut stream: &mut [u8], limits: &Limits, spans: &mut Vec<Span>) {
    for command in 1.. {
        match parser.parse(stream, limits, spans) {
            Ok(Progress::Command { consumed } | Progress::Empty { consumed }) => {
                stream = &mut stream[consumed..];
            }
            Ok(Progress::Incomplete { .. }) => break,
            Err(fault) => panic!("{fault}"),
        }
        if command % BATCH == 0 {
            black_box(&spans);
            spans.clear();
        }
    }
}

fn parser(criterion: &mut Criterion) {
    let key = b"key:000000001234".as_slice();
    let (small, large) = ([b'x'; 64], [b'x'; 1024]);
    let cases = [
        ("ping", request(&[b"PING"])),
        ("ping_inline", b"PING\r\n".to_vec()),
        ("get", request(&[b"GET", key])),
        ("set_64", request(&[b"SET", key, &small])),
        ("set_1024", request(&[b"SET", key, &large])),
        (
            "mset_10",
            request(&[&[b"MSET".as_slice()][..], &[key, &small].repeat(10)].concat()),
        ),
    ];
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    let limits = Limits::authenticated(512 << 20);
    for (name, command) in cases {
        let mut stream = command.repeat(PIPELINE);
        let (mut parser, mut spans) = (Parser::default(), Vec::new());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                spans.clear();
                parse_all(&mut parser, black_box(&mut stream), &limits, &mut spans);
            });
        });
    }
    group.finish();
}

fn reply(criterion: &mut Criterion) {
    let (small, large) = ([b'x'; 64], [b'x'; 1024]);
    let cases: [(&str, Writer<'_>); 8] = [
        ("ok", &|reply| reply.ok()),
        ("null", &|reply| reply.null()),
        ("integer", &|reply| reply.integer(black_box(7))),
        ("long_integer", &|reply| reply.integer(black_box(1_234_567))),
        ("bulk_64", &|reply| reply.bulk(black_box(&small))),
        ("bulk_1024", &|reply| reply.bulk(black_box(&large))),
        ("double", &|reply| reply.double(black_box(12.345_678))),
        ("deferred_array", &|reply| {
            let array = reply.deferred_array();
            for _ in 0..10 {
                reply.bulk(black_box(b"member"));
            }
            reply.close(array, 10);
        }),
    ];
    let mut group = criterion.benchmark_group("reply");
    group.throughput(Throughput::Elements(PIPELINE as u64));
    for (name, write) in cases {
        let mut output = Output::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for _ in 0..PIPELINE {
                    write(&mut Reply::new(&mut output, black_box(Protocol::Resp2)));
                }
                output.advance(black_box(output.len()));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, parser, reply);
criterion_main!(benches);
