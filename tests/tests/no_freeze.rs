//! Long work on large values in slices, while other clients go on: its result is that of one moment.

use ostraka_tests::client::Client;
use ostraka_tests::reply::encode;
use ostraka_tests::server::{TestServer, wait_until};

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

// ---- lists

/// Fills a list with 0, 1, 2, ...
fn fill_list(client: &mut Client) {
    fill(client, "RPUSH list", |n| vec![n.to_string()]);
}

/// The reply that has these numbers.
fn array(numbers: impl Iterator<Item = usize>) -> Vec<String> {
    let numbers: Vec<String> = numbers.map(|n| format!("\"{n}\"")).collect();
    let header = format!("*{}", numbers.len());
    std::iter::once(header).chain(numbers).collect()
}

#[test]
fn many_elements_are_popped_at_once_and_answered_in_order() {
    at_all_shard_counts(|server| {
        let (mut popper, mut other) = (server.client(), server.client());
        for (request, popped) in [
            ("LPOP list 49000", array(0..49_000)),
            ("RPOP list 49000", array((1000..LARGE).rev())),
            ("LPOP list 1000000", array(0..LARGE)),
            ("RPOP list 1000000", array((0..LARGE).rev())),
        ] {
            other.say("DEL list");
            fill_list(&mut other);
            send(&mut popper, request);
            let (before, after) = (
                format!(":{LARGE}"),
                format!(":{}", LARGE - (popped.len() - 1)),
            );
            wait_until("the elements are gone", || {
                let len = other.say("LLEN list");
                assert!(len == before || len == after, "{len}");
                len == after
            });
            other.say("LPUSH list x");
            other.say("RPUSH list y");
            assert_eq!(popper.reply().expect("a reply"), popped);
        }
        fill_list(&mut other);
        let reply = other.ask(&["LMPOP", "2", "nothing", "list", "RIGHT", "COUNT", "49000"]);
        assert_eq!(reply[..2], ["*2", "\"list\""]);
        assert_eq!(reply[2..], array((1000..LARGE).rev()));
        assert_eq!(other.say("LLEN list"), ":1002");
    });
}

#[test]
fn a_trimmed_list_is_short_at_once_whoever_reads_it() {
    at_all_shard_counts(|server| {
        let (mut reader, mut other) = (server.client(), server.client());
        for (request, kept) in [
            ("LTRIM list 100 49899", 100..49_900),
            ("LTRIM list 25000 25009", 25_000..25_010),
            ("LTRIM list 0 -40001", 0..10_000),
            ("LTRIM list 40000 -1", 40_000..LARGE),
        ] {
            other.say("DEL list");
            fill_list(&mut other);
            send(&mut reader, "LRANGE list 0 -1");
            assert_eq!(other.say(request), "+OK");
            let read = reader.reply().expect("a reply");
            assert!(read == array(0..LARGE) || read == array(kept.clone()));
            assert_eq!(other.ask(&["LRANGE", "list", "0", "-1"]), array(kept));
        }
    });
}

#[test]
fn in_a_transaction_many_elements_go_at_once() {
    at_all_shard_counts(|server| {
        let mut client = server.client();
        fill_list(&mut client);
        for request in [
            "MULTI",
            "LPOP list 20000",
            "RPOP list 20000",
            "LTRIM list 1 5",
            "LLEN list",
        ] {
            client.say(request);
        }
        let reply = client.ask(&["EXEC"]);
        assert_eq!(reply[0], "*4");
        assert_eq!(reply[1..20_002], array(0..20_000));
        assert_eq!(reply[20_002..40_003], array((30_000..LARGE).rev()));
        assert_eq!(reply[40_003..], ["+OK", ":5"]);
    });
}
