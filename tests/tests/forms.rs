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
