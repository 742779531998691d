//! Transactions of several clients, on keys that lie in several shards.

use ostraka_tests::client::Client;
use ostraka_tests::reply::encode;
use ostraka_tests::server::{TestServer, at_all_shards, in_background, wait_until};

/// Keys that lie all over the shards.
fn keys() -> impl Iterator<Item = String> {
    (0..16).map(|n| format!("key:{n}"))
}

#[test]
fn a_key_that_another_client_changes_ends_the_transaction() {
    at_all_shards("", |server| {
        let (mut one, mut other) = (server.client(), server.client());
        for key in keys() {
            assert_eq!(one.say(&format!("WATCH a b {key} c")), "+OK");
            assert_eq!(other.say(&format!("SET {key} 1")), "+OK");
            one.say("MULTI");
            one.say("SET done 1");
            assert_eq!(one.say("EXEC"), "(nil-array)");
            one.say("MULTI");
            one.say("SET done 1");
            assert_eq!(one.say("EXEC"), "*1 +OK");
        }
        assert_eq!(one.info("total_watched_keys"), 0);
    });
}

#[test]
fn a_key_whose_time_is_up_meanwhile_has_changed() {
    at_all_shards("", |server| {
        let (mut one, mut other) = (server.client(), server.client());
        for active in [0, 1] {
            other.say(&format!("DEBUG SET-ACTIVE-EXPIRE {active}"));
            one.say("SET k v PX 30");
            one.say("WATCH k");
            wait_until("the key is gone", || other.say("PTTL k") == ":-2");
            one.say("MULTI");
            assert_eq!(one.say("EXEC"), "(nil-array)");
        }
        other.say("DEBUG SET-ACTIVE-EXPIRE 1");
        one.say("SET k v PX 30");
        one.say("WATCH k");
        wait_until("the key is removed", || other.say("DBSIZE") == ":0");
        one.say("MULTI");
        assert_eq!(one.say("EXEC"), "(nil-array)");
    });
}

#[test]
fn a_trim_that_keeps_all_counts_as_a_change() {
    at_all_shards("", |server| {
        let (mut one, mut other) = (server.client(), server.client());
        one.say("RPUSH k a b");
        for (trim, changes) in [("LTRIM k 0 -1", true), ("LTRIM nothing 0 -1", false)] {
            one.say("WATCH k nothing");
            assert_eq!(other.say(trim), "+OK");
            one.say("MULTI");
            assert_eq!(one.say("EXEC"), if changes { "(nil-array)" } else { "*0" });
        }
    });
}

#[test]
fn a_hash_whose_fields_go_with_time_has_changed() {
    at_all_shards("", |server| {
        let (mut one, mut other) = (server.client(), server.client());
        one.say("HSET h a 1 b 2");
        for (field, left) in [("a", ":1"), ("b", ":0")] {
            one.say(&format!("HPEXPIRE h 30 FIELDS 1 {field}"));
            one.say("WATCH h");
            wait_until("the field is gone", || other.say("HLEN h") == left);
            one.say("MULTI");
            assert_eq!(one.say("EXEC"), "(nil-array)");
        }
        assert_eq!(other.say("DBSIZE"), ":0");
    });
}

#[test]
fn a_key_that_is_evicted_has_changed() {
    at_all_shards("maxmemory-policy allkeys-random", |server| {
        let (mut one, mut other) = (server.client(), server.client());
        one.say("SET k v");
        one.say("WATCH k");
        other.say("CONFIG SET maxmemory 1");
        wait_until("it is evicted", || other.say("DBSIZE") == ":0");
        other.say("CONFIG SET maxmemory 0");
        one.say("MULTI");
        assert_eq!(one.say("EXEC"), "(nil-array)");
    });
}

#[test]
fn a_client_that_leaves_watches_nothing_any_more() {
    at_all_shards("", |server| {
        let mut asker = server.client();
        let leaving: Vec<Client> = (0..8)
            .map(|n| {
                let mut client = server.client();
                client.say(&format!("WATCH a b c d e own:{n}"));
                client
            })
            .collect();
        assert_eq!(asker.info("total_watched_keys"), 13);
        assert_eq!(asker.info("watching_clients"), 8);
        drop(leaving);
        wait_until("all are gone", || asker.info("total_watched_keys") == 0);
        assert_eq!(asker.say("SET a 1"), "+OK");
    });
}

#[test]
fn a_transaction_over_several_shards_is_seen_whole_or_not_at_all() {
    at_all_shards("", |server| {
        let address = server.address;
        let mut one = server.client();
        let set = |n: u32| keys().map(move |key| format!("SET {key} {n}"));
        set(0).for_each(|set| drop(one.say(&set)));
        let reader = in_background(move || {
            let mut client = Client::connect(address);
            let read = format!("MGET {}", keys().collect::<Vec<_>>().join(" "));
            loop {
                let seen = client.say(&read);
                let (_, values) = seen.split_once(' ').expect("values");
                let mut values = values.split(' ');
                let first = values.next().expect("a value");
                assert!(values.all(|value| value == first), "{seen}");
                if first == "\"300\"" {
                    return;
                }
            }
        });
        let writers: Vec<_> = (0..2)
            .map(|_| {
                in_background(move || {
                    let mut client = Client::connect(address);
                    for n in 1..=150 {
                        let mut request = encode(&["MULTI"]);
                        for key in keys() {
                            request.extend(encode(&["INCR", &key]));
                        }
                        request.extend(encode(&["EXEC"]));
                        // Now and then its pieces arrive one by one.
                        let at = if n % 10 == 0 { n * 2 } else { request.len() };
                        client.send(&request[..at.min(request.len())]);
                        client.send(&request[at.min(request.len())..]);
                        let replies: Vec<String> = (0..18)
                            .map(|_| client.reply().expect("a reply").join(" "))
                            .collect();
                        assert_eq!(replies[0], "+OK");
                        assert!(replies[1..17].iter().all(|reply| reply == "+QUEUED"));
                        assert!(replies[17].starts_with("*16 :"), "{}", replies[17]);
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().expect("a writer that ends well");
        }
        reader.join().expect("a reader that has seen all");
    });
}

#[test]
fn compare_and_set_loses_nothing() {
    at_all_shards("", |server| {
        let address = server.address;
        let clients: Vec<_> = (0..4)
            .map(|_| {
                in_background(move || {
                    let mut client = Client::connect(address);
                    let mut done = 0;
                    while done < 50 {
                        client.say("WATCH count");
                        let now = client.say("GET count");
                        let now: u32 = now.trim_matches('"').parse().unwrap_or(0);
                        client.say("MULTI");
                        client.say(&format!("SET count {}", now + 1));
                        client.say("INCR other");
                        done += u32::from(client.say("EXEC") != "(nil-array)");
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().expect("a client that ends well");
        }
        let mut client = server.client();
        assert_eq!(client.say("MGET count other"), "*2 \"200\" \"200\"");
    });
}

#[test]
fn memory_is_looked_at_when_queuing_and_when_executing() {
    let server = TestServer::start(2, "");
    let (mut one, mut other) = (server.client(), server.client());
    one.say("MULTI");
    one.say("SET a 1");
    let mut reader = server.client();
    reader.say("MULTI");
    reader.say("GET a");
    other.say("CONFIG SET maxmemory 1");
    wait_until("memory is short", || {
        other.say("SET x y").starts_with("-OOM")
    });
    assert!(
        one.say("EXEC")
            .starts_with("-EXECABORT Transaction discarded because of: OOM")
    );
    assert_eq!(one.say("EXEC"), "-ERR EXEC without MULTI");
    assert_eq!(reader.say("EXEC"), "*1 (nil)");
    assert_eq!(reader.say("MULTI"), "+OK");
    assert!(reader.say("GET a").starts_with("-OOM"));
    assert!(reader.say("EXEC").starts_with("-EXECABORT"));
    assert_eq!(other.say("CONFIG SET maxmemory 0"), "+OK");
}

#[test]
fn a_refused_exec_watches_nothing_any_more() {
    at_all_shards("maxmemory-policy noeviction", |server| {
        let (mut one, mut other) = (server.client(), server.client());
        let watch: String = keys().map(|key| format!(" {key}")).collect();
        for refuse in ["EXEC now", "EXEC"] {
            assert_eq!(one.say(&format!("WATCH{watch}")), "+OK");
            assert_eq!(other.say("SET key:3 1"), "+OK");
            one.say("MULTI");
            one.say("SET key:1 1");
            if refuse == "EXEC" {
                other.say("CONFIG SET maxmemory 1");
                wait_until("memory is short", || {
                    other.say("SET x y").starts_with("-OOM")
                });
            }
            assert!(one.say(refuse).starts_with("-EXECABORT"));
            assert_eq!(other.info("total_watched_keys"), 0);
            assert_eq!(other.info("watching_clients"), 0);
            assert_eq!(other.say("CONFIG SET maxmemory 0"), "+OK");
            wait_until("there is memory", || other.say("SET x y") == "+OK");
            one.say("MULTI");
            one.say("GET key:1");
            assert_eq!(one.say("EXEC"), "*1 (nil)", "{refuse}");
        }
    });
}

#[test]
fn a_pause_of_writes_holds_a_transaction_that_writes() {
    at_all_shards("", |server| {
        let (mut one, mut other) = (server.client(), server.client());
        let mut reader = server.client();
        for client in [&mut one, &mut reader] {
            client.say("MULTI");
            client.say("GET a");
        }
        one.say("SET a 1");
        other.say("CLIENT PAUSE 100000 WRITE");
        assert_eq!(reader.say("EXEC"), "*1 (nil)");
        one.send(&encode(&["EXEC"]));
        wait_until("it waits", || other.info("blocked_clients") == 1);
        assert_eq!(other.say("GET a"), "(nil)");
        other.say("CLIENT UNPAUSE");
        assert_eq!(one.reply().expect("a reply").join(" "), "*2 (nil) +OK");
    });
}

#[test]
fn a_queue_is_limited_and_seen_in_the_list_of_clients() {
    let server = TestServer::start(2, "client-query-buffer-limit 1mb\n");
    let (mut one, mut other) = (server.client(), server.client());
    one.say("CLIENT SETNAME it");
    one.say("WATCH a");
    assert_eq!(other.say("SET a 1"), "+OK");
    one.say("MULTI");
    let value = "x".repeat(100_000);
    for _ in 0..5 {
        assert_eq!(one.say(&format!("SET a {value}")), "+QUEUED");
    }
    let line = other.say("CLIENT LIST NAME it");
    for part in ["multi=5", "flags=xd"] {
        assert!(line.contains(part), "{line}");
    }
    let mut sent = 5;
    while one.ask_or_closed(&["SET", "a", &value]) {
        sent += 1;
        assert!(sent < 12, "a queue without a limit");
    }
    assert_eq!(other.say("GET a"), "\"1\"");
}

#[test]
fn a_stranger_queues_nothing() {
    let server = TestServer::start(2, "requirepass secret\n");
    let mut one = server.client();
    assert!(one.say("MULTI").starts_with("-NOAUTH"));
    assert!(
        one.say("EXEC")
            .starts_with("-EXECABORT Transaction discarded because of: NOAUTH")
    );
    assert_eq!(one.say("AUTH secret"), "+OK");
    assert_eq!(one.say("MULTI"), "+OK");
    assert_eq!(one.say("AUTH wrong"), "+QUEUED");
    assert!(one.say("EXEC").starts_with("*1 -WRONGPASS"));
}
