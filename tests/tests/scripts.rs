//! The scripts of `tests/scripts`, one test each: ours at 1, 2 and 4 shards, and a stock redis-server.

use ostraka_tests::script::check;

#[test]
fn basics() {
    check("basics");
}

#[test]
fn string() {
    check("string");
}

#[test]
fn keys() {
    check("keys");
}

#[test]
fn expire() {
    check("expire");
}

#[test]
fn sets() {
    check("sets");
}

#[test]
fn scan() {
    check("scan");
}

#[test]
fn command() {
    check("command");
}

#[test]
fn server() {
    check("server");
}

#[test]
fn connection() {
    check("connection");
}

#[test]
fn zset() {
    check("zset");
}

#[test]
fn transactions() {
    check("transactions");
}

#[test]
fn bitmap() {
    check("bitmap");
}

#[test]
fn list() {
    check("list");
}

#[test]
fn sort() {
    check("sort");
}

#[test]
fn hyperloglog() {
    check("hyperloglog");
}

#[test]
fn hash() {
    check("hash");
}

#[test]
fn geo() {
    check("geo");
}

#[test]
fn digest() {
    check("digest");
}
