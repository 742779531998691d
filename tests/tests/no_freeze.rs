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

// ---- pages and random elements

/// The numbers in a reply's elements, which are numbers behind a letter; a header and what does not look so is left out.
fn numbers(reply: &[String], letter: char) -> Vec<usize> {
    let texts = reply.iter().map(|line| line.trim_matches('"'));
    texts
        .filter_map(|text| text.strip_prefix(letter)?.parse().ok())
        .collect()
}

#[test]
fn a_page_of_everything_is_of_one_moment() {
    at_all_shard_counts(|server| {
        let (mut scanner, mut other) = (server.client(), server.client());
        fill_all(&mut other);
        for (request, letter, lines, add, remove) in [
            (
                "HSCAN hash 0 COUNT 1000000",
                'f',
                2,
                "HSET hash f90000 1",
                "HDEL hash f0",
            ),
            (
                "HSCAN hash 0 COUNT 60000 NOVALUES",
                'f',
                1,
                "HSET hash f90001 1",
                "HDEL hash f1",
            ),
            (
                "SSCAN texts 0 COUNT 1000000",
                'm',
                1,
                "SADD texts m90000",
                "SREM texts m0",
            ),
            (
                "ZSCAN zset 0 COUNT 1000000",
                'm',
                2,
                "ZADD zset 1 m90000",
                "ZREM zset m0",
            ),
        ] {
            send(&mut scanner, request);
            let changes = [add, remove].map(|change| other.say(change));
            assert_eq!(changes, [":1", ":1"], "{request}");
            let page = scanner.reply().expect("a page");
            assert_eq!(page[1], "\"0\"");
            assert_eq!(page[2], format!("*{}", page.len() - 3));
            let mut names = numbers(&page, letter);
            assert_eq!(names.len() * lines, page.len() - 3);
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len() * lines, page.len() - 3);
            let added = names.last().is_some_and(|last| *last >= 90_000);
            let (_, removed) = remove.rsplit_once(letter).expect("a name");
            assert!(
                added || names.contains(&removed.parse().expect("a number")),
                "the addition came first"
            );
        }
    });
}

#[test]
fn a_long_page_ends_where_the_next_one_begins() {
    at_all_shard_counts(|server| {
        let mut client = server.client();
        fill_all(&mut client);
        for (scan, letter) in [
            ("HSCAN hash", 'f'),
            ("SSCAN texts", 'm'),
            ("ZSCAN zset", 'm'),
        ] {
            let (mut cursor, mut names) = ("0".to_owned(), Vec::new());
            loop {
                let page = client.say(&format!("{scan} {cursor} COUNT 7000"));
                let page: Vec<String> = page.split(' ').map(str::to_owned).collect();
                cursor = page[1].trim_matches('"').to_owned();
                let found = numbers(&page, letter);
                assert!(cursor == "0" || (6000..9000).contains(&found.len()));
                names.extend(found);
                if cursor == "0" {
                    break;
                }
            }
            names.sort_unstable();
            assert_eq!(names, (0..LARGE).collect::<Vec<_>>(), "{scan}");
        }
        let page = client.say("HSCAN hash 0 COUNT 1000000 MATCH f12345");
        assert_eq!(page, "*2 \"0\" *2 \"f12345\" \"12345\"");
    });
}

#[test]
fn many_random_elements_are_different_unless_they_may_repeat() {
    at_all_shard_counts(|server| {
        let (mut asker, mut other) = (server.client(), server.client());
        fill_all(&mut other);
        for command in ["HRANDFIELD hash", "SRANDMEMBER texts", "ZRANDMEMBER zset"] {
            let letter = if command.starts_with('H') { 'f' } else { 'm' };
            for (count, expected) in [(10_000, 10_000), (40_000, 40_000), (1_000_000, LARGE)] {
                send(&mut asker, &format!("{command} {count}"));
                assert_eq!(other.say("PING"), "+PONG");
                let reply = asker.reply().expect("a reply");
                let mut picked = numbers(&reply, letter);
                assert_eq!(picked.len(), expected, "{command} {count}");
                assert!(
                    picked.iter().any(|n| *n > LARGE / 2) && picked.iter().any(|n| *n < LARGE / 2)
                );
                picked.sort_unstable();
                picked.dedup();
                assert_eq!(picked.len(), expected, "{command} {count}");
            }
            let reply = asker.ask(&format!("{command} -60000").split(' ').collect::<Vec<_>>());
            assert_eq!(numbers(&reply, letter).len(), 60_000);
        }
    });
}

#[test]
fn random_fields_are_those_whose_time_is_not_up() {
    at_all_shard_counts(|server| {
        let mut client = server.client();
        client.say("DEBUG SET-ACTIVE-EXPIRE 0");
        fill(&mut client, "HSET hash", |n| {
            vec![format!("f{n}"), n.to_string()]
        });
        for from in (0..LARGE - 10).step_by(4999) {
            let names = (from..LARGE.min(from + 4999)).filter(|n| *n < LARGE - 10);
            let names: Vec<String> = names.map(|n| format!("f{n}")).collect();
            let request = format!("HPEXPIRE hash 1 FIELDS {} {}", names.len(), names.join(" "));
            client.say(&request);
        }
        let last = format!("HPTTL hash FIELDS 1 f{}", LARGE - 11);
        wait_until("their time is up", || client.say(&last) == "*1 :-2");
        for (count, expected) in [("100", 10), ("3", 3), ("-2000", 2000)] {
            let reply = client.ask(&["HRANDFIELD", "hash", count, "WITHVALUES"]);
            let picked = numbers(&reply, 'f');
            assert_eq!((picked.len(), reply.len()), (expected, 2 * expected + 1));
            assert!(picked.iter().all(|n| *n >= LARGE - 10));
        }
    });
}
