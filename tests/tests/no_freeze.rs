//! Long work on large values in slices, while other clients go on: its result is that of one moment.

use ostraka_tests::client::Client;
use ostraka_tests::reply::encode;
use ostraka_tests::server::TestServer;

/// Elements of the large collections: enough for hundreds of slices.
const LARGE: usize = 50_000;

fn at_all_shard_counts(test: impl Fn(&TestServer)) {
    for shards in [1, 2, 4] {
        test(&TestServer::start(shards, ""));
    }
}

/// Sends `command key words...` so that there are words for all of 0..LARGE.
fn fill(client: &mut Client, command: &str, words: impl Fn(usize) -> Vec<String>) {
    let numbers: Vec<usize> = (0..LARGE).collect();
    for chunk in numbers.chunks(5000) {
        let mut request: Vec<String> = command.split(' ').map(str::to_owned).collect();
        request.extend(chunk.iter().flat_map(|n| words(*n)));
        client.ask(&request);
    }
}

fn send(client: &mut Client, words: &str) {
    client.send(&encode(&words.split(' ').collect::<Vec<_>>()));
}

fn next(client: &mut Client) -> String {
    client.reply().expect("a reply").join(" ")
}

/// Fills a hash, a set of texts, a set of integers and a sorted set.
fn fill_all(client: &mut Client) {
    fill(client, "HSET hash", |n| {
        vec![format!("f{n}"), n.to_string()]
    });
    fill(client, "SADD texts", |n| vec![format!("m{n}")]);
    fill(client, "SADD ints", |n| vec![n.to_string()]);
    fill(client, "ZADD zset", |n| {
        vec![n.to_string(), format!("m{n}")]
    });
}

// ---- COPY

/// What reads a large collection as a whole, and what changes it.
const COLLECTIONS: [(&str, &str, &str); 4] = [
    ("hash", "HLEN", "HSET % new 1"),
    ("texts", "SCARD", "SADD % new"),
    ("ints", "SCARD", "SADD % 1000000"),
    ("zset", "ZCARD", "ZADD % 1 new"),
];

#[test]
fn a_copy_is_of_one_moment_and_nobody_sees_less_of_it() {
    at_all_shard_counts(|server| {
        let (mut copier, mut other) = (server.client(), server.client());
        fill_all(&mut other);
        for (key, len, change) in COLLECTIONS {
            other.say("DEL copy");
            send(&mut copier, &format!("COPY {key} copy"));
            // Whether the copy or the change comes first, the copy has all or nothing.
            let seen = other.say(&format!("{len} copy"));
            assert!([":0".into(), format!(":{LARGE}")].contains(&seen), "{seen}");
            assert_eq!(other.say(&change.replace('%', key)), ":1");
            assert_eq!(next(&mut copier), ":1");
            let copied = other.say(&format!("{len} copy"));
            let both = [format!(":{LARGE}"), format!(":{}", LARGE + 1)];
            assert!(both.contains(&copied), "{copied}");
            // The two have nothing in common from here on.
            other.say(&change.replace('%', "copy").replace("new", "newer"));
            assert_eq!(
                other.say(&format!("{len} {key}")),
                format!(":{}", LARGE + 1)
            );
        }
    });
}

#[test]
fn a_copy_has_what_the_source_has() {
    at_all_shard_counts(|server| {
        let mut client = server.client();
        fill_all(&mut client);
        client.say("HPEXPIREAT hash 9999999999999 FIELDS 2 f1 f2");
        client.say("PEXPIREAT hash 99999999999998");
        for (key, ..) in COLLECTIONS {
            assert_eq!(client.say(&format!("COPY {key} copy REPLACE")), ":1");
            assert_eq!(client.say(&format!("COPY {key} copy")), ":0");
            let digests = client.say(&format!("DEBUG DIGEST-VALUE {key} copy"));
            let (one, other) = digests
                .trim_start_matches("*2 ")
                .split_once(' ')
                .expect("two");
            assert_eq!(one, other, "{key}");
            let encodings = [key, "copy"].map(|key| client.say(&format!("OBJECT ENCODING {key}")));
            assert_eq!(encodings[0], encodings[1], "{key}");
        }
        assert_eq!(client.say("COPY hash copy REPLACE"), ":1");
        assert_eq!(client.say("PEXPIRETIME copy"), ":99999999999998");
        let deadlines = client.say("HPEXPIRETIME copy FIELDS 3 f1 f2 f3");
        assert_eq!(deadlines, "*3 :9999999999999 :9999999999999 :-1");
    });
}

#[test]
fn a_copy_into_another_database_is_pending_there() {
    at_all_shard_counts(|server| {
        let (mut copier, mut other) = (server.client(), server.client());
        fill_all(&mut other);
        assert_eq!(other.say("SET copy here"), "+OK");
        send(&mut copier, "COPY hash copy DB 1");
        send(&mut copier, "PING");
        // Before the copy it takes the place, after it does not.
        let moved = other.say("MOVE copy 1");
        let copied = next(&mut copier);
        assert_eq!(next(&mut copier), "+PONG");
        assert_ne!(moved, copied, "one of the two came first");
        assert_eq!(other.say("SELECT 1"), "+OK");
        let kind = if moved == ":1" { "+string" } else { "+hash" };
        assert_eq!(other.say("TYPE copy"), kind);
    });
}

#[test]
fn a_transaction_copies_at_once() {
    at_all_shard_counts(|server| {
        let mut client = server.client();
        fill_all(&mut client);
        for request in [
            "MULTI",
            "COPY hash copy",
            "HLEN copy",
            "HDEL hash f1",
            "HLEN copy",
        ] {
            client.say(request);
        }
        assert_eq!(client.say("EXEC"), format!("*4 :1 :{LARGE} :1 :{LARGE}"));
    });
}
