"""Templates and state for diff_fuzz.py --all-types: what the foundation's strings and keys do not cover."""
import diff_commands
from diff_commands import DOMAINS, keys, word

LUA_READ_WRITE = "return {redis.call('GET',KEYS[1]), redis.call('SET',KEYS[2],ARGV[1]), redis.call('LLEN',KEYS[3])}"
LUA_FAILS_HALFWAY = "redis.call('SET',KEYS[1],'x') error('boom')"


def stream_id(r):
    return "%d-%d" % (r.randrange(1, 99), r.randrange(9))


DOMAINS.update({
    "hash": keys("h"), "set": keys("t"), "zset": keys("z"), "stream": keys("x"),
    "other": lambda r: "%s%d" % (r.choice("slhtzxb"), r.randrange(diff_commands.KEYS_PER_FAMILY)),
    "member": word("a", "b", "c", "dd", "e" * 40, "1", "2", "10", "-5", "3.5", "", "\x00\xff"),
    # Runs that cross Redis' limits of small sets, members longer than they may have included.
    "integers": lambda r: [str(r.choice([1, 70000, 10**12]) * n) for n in range(r.randrange(50), r.randrange(51, 700))],
    "texts": lambda r: ["t%d" % n * r.choice([1, 1, 20]) for n in range(r.randrange(50), r.randrange(51, 180))],
    "wrong": word("x", "-1", "", "9223372036854775808"),
    "field": word("f1", "f2", "f3", "f4"),
    "score": word("1", "2", "2.5", "-3", "0", "inf", "-inf", "1e3", "nan", "x"),
    "range": word("-inf", "+inf", "(1", "1", "(2.5", "2", "0", "-3"),
    "end": word("LEFT", "RIGHT"), "id": stream_id, "zaddopts": word([], [], ["NX"], ["XX"], ["GT", "CH"], ["LT"], ["INCR"]),
    "luarw": word(LUA_READ_WRITE), "luafail": word(LUA_FAILS_HALFWAY),
})

TEMPLATES = [(2, t) for t in """
HSET %hash %field %member %field %member
HSETNX %hash %field %member
HGET %hash %field
HMGET %hash %field %field
HGETALL %hash
HDEL %hash %field %field
HINCRBY %hash %field %int
HINCRBYFLOAT %hash %field %decimal
HLEN %other
HKEYS %hash
HEXISTS %hash %field
HSTRLEN %hash %field
SADD %set %member+
SADD %set %integers
SADD %set %texts
SREM %set %integers
SREM %set %texts
SREM %set %member
SMEMBERS %set
SISMEMBER %set %member
SMISMEMBER %set %member %member
SCARD %other
SRANDMEMBER %set 100000
SRANDMEMBER %set -3
SRANDMEMBER %set %wrong
SSCAN %set 0 COUNT 100000
SSCAN %set 0 COUNT 100000 MATCH *1*
SSCAN %set 0 COUNT %wrong
SMOVE %set %set %member
SINTER %set %set %set
SUNION %set %set
SDIFF %set %set
SINTERSTORE %set %set %set
SUNIONSTORE %set %set %set
SDIFFSTORE %set %set %set
SINTERCARD 2 %set %set
SINTERCARD 2 %set %set LIMIT 3
SINTERCARD %wrong %set
SUNION %set %other
SDIFFSTORE %other %set %set
ZADD %zset %zaddopts %score %member
ZREM %zset %member
ZSCORE %zset %member
ZINCRBY %zset %score %member
ZRANGE %zset %index %index WITHSCORES
ZREVRANGE %zset %index %index
ZRANGEBYSCORE %zset %range %range
ZRANK %zset %member
ZCOUNT %zset %range %range
ZCARD %other
ZPOPMIN %zset
ZPOPMAX %zset 2
ZREMRANGEBYSCORE %zset %range %range
ZREMRANGEBYRANK %zset %index %index
ZUNIONSTORE %zset 2 %zset %set AGGREGATE MAX
ZINTERSTORE %zset 2 %zset %zset AGGREGATE SUM
ZDIFFSTORE %zset 2 %zset %zset
ZRANGESTORE %zset %zset %index %index
ZMSCORE %zset %member %member
ZMPOP 2 %zset %zset MIN
XADD %stream %id %field %member
XLEN %other
XRANGE %stream - +
XREVRANGE %stream + - COUNT %index
XDEL %stream %id
XTRIM %stream MAXLEN 3
XREAD COUNT 3 STREAMS %stream %stream 0 5-0
XGROUP CREATE %stream g 0 MKSTREAM
XACK %stream g %id
XPENDING %stream g
BITCOUNT %other
RENAME %other %other
COPY %other %other REPLACE
DEL %other+
TYPE %other
OBJECT ENCODING %other
SORT %set ALPHA LIMIT 0 2
EVAL %luarw 3 %str %str %list %member
EVAL %luafail 1 %str
""".strip().split("\n")]


def content(c, kind, key):
    """The value of a key of another type, in an order that does not depend on the server."""
    readers = {
        "list": lambda: c.ok("LRANGE", key, 0, -1),
        "hash": lambda: sorted(map(repr, zip(*[iter(c.ok("HGETALL", key))] * 2))),
        "set": lambda: sorted(c.ok("SMEMBERS", key)),
        "zset": lambda: c.ok("ZRANGE", key, 0, -1, "WITHSCORES"),
        "stream": lambda: c.ok("XRANGE", key, "-", "+"),
    }
    return readers[kind]() if kind in readers else kind
