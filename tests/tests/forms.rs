//! Collections of thousands of elements in both forms: what the limits of the packed form allow, however much, makes no
//! difference to any reply.

use std::collections::HashMap;

use ostraka_tests::client::Client;
use ostraka_tests::server::TestServer;

/// More than any command works on at once.
const ELEMENTS: usize = 2500;

const PACKED: &str = "list-max-listpack-size -5\nhash-max-listpack-entries 100000\nzset-max-listpack-entries 100000\n\
    set-max-listpack-entries 100000\nset-max-intset-entries 100000";
const LARGE: &str = "list-max-listpack-size 1\nhash-max-listpack-entries 1\nzset-max-listpack-entries 1\n\
    set-max-listpack-entries 1\nset-max-intset-entries 1";

const REQUESTS: &str = "
    LRANGE list 0 -1
    LRANGE list 1 -2
    LPOS list none
    LPOS list 7 COUNT 0
    LPOS list 7 RANK -1 MAXLEN 2000
    LINSERT list BEFORE none x
    LINSERT list AFTER 2400 x
    LREM list 0 none
    LREM list 1 2300
    LREM list -1 2
    SORT list LIMIT 1000 2
    SORT list ALPHA DESC
    SORT list BY nosort
    SORT list BY nosort GET # STORE sorted
    SORT ints BY nosort GET # STORE sorted
    SORT_RO ints DESC
    SORT_RO texts ALPHA
    SORT_RO zset BY nosort
    LTRIM list 0 1990
    LLEN list
    SMEMBERS ints
    SUNION ints texts
    SINTER ints ints
    SDIFFSTORE stored ints texts
    SRANDMEMBER ints 2500
    SRANDMEMBER texts 10000
    SCARD stored
    SPOP stored 2500
    HGETALL hash
    HKEYS hash
    HVALS hash
    HRANDFIELD hash 10000 WITHVALUES
    HRANDFIELD hash 2500
    COPY hash copied
    HLEN copied
    ZRANGE zset 0 -1 WITHSCORES
    ZRANGEBYSCORE zset -inf +inf LIMIT 100 2000
    ZRANGESTORE stored zset 0 -1
    ZUNION 2 zset ints WITHSCORES
    ZINTERSTORE stored 2 zset zset
    ZRANDMEMBER zset 2500
    ZREMRANGEBYRANK stored 0 2000
    ZCARD stored
    ZREMRANGEBYSCORE stored -inf 2300
    GEOSEARCH zset FROMLONLAT 0 0 BYRADIUS 30000 km ASC";

fn fill(client: &mut Client) {
    let all = |each: &dyn Fn(usize) -> String| (0..ELEMENTS).map(each).collect::<String>();
    client.say(&format!("RPUSH list{}", all(&|n| format!(" {n}"))));
    client.say(&format!("SADD ints{}", all(&|n| format!(" {n}"))));
    client.say(&format!("SADD texts{}", all(&|n| format!(" t{n}"))));
    client.say(&format!("HSET hash{}", all(&|n| format!(" f{n} v{n}"))));
    client.say(&format!("ZADD zset{}", all(&|n| format!(" {n} z{n}"))));
}

/// The elements of a reply in an order that does not depend on the form.
fn elements(reply: &str) -> Vec<&str> {
    let mut elements: Vec<&str> = reply.split(' ').collect();
    elements.sort_unstable();
    elements
}

#[test]
fn many_packed_elements_answer_as_many_large_ones_do() {
    for shards in [1, 2, 4] {
        let packed = TestServer::start(shards, PACKED);
        let large = TestServer::start(shards, LARGE);
        let (mut one, mut other) = (packed.client(), large.client());
        fill(&mut one);
        fill(&mut other);
        assert_eq!(one.say("OBJECT ENCODING hash"), "\"listpack\"");
        assert_eq!(other.say("OBJECT ENCODING hash"), "\"hashtable\"");
        for request in REQUESTS.trim().lines() {
            let (ours, theirs) = (one.say(request), other.say(request));
            assert_eq!(elements(&ours), elements(&theirs), "{}", request.trim());
        }
    }
}

/// The elements of a reply as it prints them, without their quotes.
fn texts(reply: &[String]) -> Vec<&str> {
    let quoted = reply.iter().filter(|line| line.starts_with('"'));
    quoted.map(|line| line.trim_matches('"')).collect()
}

/// Sends `words` behind `command`, some at a time.
fn send(client: &mut Client, command: &str, words: &[&str]) {
    for words in words.chunks(2000) {
        let reply = client.say(&format!("{command} {}", words.join(" ")));
        assert!(!reply.starts_with('-'), "{reply}");
    }
}

/// The words that `write` would make the same of again, in the order in which `read` gives them.
fn read_back(client: &mut Client, write: &str, read: &str) -> Vec<String> {
    let reply = client.ask(&read.split(' ').collect::<Vec<_>>());
    let mut elements = texts(&reply);
    if read.starts_with("ZSCAN") {
        // The cursor, and members before their scores.
        elements.remove(0);
        elements.chunks_mut(2).for_each(|pair| pair.swap(0, 1));
    }
    if write == "MSET" {
        elements = elements.into_iter().flat_map(|key| [key, "v"]).collect();
    }
    elements.into_iter().map(str::to_owned).collect()
}

/// How many neighbours of `after` came in the same order, if not as neighbours, in `before`.
fn kept_in_order(before: &[String], after: &[String]) -> usize {
    let rank: HashMap<&String, usize> = before.iter().zip(0..).collect();
    let named = after.iter().filter(|word| *word != "v");
    let ranks: Vec<usize> = named.map(|word| rank[word]).collect();
    ranks.windows(2).filter(|pair| pair[0] < pair[1]).count()
}

/// `each` of so many numbers.
fn numbered(many: usize, each: impl Fn(usize) -> [String; 2]) -> Vec<String> {
    (0..many).flat_map(each).collect()
}

fn borrowed(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// In the hash order of another table under the same seed, all elements would fall into the first segment, which splits to
/// no avail: time that grows with the square of their number. So no table has the order of one that it may be filled
/// from.
#[test]
fn what_is_filled_in_the_order_of_another_has_an_order_of_its_own() {
    const MANY: usize = 10_000;
    let pairs = numbered(MANY, |n| [format!("{n}.5"), format!("m{n}")]);
    for shards in [1, 2, 4] {
        let server = TestServer::start(shards, "");
        let mut client = server.client();
        for (write, read) in [
            ("HSET hash", "HGETALL hash"),
            ("ZADD zset", "ZSCAN zset 0 COUNT 10000000"),
            ("SADD set", "SMEMBERS set"),
            ("MSET", "KEYS *"),
        ] {
            client.say("FLUSHALL");
            send(&mut client, write, &borrowed(&pairs));
            let first = read_back(&mut client, write, read);
            assert_eq!(first.len(), pairs.len(), "{read}");
            // Another collection or database, and the same one anew.
            let (again, reads) = match write {
                "MSET" => (write.to_owned(), read.to_owned()),
                _ => (
                    format!("{write}:copy"),
                    read.replacen(&write[5..], &format!("{}:copy", &write[5..]), 1),
                ),
            };
            client.say("SELECT 1");
            send(&mut client, &again, &borrowed(&first));
            let another = read_back(&mut client, write, &reads);
            client.say("SELECT 0");
            client.say("FLUSHALL");
            send(&mut client, write, &borrowed(&first));
            let anew = read_back(&mut client, write, read);
            for second in [another, anew] {
                assert_eq!(second.len(), first.len());
                // All of them in the same order; in another, half of them, and of pairs the one within each as well.
                let kept = kept_in_order(&first, &second) * 100 / first.len();
                assert!(kept < 95, "{write}, {shards} shards: {kept} %");
            }
        }
    }
}
