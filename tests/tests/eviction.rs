//! `maxmemory` with each policy, at any number of shards. Memory is counted by the allocator, so this test has the server's.

use std::io::Write as _;
use std::net::TcpStream;

use ostraka_tests::client::Client;
use ostraka_tests::server::{self, TestServer, wait_until};

#[global_allocator]
static ALLOCATOR: ostraka_server::os::allocator::Allocator =
    ostraka_server::os::allocator::Allocator;

const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.";
const POLICIES: [&str; 7] = [
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
];

/// Tests of this file run one at a time: they measure what the whole process allocates.
fn at_all_shards(test: impl Fn(&mut Client)) {
    on_all_servers(|server| test(&mut server.client()));
}

fn on_all_servers(test: impl Fn(&TestServer)) {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    server::at_all_shards("", test);
}

/// Leaves room for so many bytes.
fn limit(client: &mut Client, room: u64, policy: &str) -> u64 {
    let limit = client.info("used_memory") + room;
    let set = format!("CONFIG SET maxmemory {limit} maxmemory-policy {policy}");
    assert_eq!(client.say(&set), "+OK");
    limit
}

fn value() -> String {
    "x".repeat(200)
}

#[test]
fn clients_go_before_keys() {
    on_all_servers(|server| {
        let mut client = server.client();
        client.say("CLIENT NO-EVICT on");
        for n in 0..20 {
            client.say(&format!("SETRANGE {n} 100000 x"));
        }
        limit(&mut client, 4_000_000, "allkeys-lru");
        client.say("CONFIG SET maxmemory-clients 2mb");
        client.say("CONFIG RESETSTAT");
        let argument = format!("$1000\r\n{}\r\n", "x".repeat(1000));
        let mut others = Vec::new();
        wait_until("clients are evicted", || {
            let mut other = TcpStream::connect(server.address).expect("the server listens");
            // Half a command, which is kept until the rest comes; the server may have closed the connection.
            let half = format!("*250\r\n{}", argument.repeat(200));
            drop(other.write_all(half.as_bytes()));
            others.push(other);
            client.info("evicted_clients") > 10
        });
        assert_eq!(client.info("evicted_keys"), 0);
        assert_eq!(client.say("DBSIZE"), ":20");
    });
}

#[test]
fn every_policy_keeps_to_the_limit_and_takes_only_what_it_may() {
    at_all_shards(|client| {
        for policy in POLICIES {
            client.say("FLUSHALL SYNC");
            client.say("CONFIG RESETSTAT");
            // What was stored under another policy has hints of another kind.
            client.say(&format!("CONFIG SET maxmemory-policy {policy}"));
            for n in 0..500 {
                client.ask(&["SET", &format!("kept:{n}"), &value()]);
            }
            let limit = limit(client, 500_000, policy);
            for n in 0..5000 {
                let key = format!("volatile:{n}");
                let stored = client.ask(&["SET", &key, &value(), "EX", "10000"]);
                assert_eq!(stored, ["+OK"], "{policy}");
            }
            let used = client.info("used_memory");
            assert!(used < limit + 65_536, "{policy}: {used} of {limit}");
            client.say("CONFIG SET maxmemory 0");
            let evicted = client.info("evicted_keys");
            assert_eq!(client.say("DBSIZE"), format!(":{}", 5500 - evicted));
            assert!((1000..5000).contains(&evicted), "{policy}: {evicted}");
            let kept = client.say("KEYS kept:*").matches("kept:").count();
            if policy.starts_with("volatile") {
                assert_eq!(kept, 500, "{policy}");
            } else {
                assert!(kept < 500, "{policy}");
            }
        }
    });
}

#[test]
fn commands_are_refused_only_if_nothing_can_be_evicted() {
    at_all_shards(|client| {
        for policy in ["noeviction", "volatile-lru", "volatile-ttl"] {
            client.say("FLUSHALL SYNC");
            limit(client, 1_000_000, policy);
            let set = |client: &mut Client, n: usize| {
                client.ask(&["SET", &format!("key:{n}"), &value()]).join("")
            };
            let refused = (0..20_000).find(|n| set(client, *n) == OOM);
            let first = refused.unwrap_or_else(|| panic!("{policy}: never refused"));
            assert!(first > 1000, "{policy}: {first}");
            assert_eq!(client.say("APPEND key:0 x"), OOM);
            assert_eq!(client.say("STRLEN key:0"), ":200");
            let deleted = (1000..first).map(|n| client.say(&format!("DEL key:{n}")));
            assert!(deleted.into_iter().all(|deleted| deleted == ":1"));
            assert_eq!(set(client, 0), "+OK", "{policy}");
            if policy != "noeviction" {
                let expire = (10..60).map(|n| client.say(&format!("EXPIRE key:{n} 1000")));
                assert!(expire.into_iter().all(|set| set == ":1"));
                assert!(
                    (30_000..30_020).all(|n| set(client, n) == "+OK"),
                    "{policy}"
                );
                assert_eq!(client.say("EXISTS key:70 key:71 key:72"), ":3");
            }
            client.say("CONFIG SET maxmemory 0");
            assert_eq!(set(client, 0), "+OK");
        }
    });
}

#[test]
fn a_lower_limit_is_kept_to_without_a_command() {
    at_all_shards(|client| {
        client.say("DEBUG POPULATE 3000 key 100");
        assert_eq!(
            client.say("CONFIG SET maxmemory 1 maxmemory-policy allkeys-random"),
            "+OK"
        );
        // The limit is below what an empty server takes.
        wait_until("all keys are evicted", || client.say("DBSIZE") == ":0");
        assert_eq!(client.info("evicted_keys"), 3000);
        assert_eq!(client.say("SET key x"), OOM);
        assert_eq!(client.say("CONFIG SET maxmemory 0"), "+OK");
        assert_eq!(client.say("SET key x"), "+OK");
    });
}

#[test]
fn what_is_used_often_stays() {
    at_all_shards(|client| {
        client.say("CONFIG SET maxmemory-policy allkeys-lfu lfu-log-factor 0");
        for n in 0..2000 {
            client.ask(&["SET", &format!("key:{n}"), &value()]);
        }
        for _ in 0..20 {
            for n in 0..200 {
                client.say(&format!("GET key:{n}"));
            }
        }
        limit(client, 100_000, "allkeys-lfu");
        for n in 0..1500 {
            client.ask(&["SET", &format!("new:{n}"), &value()]);
        }
        let left = (0..200).filter(|n| client.say(&format!("EXISTS key:{n}")) == ":1");
        assert!(left.count() > 190);
        assert!(client.info("evicted_keys") > 500);
    });
}

#[test]
fn what_expires_soonest_goes_first() {
    at_all_shards(|client| {
        for n in 0..2000 {
            let (key, ttl) = (format!("key:{n}"), format!("{}", 1000 + n * 1000));
            client.ask(&["SET", &key, &value(), "EX", &ttl]);
        }
        // The index of deadlines would take its rings, a sum of memory here, when it is first looked at.
        client.say("DEBUG SET-ACTIVE-EXPIRE 0");
        limit(client, 50_000, "volatile-ttl");
        for n in 0..1000 {
            client.ask(&["SET", &format!("new:{n}"), &value()]);
        }
        client.say("CONFIG SET maxmemory 0");
        let evicted = client.info("evicted_keys");
        assert!((200..1500).contains(&evicted), "{evicted}");
        // Every cell has an order of its own, so the order of all is kept about.
        let soonest = 0..evicted as usize;
        let gone = soonest.filter(|n| client.say(&format!("EXISTS key:{n}")) == ":0");
        let gone = gone.count();
        assert!(gone * 100 >= evicted as usize * 80, "{gone} of {evicted}");
    });
}
