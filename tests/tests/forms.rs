//! Collections of thousands of elements in both forms: what the limits of the packed form allow, however much, makes no
//! difference to any reply.

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

fn memory(client: &mut Client, key: &str) -> usize {
    let usage = client.say(&format!("MEMORY USAGE {key} SAMPLES 0"));
    usage[1..].parse().expect("a number")
}

/// In the hash order of another one under the same seed, all elements would fall into the first segment of the table,
/// which would split to no avail and end in chains.
#[test]
fn a_collection_is_filled_from_another_one_in_no_time_and_in_no_more_memory() {
    const MANY: usize = 40_000;
    for shards in [1, 2, 4] {
        let server = TestServer::start(shards, "");
        let mut client = server.client();
        for first in (0..MANY).step_by(1000) {
            let all = |each: &dyn Fn(usize) -> String| {
                (first..first + 1000).map(each).collect::<String>()
            };
            client.say(&format!("HSET hash{}", all(&|n| format!(" f{n} v{n}"))));
            client.say(&format!("ZADD zset{}", all(&|n| format!(" 7 z{n}"))));
            client.say(&format!("SADD set{}", all(&|n| format!(" s{n}"))));
        }
        for (read, write, key, width) in [
            ("HGETALL hash", "HSET", "hash", 2),
            ("ZSCAN zset 0 COUNT 1000000", "ZADD", "zset", 2),
            ("SMEMBERS set", "SADD", "set", 1),
        ] {
            let words: Vec<&str> = read.split(' ').collect();
            let reply = client.ask(&words);
            let mut elements = texts(&reply);
            if key == "zset" {
                // Behind the cursor; scores come before members.
                elements.remove(0);
                elements.chunks_mut(2).for_each(|pair| pair.swap(0, 1));
            }
            assert_eq!(elements.len(), MANY * width, "{read}");
            for part in elements.chunks(2000) {
                client.say(&format!("{write} {key}:copy {}", part.join(" ")));
            }
            let (one, other) = (
                memory(&mut client, key),
                memory(&mut client, &format!("{key}:copy")),
            );
            assert!(other < one * 5 / 4, "{key}: {other} bytes instead of {one}");
        }
        for key in ["hash", "zset", "set"] {
            let digest = |client: &mut Client, key: &str| {
                let digest = client.say(&format!("DEBUG DIGEST-VALUE {key}"));
                digest.split(' ').next_back().expect("a digest").to_string()
            };
            let copy = format!("{key}:copy");
            assert_eq!(digest(&mut client, key), digest(&mut client, &copy));
        }
    }
}
