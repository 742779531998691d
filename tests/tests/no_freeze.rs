//! Long work on large values in slices, while other clients go on: its result is that of one moment.

use ostraka_tests::client::Client;
use ostraka_tests::reply::encode;
use ostraka_tests::server::{at_all_shards, wait_until};

/// Elements of the large collections: enough for hundreds of slices.
const LARGE: usize = 50_000;

/// Sends `command key words...` so that there are words for all of 0..LARGE.
fn fill(client: &mut Client, command: &str, words: impl Fn(usize) -> Vec<String>) {
    let numbers: Vec<usize> = (0..LARGE).collect();
    for chunk in numbers.chunks(5000) {
        let mut request: Vec<String> = command.split(' ').map(str::to_owned).collect();
        request.extend(chunk.iter().flat_map(|n| words(*n)));
        client.ask(&request);
    }
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
    at_all_shards("", |server| {
        let (mut copier, mut other) = (server.client(), server.client());
        fill_all(&mut other);
        for (key, len, change) in COLLECTIONS {
            other.say("DEL copy");
            copier.tell(&format!("COPY {key} copy"));
            // Whether the copy or the change comes first, the copy has all or nothing.
            let seen = other.say(&format!("{len} copy"));
            assert!([":0".into(), format!(":{LARGE}")].contains(&seen), "{seen}");
            assert_eq!(other.say(&change.replace('%', key)), ":1");
            assert_eq!(copier.hear(), ":1");
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
    at_all_shards("", |server| {
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
    at_all_shards("", |server| {
        let (mut copier, mut other) = (server.client(), server.client());
        fill_all(&mut other);
        assert_eq!(other.say("SET copy here"), "+OK");
        copier.tell("COPY hash copy DB 1");
        copier.tell("PING");
        // Before the copy it takes the place, after it does not.
        let moved = other.say("MOVE copy 1");
        let copied = copier.hear();
        assert_eq!(copier.hear(), "+PONG");
        assert_ne!(moved, copied, "one of the two came first");
        assert_eq!(other.say("SELECT 1"), "+OK");
        let kind = if moved == ":1" { "+string" } else { "+hash" };
        assert_eq!(other.say("TYPE copy"), kind);
    });
}

#[test]
fn a_transaction_copies_at_once() {
    at_all_shards("", |server| {
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
    at_all_shards("", |server| {
        let (mut popper, mut other) = (server.client(), server.client());
        for (request, popped) in [
            ("LPOP list 49000", array(0..49_000)),
            ("RPOP list 49000", array((1000..LARGE).rev())),
            ("LPOP list 1000000", array(0..LARGE)),
            ("RPOP list 1000000", array((0..LARGE).rev())),
        ] {
            other.say("DEL list");
            fill_list(&mut other);
            popper.tell(request);
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
    at_all_shards("", |server| {
        let (mut reader, mut other) = (server.client(), server.client());
        for (request, kept) in [
            ("LTRIM list 100 49899", 100..49_900),
            ("LTRIM list 25000 25009", 25_000..25_010),
            ("LTRIM list 0 -40001", 0..10_000),
            ("LTRIM list 40000 -1", 40_000..LARGE),
        ] {
            other.say("DEL list");
            fill_list(&mut other);
            reader.tell("LRANGE list 0 -1");
            assert_eq!(other.say(request), "+OK");
            let read = reader.reply().expect("a reply");
            assert!(read == array(0..LARGE) || read == array(kept.clone()));
            assert_eq!(other.ask(&["LRANGE", "list", "0", "-1"]), array(kept));
        }
    });
}

#[test]
fn in_a_transaction_many_elements_go_at_once() {
    at_all_shards("", |server| {
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

#[test]
fn who_waits_to_move_an_element_waits_for_long_work_on_the_target_too() {
    at_all_shards("", |server| {
        let (mut mover, mut worker, mut other) =
            (server.client(), server.client(), server.client());
        fill_list(&mut other);
        for (work, left) in [
            ("SORT list ALPHA STORE to", LARGE),
            ("LREM to 0 1", LARGE - 1),
            ("LINSERT to BEFORE 49999 new", LARGE + 1),
        ] {
            mover.tell("BLMOVE from to LEFT RIGHT 0");
            wait_until("it waits", || {
                other.say("INFO clients").contains("blocked_clients:1")
            });
            worker.tell(work);
            let command = format!(
                "cmd={} ",
                work.split(' ').next().expect("a name").to_lowercase()
            );
            wait_until("it works", || other.say("CLIENT LIST").contains(&command));
            assert_eq!(other.say("RPUSH from moved"), ":1");
            assert_eq!(mover.hear(), "\"moved\"");
            assert!(worker.hear().starts_with(':'));
            assert_eq!(other.say("LINDEX to -1"), "\"moved\"", "{work}");
            assert_eq!(other.say("LLEN to"), format!(":{}", left + 1), "{work}");
            other.say("RPOP to");
            other.say("RPUSH to 1");
        }
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
    at_all_shards("", |server| {
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
            scanner.tell(request);
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
    at_all_shards("", |server| {
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
    at_all_shards("", |server| {
        let (mut asker, mut other) = (server.client(), server.client());
        fill_all(&mut other);
        for command in ["HRANDFIELD hash", "SRANDMEMBER texts", "ZRANDMEMBER zset"] {
            let letter = if command.starts_with('H') { 'f' } else { 'm' };
            for (count, expected) in [(10_000, 10_000), (40_000, 40_000), (1_000_000, LARGE)] {
                asker.tell(&format!("{command} {count}"));
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
    at_all_shards("", |server| {
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

// ---- SORT by other keys

/// Elements that are sorted by other keys.
const SORTED: usize = 10_000;

/// Sends requests in one go, and reads their replies.
fn pipeline(client: &mut Client, requests: impl Iterator<Item = String>) {
    let requests: Vec<String> = requests.collect();
    for chunk in requests.chunks(500) {
        let bytes = chunk
            .iter()
            .flat_map(|request| encode(&request.split(' ').collect::<Vec<_>>()));
        client.send(&bytes.collect::<Vec<u8>>());
        for _ in chunk {
            client.reply().expect("a reply");
        }
    }
}

/// A list of `e0`, `e1`, ..., weights `w_e0`, ... that turn the order round, and hashes `h_e0`, ...
fn fill_sorted(client: &mut Client) {
    client.say("FLUSHALL");
    pipeline(client, (0..SORTED).map(|n| format!("RPUSH list e{n}")));
    pipeline(
        client,
        (0..SORTED).map(|n| format!("SET w_e{n} {}", SORTED - n)),
    );
    pipeline(
        client,
        (0..SORTED).map(|n| format!("HSET h_e{n} f old g {n}")),
    );
}

const BY_WEIGHT: &str = "SORT list BY w_* GET # GET w_* GET h_*->f GET nothing";

/// The lines of a reply in groups of four, the header left out.
fn rows(reply: &[String]) -> Vec<&[String]> {
    assert_eq!(reply[0], format!("*{}", reply.len() - 1));
    reply[1..].chunks(4).collect()
}

#[test]
fn a_sort_by_other_keys_is_of_one_moment() {
    at_all_shards("", |server| {
        let (mut sorter, mut writer) = (server.client(), server.client());
        fill_sorted(&mut writer);
        sorter.tell(BY_WEIGHT);
        // Each element changes its weight and then its hash, one element after the other, in the order of the list. The
        // new weights are behind all others, and in the order of the list.
        for n in 0..1000 {
            let weight = 1_000_000 + n;
            let change = match n % 4 {
                0 => format!("SET w_e{n} {weight}"),
                1 => format!("MSET w_e{n} {weight} other{n} x"),
                2 => format!("GETSET w_e{n} {weight}"),
                _ => format!("INCRBY w_e{n} {}", weight - (SORTED - n)),
            };
            writer.say(&change);
            writer.say(&match n % 3 {
                0 => format!("HSET h_e{n} f new"),
                1 => format!("RENAME h_e{n} gone{n}"),
                _ => format!("DEL h_e{n}"),
            });
        }
        let reply = sorter.reply().expect("a reply");
        let rows = rows(&reply);
        assert_eq!(rows.len(), SORTED);
        let changed = rows.iter().filter(|row| row[1].len() == 9).count();
        let others = rows.iter().filter(|row| row[2] != "\"old\"").count();
        assert!(
            others == changed || others + 1 == changed,
            "{changed} {others}"
        );
        for (nth, row) in rows.iter().enumerate() {
            // Those not changed come first, the last of the list before all.
            let n = if nth < SORTED - changed {
                SORTED - 1 - nth
            } else {
                nth - (SORTED - changed)
            };
            let weight = if n < changed {
                1_000_000 + n
            } else {
                SORTED - n
            };
            assert_eq!(row[..2], [format!("\"e{n}\""), format!("\"{weight}\"")]);
            assert_eq!(row[2] == "\"old\"", n >= others);
            assert_eq!(row[3], "(nil)");
        }
        // The next one sees it all.
        let reply = sorter.ask(&BY_WEIGHT.split(' ').collect::<Vec<_>>());
        assert_eq!(reply[1], format!("\"e{}\"", SORTED - 1));
        assert_eq!(reply[reply.len() - 3], "\"1000999\"");
    });
}

#[test]
fn keys_that_come_and_go_meanwhile_come_and_go_afterwards() {
    at_all_shards("", |server| {
        for meanwhile in ["FLUSHALL", "SWAPDB 0 1", "DEL list", "FLUSHDB ASYNC"] {
            let (mut sorter, mut writer) = (server.client(), server.client());
            fill_sorted(&mut writer);
            pipeline(&mut writer, (0..50).map(|n| format!("DEL w_e{n}")));
            pipeline(
                &mut writer,
                (50..100).map(|n| format!("SET w_e{n} 0 PX 100000000")),
            );
            pipeline(
                &mut writer,
                (100..150).map(|n| format!("SET w_e{n} 0 PXAT 1")),
            );
            sorter.tell(BY_WEIGHT);
            wait_until("it sorts", || {
                writer.say("CLIENT LIST").contains("cmd=sort ")
            });
            pipeline(&mut writer, (0..200).map(|n| format!("SETNX w_e{n} 7")));
            let came = writer.say("MGET w_e0 w_e149 w_e199");
            assert_eq!(came, format!("*3 \"7\" \"7\" \"{}\"", SORTED - 199));
            pipeline(&mut writer, (50..100).map(|n| format!("PEXPIRE w_e{n} 1")));
            wait_until("they have expired", || {
                writer.say("EXISTS w_e50 w_e99") == ":0"
            });
            writer.say(meanwhile);
            fill_sorted(&mut writer);
            let reply = sorter.reply().expect("a reply");
            let rows = rows(&reply);
            let without = rows.iter().filter(|row| row[1] == "(nil)").count();
            let zero = rows.iter().filter(|row| row[1] == "\"0\"").count();
            assert_eq!((rows.len(), without, zero), (SORTED, 100, 50));
        }
    });
}

#[test]
fn a_stored_sort_by_fields_is_pending_and_in_a_transaction_at_once() {
    at_all_shards("", |server| {
        let (mut sorter, mut other) = (server.client(), server.client());
        fill_sorted(&mut other);
        const STORED: &str = "SORT list BY h_*->g DESC LIMIT 0 5000 GET # GET h_*->f STORE to";
        sorter.tell(STORED);
        let seen = other.say("LLEN to");
        assert!([":0", ":10000"].contains(&seen.as_str()), "{seen}");
        assert_eq!(sorter.hear(), ":10000");
        let expected = format!("*4 \"e{}\" \"old\" \"e{}\" \"old\"", SORTED - 1, SORTED - 2);
        assert_eq!(other.say("LRANGE to 0 3"), expected);
        for request in [
            "MULTI",
            "HSET h_e0 g 1000000",
            STORED,
            "HSET h_e0 g 0",
            "LINDEX to 0",
        ] {
            other.say(request);
        }
        assert_eq!(other.say("EXEC"), "*4 :0 :10000 :0 \"e0\"");
        assert_eq!(other.say("HSET h_e5000 g x"), ":0");
        let error = "-ERR One or more scores can't be converted into double";
        assert_eq!(other.say(STORED), error);
        assert_eq!(other.say("LLEN to"), ":10000");
    });
}

#[test]
fn whoever_asked_for_a_long_sort_may_leave() {
    at_all_shards("", |server| {
        let mut client = server.client();
        fill_sorted(&mut client);
        for _ in 0..4 {
            let mut quitter = server.client();
            quitter.tell(BY_WEIGHT);
            drop(quitter);
        }
        fill_sorted(&mut client);
        let reply = client.ask(&BY_WEIGHT.split(' ').collect::<Vec<_>>());
        assert_eq!(rows(&reply).len(), SORTED);
    });
}

// ---- long strings

#[test]
fn a_long_string_is_counted_as_of_one_moment_whoever_writes_to_it() {
    const BITS: usize = 300;
    at_all_shards("", |server| {
        let (mut counter, mut writer) = (server.client(), server.client());
        let last = 8 * 8 * 1024 * 1024;
        assert_eq!(writer.say(&format!("SETBIT k {last} 1")), ":0");
        (0..50).for_each(|_| counter.tell("BITCOUNT k"));
        // Alternately from both ends, so that whoever reads slowly would see one end too early and the other too late.
        for n in 0..BITS {
            let at = if n % 2 == 0 { n } else { last - n };
            assert_eq!(writer.say(&format!("SETBIT k {at} 1")), ":0");
        }
        let mut before = 1;
        for _ in 0..50 {
            let count: usize = counter.hear()[1..].parse().expect("a number");
            assert!((before..=BITS + 1).contains(&count));
            before = count;
        }
        assert_eq!(counter.say("BITPOS k 0"), ":1");
        for request in ["MULTI", "SETBIT k 1 0", "APPEND k xyz", "BITCOUNT k"] {
            writer.say(request);
        }
        let count = BITS + 1 + 4 + 5 + 5;
        assert_eq!(
            writer.say("EXEC"),
            format!("*3 :0 :{} :{count}", last / 8 + 4)
        );
    });
}
