//! Clients that wait for a key, and what others do to them meanwhile.

use ostraka_tests::client::Client;
use ostraka_tests::reply::encode;
use ostraka_tests::server::{at_all_shards, in_background, wait_until};

/// Waits until so many clients wait.
fn blocked(asker: &mut Client, count: u64) {
    wait_until("they wait", || asker.info("blocked_clients") == count);
}

fn id(client: &mut Client) -> String {
    client.say("CLIENT ID")[1..].to_owned()
}

/// The server's time.
fn now_us(client: &mut Client) -> u64 {
    let time = client.ask(&["TIME"]);
    let number = |text: &str| text.trim_matches('"').parse::<u64>().expect("a number");
    number(&time[1]) * 1_000_000 + number(&time[2])
}

fn nobody_waits(asker: &mut Client) {
    assert_eq!(asker.info("blocked_clients"), 0);
    wait_until("no key is waited for", || {
        asker.info("total_blocking_keys") == 0
    });
    assert_eq!(asker.info("clients_in_timeout_table"), 0);
}

// ---- being served

#[test]
fn first_come_first_served() {
    at_all_shards("", |server| {
        let mut asker = server.client();
        let mut clients: Vec<_> = (0..6)
            .map(|_| server.waiting(&mut asker, "BLPOP k other 0"))
            .collect();
        assert_eq!(asker.info("total_blocking_keys"), 2);
        assert_eq!(asker.say("RPUSH k 0 1 2"), ":3");
        for (n, client) in clients.iter_mut().take(3).enumerate() {
            assert_eq!(client.hear(), format!("*2 \"k\" \"{n}\""));
        }
        for (n, client) in clients.iter_mut().enumerate().skip(3) {
            assert_eq!(asker.say(&format!("RPUSH other {n}")), ":1");
            assert_eq!(client.hear(), format!("*2 \"other\" \"{n}\""));
        }
        assert_eq!(asker.say("EXISTS k other"), ":0");
        nobody_waits(&mut asker);
    });
}

#[test]
fn what_is_behind_a_waiting_command_waits_too() {
    at_all_shards("", |server| {
        let mut asker = server.client();
        let mut client = server.client();
        let mut request = encode(&["SET", "before", "1"]);
        request.extend(encode(&["BLPOP", "k", "0"]));
        request.extend(encode(&["SET", "behind", "1"]));
        request.extend(encode(&["LRANGE", "k", "0", "-1"]));
        client.send(&request);
        blocked(&mut asker, 1);
        assert_eq!(client.hear(), "+OK");
        assert_eq!(asker.say("MGET before behind"), "*2 \"1\" (nil)");
        assert_eq!(asker.say("RPUSH k a b"), ":2");
        assert_eq!(client.hear(), "*2 \"k\" \"a\"");
        assert_eq!(client.hear(), "+OK");
        assert_eq!(client.hear(), "*1 \"b\"");
    });
}

#[test]
fn a_transaction_is_over_before_anybody_is_served() {
    at_all_shards("", |server| {
        let mut asker = server.client();
        let mut client = server.waiting(&mut asker, "BLPOP a b 0");
        for words in [
            "MULTI",
            "RPUSH b 1",
            "DEL b",
            "RPUSH b 2",
            "RPUSH a 3",
            "LPOP a",
        ] {
            asker.say(words);
        }
        assert_eq!(asker.say("EXEC"), "*5 :1 :1 :1 :1 \"3\"");
        assert_eq!(client.hear(), "*2 \"b\" \"2\"");
        // Inside a transaction nobody waits.
        asker.say("MULTI");
        asker.say("BLPOP a 0");
        assert_eq!(asker.say("EXEC"), "*1 (nil-array)");
        nobody_waits(&mut asker);
    });
}

#[test]
fn what_comes_to_a_key_in_other_ways_is_served() {
    at_all_shards("", |server| {
        let mut asker = server.client();
        let ways = [
            ("RPUSH x 1", "RENAME x k", "+OK"),
            ("RPUSH x 1", "COPY x k", ":1"),
            ("RPUSH x 1", "RENAMENX x k", ":1"),
        ];
        for (first, second, answer) in ways {
            let mut client = server.waiting(&mut asker, "BLPOP k 0");
            asker.say(first);
            assert_eq!(asker.say(second), answer);
            assert_eq!(client.hear(), "*2 \"k\" \"1\"");
            asker.say("DEL x");
        }
        for second in ["MOVE k 0", "SWAPDB 0 1"] {
            let mut client = server.waiting(&mut asker, "BLPOP k 0");
            asker.say("SELECT 1");
            asker.say("RPUSH k 1");
            asker.say(second);
            asker.say("SELECT 0");
            assert_eq!(client.hear(), "*2 \"k\" \"1\"");
        }
        // What is not a list is no element.
        let mut client = server.waiting(&mut asker, "BLPOP k 0");
        assert_eq!(asker.say("SET k v"), "+OK");
        assert_eq!(asker.info("blocked_clients"), 1);
        assert_eq!(asker.say("DEL k"), ":1");
        asker.say("FLUSHALL");
        asker.say("RPUSH k 2");
        assert_eq!(client.hear(), "*2 \"k\" \"2\"");
        nobody_waits(&mut asker);
    });
}

#[test]
fn chains_of_moves_are_served_in_the_turn_that_began_them() {
    at_all_shards("", |server| {
        let mut asker = server.client();
        for round in 0..20 {
            let (a, b, c) = (
                format!("a{round}"),
                format!("b{round}"),
                format!("c{round}"),
            );
            let mut last = server.waiting(&mut asker, &format!("BLPOP {c} 0"));
            let mut second = server.waiting(&mut asker, &format!("BLMOVE {b} {c} LEFT RIGHT 0"));
            let mut first = server.waiting(&mut asker, &format!("BLMOVE {a} {b} LEFT RIGHT 0"));
            let mut request = encode(&["RPUSH", &a, "x"]);
            request.extend(encode(&["EXISTS", &a, &b, &c]));
            asker.send(&request);
            assert_eq!(asker.hear(), ":1");
            assert_eq!(asker.hear(), ":0");
            assert_eq!(first.hear(), "\"x\"");
            assert_eq!(second.hear(), "\"x\"");
            assert_eq!(last.hear(), format!("*2 \"{c}\" \"x\""));
        }
        let escalations = asker.info("blocking_escalations");
        assert_eq!(escalations > 0, asker.info("cells") > 1);
        nobody_waits(&mut asker);
    });
}

#[test]
fn a_circle_of_moves_comes_to_an_end() {
    at_all_shards("", |server| {
        let mut asker = server.client();
        let mut one = server.waiting(&mut asker, "BLMOVE a b LEFT RIGHT 0");
        let mut other = server.waiting(&mut asker, "BLMOVE b a LEFT RIGHT 0");
        assert_eq!(asker.say("RPUSH a x"), ":1");
        assert_eq!(one.hear(), "\"x\"");
        assert_eq!(other.hear(), "\"x\"");
        assert_eq!(asker.say("LRANGE a 0 -1"), "*1 \"x\"");
        nobody_waits(&mut asker);
    });
}

#[test]
fn nothing_is_lost_or_served_twice_under_load() {
    at_all_shards("", |server| {
        const EACH: usize = 300;
        let address = server.address;
        let pushers = (0..3).map(|pusher| {
            in_background(move || {
                let mut client = Client::connect(address);
                for n in 0..EACH {
                    client.say(&format!("RPUSH q{} {pusher}:{n}", n % 5));
                }
            })
        });
        let movers = (0..2).map(|_| {
            in_background(move || {
                let mut client = Client::connect(address);
                while client.say("BLMOVE q4 q5 LEFT RIGHT 0.5") != "(nil-array)" {}
            })
        });
        let poppers = (0..3).map(|n| {
            in_background(move || {
                let mut client = Client::connect(address);
                loop {
                    let got = client.say("BLPOP q0 q1 q2 q3 q5 0.5");
                    if got == "(nil-array)" {
                        return;
                    }
                    let value = got.split('"').nth(3).expect("a value");
                    client.say(&format!("RPUSH seen{n} {value}"));
                }
            })
        });
        for thread in pushers.chain(movers).chain(poppers).collect::<Vec<_>>() {
            thread.join().expect("a client that ends well");
        }
        let mut asker = server.client();
        let mut seen: Vec<String> = (0..3)
            .flat_map(|n| {
                asker
                    .ask(&["LRANGE", &format!("seen{n}"), "0", "-1"])
                    .split_off(1)
            })
            .collect();
        assert_eq!(seen.len(), 3 * EACH);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 3 * EACH);
        nobody_waits(&mut asker);
    });
}

// ---- waiting in vain

#[test]
fn a_wait_ends_when_its_time_is_up() {
    at_all_shards("", |server| {
        let mut asker = server.client();
        let began = now_us(&mut asker);
        assert_eq!(asker.say("BLPOP a b c 0.05"), "(nil-array)");
        assert_eq!(asker.say("BLMOVE a b LEFT RIGHT 0.05"), "(nil-array)");
        let took = now_us(&mut asker) - began;
        assert!(took >= 100_000, "{took} us");
        asker.say("HELLO 3");
        assert_eq!(asker.say("BLPOP a b c 0.001"), "_");
        assert_eq!(asker.say("BLMOVE a b LEFT RIGHT 0.001"), "_");
        asker.say("HELLO 2");
        nobody_waits(&mut asker);
        for (timeout, answer) in [
            ("-1", "-ERR timeout is negative"),
            ("x", "-ERR timeout is not a float or out of range"),
            ("inf", "-ERR timeout is out of range"),
            ("92233720368547759", "-ERR timeout is out of range"),
        ] {
            assert_eq!(asker.say(&format!("BLPOP a {timeout}")), answer);
        }
        let mut late = server.waiting(&mut asker, "BLPOP a 0.02");
        assert_eq!(late.hear(), "(nil-array)");
        assert_eq!(asker.say("RPUSH a 1"), ":1");
        assert_eq!(late.say("LPOP a"), "\"1\"");
        nobody_waits(&mut asker);
    });
}

#[test]
fn unblock_ends_a_wait() {
    at_all_shards("", |server| {
        let mut asker = server.client();
        for (words, how, answer) in [
            ("BLPOP a b 0", "", "(nil-array)"),
            ("BLPOP a b 100", " TIMEOUT", "(nil-array)"),
            ("BLMOVE a b LEFT RIGHT 0", "", "(nil-array)"),
            (
                "BLPOP a b 100",
                " ERROR",
                "-UNBLOCKED client unblocked via CLIENT UNBLOCK",
            ),
        ] {
            let mut client = server.client();
            let id = id(&mut client);
            let unblock = format!("CLIENT UNBLOCK {id}{how}");
            assert_eq!(asker.say(&unblock), ":0");
            client.tell(words);
            blocked(&mut asker, 1);
            let line = asker.say(&format!("CLIENT LIST ID {id}"));
            assert!(line.contains("flags=b"), "{line}");
            assert_eq!(asker.say(&unblock), ":1");
            assert_eq!(client.hear(), answer);
            assert_eq!(asker.say(&unblock), ":0");
            assert_eq!(asker.say("RPUSH a 1"), ":1");
            assert_eq!(client.say("LPOP a"), "\"1\"");
            nobody_waits(&mut asker);
        }
        assert_eq!(
            asker.say("CLIENT UNBLOCK 1 OTHER"),
            "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"
        );
        assert!(
            asker
                .say("CLIENT UNBLOCK x")
                .starts_with("-ERR value is not")
        );
        assert_eq!(asker.say("CLIENT UNBLOCK 9999"), ":0");
    });
}

#[test]
fn who_is_gone_is_not_served() {
    at_all_shards("", |server| {
        let mut asker = server.client();
        let mut killed = server.client();
        let id = id(&mut killed);
        killed.tell("BLPOP k l 0");
        blocked(&mut asker, 1);
        let mut next = server.waiting(&mut asker, "BLPOP k l 0");
        let mut request = encode(&["CLIENT", "KILL", "ID", &id]);
        request.extend(encode(&["RPUSH", "k", "1"]));
        asker.send(&request);
        assert_eq!(asker.hear(), ":1");
        assert_eq!(asker.hear(), ":1");
        assert_eq!(next.hear(), "*2 \"k\" \"1\"");
        assert!(killed.is_closed());
        let leaving = server.waiting(&mut asker, "BLMOVE k l LEFT RIGHT 0");
        drop(leaving);
        blocked(&mut asker, 0);
        assert_eq!(asker.say("RPUSH k 2"), ":1");
        assert_eq!(asker.say("LPOP k"), "\"2\"");
        nobody_waits(&mut asker);
    });
}

#[test]
fn who_watches_and_waits_and_leaves_is_forgotten() {
    at_all_shards("", |server| {
        let mut asker = server.client();
        let mut client = server.client();
        client.say("WATCH a b c d");
        client.tell("BLPOP e f g 100");
        blocked(&mut asker, 1);
        drop(client);
        blocked(&mut asker, 0);
        wait_until("nothing is watched", || {
            asker.info("total_watched_keys") == 0
        });
        nobody_waits(&mut asker);
    });
}

/// Who cannot put the element anywhere is told so, and the next in the line gets it.
#[test]
fn an_element_goes_on_to_who_can_take_it() {
    at_all_shards("", |server| {
        let mut asker = server.client();
        asker.say("SET string x");
        let mut first = server.waiting(&mut asker, "BRPOPLPUSH from string 0");
        let mut second = server.waiting(&mut asker, "BRPOPLPUSH from to 0");
        assert_eq!(asker.say("LPUSH from element"), ":1");
        assert!(first.hear().contains("WRONGTYPE"));
        assert_eq!(second.hear(), "\"element\"");
        assert_eq!(asker.say("LRANGE to 0 -1"), "*1 \"element\"");
        nobody_waits(&mut asker);
    });
}

/// What BRPOPLPUSH would write to is not written to as long as it waits, and is once it does not.
#[test]
fn a_destination_is_not_touched_by_who_waits() {
    at_all_shards("", |server| {
        let mut asker = server.client();
        let mut waiting = server.waiting(&mut asker, "BRPOPLPUSH from to 0");
        let mut watching = server.client();
        let mut watched_until_exec = |asker: &mut Client, element: Option<&str>| {
            watching.say("WATCH to");
            if let Some(element) = element {
                assert_eq!(asker.say(&format!("LPUSH from {element}")), ":1");
            }
            watching.say("MULTI");
            watching.say("LLEN to");
            watching.say("EXEC")
        };
        assert_eq!(watched_until_exec(&mut asker, None), "*1 :0");
        assert_eq!(
            watched_until_exec(&mut asker, Some("element")),
            "(nil-array)"
        );
        assert_eq!(waiting.hear(), "\"element\"");
        assert_eq!(watched_until_exec(&mut asker, None), "*1 :1");
        nobody_waits(&mut asker);
    });
}

#[test]
fn a_client_that_wants_no_replies_gets_none() {
    at_all_shards("", |server| {
        let mut asker = server.client();
        let mut client = server.client();
        client.tell("CLIENT REPLY SKIP");
        client.tell("BLPOP k 0");
        blocked(&mut asker, 1);
        assert_eq!(asker.say("RPUSH k 1"), ":1");
        assert_eq!(client.say("ECHO 1"), "\"1\"");
        client.tell("CLIENT REPLY SKIP");
        client.tell("BLPOP k 0.01");
        assert_eq!(client.say("ECHO 2"), "\"2\"");
        nobody_waits(&mut asker);
    });
}

#[test]
fn a_pause_holds_who_wants_to_wait_and_not_who_waits() {
    at_all_shards("", |server| {
        let mut asker = server.client();
        let mut client = server.waiting(&mut asker, "BLPOP k 0.05");
        asker.say("CLIENT PAUSE 100000 WRITE");
        assert_eq!(client.hear(), "(nil-array)");
        let mut late = server.waiting(&mut asker, "BLPOP k 0");
        assert_eq!(asker.info("total_blocking_keys"), 0);
        asker.say("CLIENT UNPAUSE");
        wait_until("it waits", || asker.info("total_blocking_keys") == 1);
        assert_eq!(asker.say("RPUSH k 1"), ":1");
        assert_eq!(late.hear(), "*2 \"k\" \"1\"");
    });
}
