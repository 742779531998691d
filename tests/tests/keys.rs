//! KEYS over more keys than are answered at once, while others change, flush and swap what it looks at.

use ostraka_tests::client::Client;
use ostraka_tests::reply::encode;
use ostraka_tests::server::{TestServer, at_all_shards};

const KEYS: usize = 20_000;

/// Stores `name:0`, `name:1`, ...
fn fill(client: &mut Client, name: &str, keys: usize) {
    for from in (0..keys).step_by(500) {
        let pairs = (from..from + 500).flat_map(|n| [format!("{name}:{n}"), "v".to_owned()]);
        let request: Vec<String> = std::iter::once("MSET".to_owned()).chain(pairs).collect();
        assert_eq!(client.ask(&request), ["+OK"]);
    }
}

/// Asks for all keys on a connection of its own, while `meanwhile` happens on another: things that delete keys from the
/// first on, 1000 or all at a time, and add others only when they are all gone. The reply must be of one moment.
fn keys_while(server: &TestServer, meanwhile: impl FnOnce(&mut Client)) {
    let (mut writer, mut asker, mut quitter) = (server.client(), server.client(), server.client());
    fill(&mut writer, "key", KEYS);
    asker.send(&encode(&["KEYS", "*"]));
    quitter.send(&encode(&["KEYS", "*"]));
    drop(quitter);
    meanwhile(&mut writer);
    let reply = asker.reply().expect("a complete reply");
    let (count, names) = reply.split_first().expect("a header");
    assert_eq!(*count, format!("*{}", names.len()));
    let numbers = names.iter().filter_map(|name| name.strip_prefix("\"key:"));
    let mut numbers: Vec<usize> = numbers
        .map(|number| number.trim_end_matches('"').parse().expect("a number"))
        .collect();
    numbers.sort_unstable();
    if let Some(&first) = numbers.first() {
        assert_eq!(first % 1000, 0, "deleted are 1000 at a time");
        assert_eq!(numbers, (first..KEYS).collect::<Vec<_>>());
        assert_eq!(names.len(), numbers.len(), "there are no others yet");
    }
}

fn keys_at_all_shard_counts(meanwhile: impl Fn(&mut Client)) {
    at_all_shards("", |server| keys_while(server, &meanwhile));
}

#[test]
fn a_flush_meanwhile_is_before_or_after() {
    keys_at_all_shard_counts(|writer| {
        assert_eq!(writer.say("FLUSHALL"), "+OK");
        assert_eq!(writer.say("DBSIZE"), ":0");
    });
}

#[test]
fn a_flush_and_other_keys_meanwhile_are_after() {
    keys_at_all_shard_counts(|writer| {
        assert_eq!(writer.say("FLUSHDB SYNC"), "+OK");
        fill(writer, "other", 5000);
        assert_eq!(writer.say("SWAPDB 0 1"), "+OK");
        assert_eq!(writer.say("FLUSHALL"), "+OK");
    });
}

#[test]
fn deletions_meanwhile_are_after() {
    keys_at_all_shard_counts(|writer| {
        for from in (0..KEYS).step_by(1000) {
            let names = (from..from + 1000).map(|n| format!("key:{n}"));
            let request: Vec<String> = std::iter::once("DEL".to_owned()).chain(names).collect();
            assert_eq!(writer.ask(&request), [":1000"]);
        }
    });
}

#[test]
fn a_pattern_and_a_deadline_choose() {
    let server = TestServer::start(2, "");
    let mut client = server.client();
    fill(&mut client, "key", 5000);
    fill(&mut client, "other", 5000);
    assert_eq!(client.say("SET key:gone v PXAT 1"), "+OK");
    assert_eq!(client.say("KEYS key:*").split(' ').count(), 5001);
    assert_eq!(client.say("KEYS *:4999").split(' ').count(), 3);
    assert_eq!(client.say("KEYS nothing*"), "*0");
}

#[test]
fn a_scan_meets_every_key_whatever_comes_and_goes() {
    let server = TestServer::start(4, "");
    let (mut client, mut other) = (server.client(), server.client());
    fill(&mut client, "key", 3000);
    let (mut cursor, mut seen, mut round) =
        (String::from("0"), std::collections::BTreeSet::new(), 0);
    loop {
        let reply = client.ask(&["SCAN", &cursor, "MATCH", "key:*", "COUNT", "50"]);
        cursor = reply[1].trim_matches('"').to_owned();
        seen.extend(reply[3..].iter().cloned());
        if cursor == "0" {
            break;
        }
        // Growth for some rounds, then shrinking, while the scan goes on.
        let name = format!("more{}", round % 8);
        if round < 8 {
            fill(&mut other, &name, 1000);
        } else if round < 16 {
            let names = (0..1000).map(|n| format!("{name}:{n}"));
            let request: Vec<String> = std::iter::once("DEL".to_owned()).chain(names).collect();
            assert_eq!(other.ask(&request), [":1000"]);
        }
        round += 1;
    }
    assert_eq!(seen.len(), 3000);
}

#[test]
fn a_scan_for_many_goes_on_in_slices_through_all_cells() {
    at_all_shards("", |server| {
        let (mut client, mut other) = (server.client(), server.client());
        fill(&mut client, "key", KEYS);
        fill(&mut client, "other", 1000);
        client.send(&encode(&[
            "SCAN", "0", "COUNT", "1000000", "MATCH", "key:*", "TYPE", "string",
        ]));
        client.send(&encode(&["SET", "after", "v"]));
        assert_eq!(other.say("PING"), "+PONG");
        let reply = client.reply().expect("a complete reply");
        assert_eq!(reply[..3], ["*2", "\"0\"", &format!("*{KEYS}")]);
        let names: std::collections::BTreeSet<_> = reply[3..].iter().collect();
        assert_eq!(names.len(), KEYS);
        assert_eq!(client.reply().expect("a reply"), ["+OK"]);
        // Not all: the cursor goes on where the call ended.
        let reply = client.ask(&["SCAN", "0", "COUNT", "5000"]);
        let cursor = reply[1].trim_matches('"').to_owned();
        let found = reply.len() - 3;
        assert!((5000..5100).contains(&found), "{found}");
        let rest = client.ask(&["SCAN", &cursor, "COUNT", "1000000"]);
        assert_eq!(rest[1], "\"0\"");
        assert!(found + rest.len() - 3 >= KEYS + 1001);
    });
}

#[test]
fn whoever_asked_for_a_long_scan_may_leave() {
    let server = TestServer::start(2, "");
    let mut client = server.client();
    fill(&mut client, "key", KEYS);
    let mut quitter = server.client();
    quitter.send(&encode(&["SCAN", "0", "COUNT", "1000000"]));
    drop(quitter);
    assert_eq!(client.say("FLUSHALL"), "+OK");
    assert_eq!(client.say("SCAN 0 COUNT 1000000"), "*2 \"0\" *0");
}
