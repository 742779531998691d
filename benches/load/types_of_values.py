"""Lists, sets, sorted sets, hashes and transactions: CPU per operation, bytes per element, and who waits for the large ones."""
import statistics

import generator
import pauses
import peers
import table
import throughput

MILLION, HUNDRED_THOUSAND, TEN_THOUSAND = 1000000, 100000, 10000
THOUSAND_MILLION = 1000 * MILLION  # drawn from by a million, hardly any number comes twice
PIPELINE = 16
MEMBER = 10
POPS = 200000
FIVE_FIELDS = " ".join("field0000%d %%v" % i for i in range(5))
TEN_FIELDS = " ".join("f%d %%v" % i for i in range(10))

# name: (request, keys drawn from, value bytes, what has to be there: (request, count, value bytes) or None)
OPERATIONS = {
    "LPUSH to 10,000 lists": ("LPUSH %k %v", TEN_THOUSAND, 64, None),
    "LRANGE of 100": ("LRANGE list 0 99", 1, 16, ("RPUSH list %v", 100, 16)),
    "SADD into 1 M": ("SADD set %m", MILLION, 0, ("SADD set %q", MILLION, 0)),
    "HSET into 100,000": ("HSET hash %m %v", HUNDRED_THOUSAND, 64, ("HSET hash %q %v", HUNDRED_THOUSAND, 64)),
    "HGETALL of 10": ("HGETALL hash:%k", TEN_THOUSAND, 16, ("HSET hash:%s " + TEN_FIELDS, TEN_THOUSAND, 16)),
    "ZADD into 100,000": ("ZADD zset %i %m", HUNDRED_THOUSAND, 0, ("ZADD zset %j %q", HUNDRED_THOUSAND, 0)),
    "ZRANGE of 10 by rank": ("ZRANGE zset 50000 50009", 1, 0, None),
    "ZRANGEBYSCORE LIMIT 10": ("ZRANGEBYSCORE zset %i +inf LIMIT 0 10", HUNDRED_THOUSAND // 2, 0, None),
    "SPOP": ("SPOP pool", 1, 0, ("SADD pool %q", 4 * MILLION, 0)),
    "MULTI, 4 commands, EXEC": ("MULTI ; SET s:%k %v ; GET s:%k ; INCR n:%k ; HSET hash %m x ; EXEC", TEN_THOUSAND, 64, None),
}

# Commands that name many elements, as above.
OF_MANY = {
    "MGET of 20": ("MGET" + 20 * " %k", MILLION, 0, ("SET %s %v", MILLION, 16)),
    "SADD of 20 into 1 M": ("SADD set" + 20 * " %m", MILLION, 0, ("SADD set %q", MILLION, 0)),
    "SMISMEMBER of 20 in 1 M": ("SMISMEMBER set" + 20 * " %m", MILLION, 0, None),
    "HSET of 20 into 1 M": ("HSET hash" + 20 * " %m %v", MILLION, 16, ("HSET hash %q %v", MILLION, 16)),
    "HMGET of 20 in 1 M": ("HMGET hash" + 20 * " %m", MILLION, 0, None),
    "ZADD of 20 into 1 M": ("ZADD zset" + 20 * " %i %m", MILLION, 0, ("ZADD zset %j %q", MILLION, 0)),
    "ZMSCORE of 20 in 1 M": ("ZMSCORE zset" + 20 * " %m", MILLION, 0, None),
}

# name: (request, keys drawn from)
COLLECTIONS = {
    "sorted set of 1 M": "ZADD key %i %q",
    "set of 1 M": "SADD key %q",
    "hash of 1 M, field and value": "HSET key %q %q",
    "list of 1 M": "RPUSH key %q",
    "set of 1 M integers": "SADD key %j",
    "the same at random": "SADD key %i",
    "hashes of 5 fields, each": "HSET %s " + FIVE_FIELDS,
}


def operations(args):
    compare(args, "Types", OPERATIONS)


def of_many(args):
    compare(args, "Commands that name many elements", OF_MANY)


def compare(args, title, requests):
    """16 pipelined, 50 connections, 1 shard on 1 core, against the peers."""
    out = []
    with peers.running([peers.ours(args), *peers.stock(args)]) as servers:
        for name, (request, keys, value, there) in requests.items():
            for server in servers:
                if there:
                    before, count, size = there
                    generator.load(server, before, max(count // args.scale, 100), value=size, conns=1)
            keys = max(keys // args.scale, 1)
            options = with_keys(args, keys)
            # What is popped is gone: so many that all rounds find enough.
            limit = {"ops": POPS // args.scale} if name == "SPOP" else {}
            medians = throughput.rounds(servers, options, request, {"pipeline": PIPELINE, "value": value, **limit})
            out += throughput.rows(name, medians)
    table.show("%s, %d pipelined, 50 connections, 1 shard on 1 core" % (title, PIPELINE), throughput.HEADER, out)


def with_keys(args, keys):
    """The same arguments with other keys to draw from."""
    other = type(args)(**vars(args))
    other.keys = keys
    return other


def memory(args):
    """RSS growth per element of large collections of 10-byte members, and per small hash of five 10-byte fields, medians."""
    count = MILLION // args.scale

    def grown(server, request):
        with peers.running([server]):
            before = server.rss()
            generator.load(server, request, count, value=MEMBER, keys=THOUSAND_MILLION, conns=1)
            return (server.rss() - before) / count
    out = [[server.name, *[statistics.median(grown(server, request) for _ in range(args.rounds)) for request in COLLECTIONS.values()]]
           for server in [peers.ours(args), *peers.stock(args)]]
    table.show("RSS growth per element, %s elements of %d B" % (table.number(count), MEMBER), ["server", *COLLECTIONS], out)


# Elements, and the keys and hashes that are named after them.
SORTED_BY_OTHERS = ["RPUSH a %q", "SET w_%q %i", "HSET h_%q f %i"]

# name: (how its keys are filled, the command)
HEAVY = {
    "KEYS *": ([], "KEYS key:*"),
    "SMEMBERS": (["SADD a %q"], "SMEMBERS a"),
    "SUNION": (["SADD a %q", "SADD b %j"], "SUNION a b"),
    "SUNIONSTORE": (["SADD a %q", "SADD b %j"], "SUNIONSTORE c a b"),
    "SINTERSTORE": (["SADD a %q", "SADD b %q"], "SINTERSTORE c a b"),
    "SDIFFSTORE": (["SADD a %q", "SADD b %j"], "SDIFFSTORE c a b"),
    "HGETALL": (["HSET a %q %v"], "HGETALL a"),
    "LRANGE 0 -1": (["RPUSH a %q"], "LRANGE a 0 -1"),
    "SORT": (["RPUSH a %i"], "SORT a"),
    "SORT ALPHA STORE": (["RPUSH a %q"], "SORT a ALPHA STORE b"),
    "ZRANGE 0 -1": (["ZADD a %i %q"], "ZRANGE a 0 -1"),
    "ZUNIONSTORE": (["ZADD a %i %q", "ZADD b %i %q"], "ZUNIONSTORE c 2 a b"),
    "ZREMRANGEBYRANK": (["ZADD a %i %q"], "ZREMRANGEBYRANK a 0 -2"),
    "ZREMRANGEBYSCORE": (["ZADD a %i %q"], "ZREMRANGEBYSCORE a 1000000000 1900000000"),
    "LTRIM": (["RPUSH a %q"], "LTRIM a 1 10"),
    "LREM": (["RPUSH a %q"], "LREM a 0 m000000001"),
    "DEL of a set": (["SADD a %q"], "DEL a"),
    "DEL of a list": (["RPUSH a %q"], "DEL a"),
    "DEL of a sorted set": (["ZADD a %i %q"], "DEL a"),
    "DEL of a hash": (["HSET a %q %v"], "DEL a"),
    "RENAME over a set": (["SADD a %q", "SADD b x"], "RENAME b a"),
    "COPY of a hash": (["HSET a %q %v"], "COPY a b"),
    "COPY of a set": (["SADD a %q"], "COPY a b"),
    "COPY of a sorted set": (["ZADD a %i %q"], "COPY a b"),
    "COPY of a list": (["RPUSH a %q"], "COPY a b"),
    "SORT BY keys": (SORTED_BY_OTHERS, "SORT a BY w_*"),
    "SORT BY fields, GET both, STORE": (SORTED_BY_OTHERS, "SORT a BY h_*->f GET # GET w_* STORE b"),
    "LPOP": (["RPUSH a %q"], "LPOP a 999990"),
    "RPOP": (["RPUSH a %q"], "RPOP a 999990"),
    "HRANDFIELD, a third": (["HSET a %q %v"], "HRANDFIELD a 300000 WITHVALUES"),
    "HRANDFIELD, most": (["HSET a %q %v"], "HRANDFIELD a 900000"),
    "HRANDFIELD with repeats": (["HSET a %q %v"], "HRANDFIELD a -1000000"),
    "SRANDMEMBER, a third": (["SADD a %q"], "SRANDMEMBER a 300000"),
    "ZRANDMEMBER, most": (["ZADD a %i %q"], "ZRANDMEMBER a 900000"),
    "SPOP": (["SADD a %q"], "SPOP a 500000"),
    "ZPOPMIN": (["ZADD a %i %q"], "ZPOPMIN a 999990"),
    "HSCAN": (["HSET a %q %v"], "HSCAN a 0 COUNT 2000000"),
    "SSCAN": (["SADD a %q"], "SSCAN a 0 COUNT 2000000"),
    "ZSCAN": (["ZADD a %i %q"], "ZSCAN a 0 COUNT 2000000"),
    "FLUSHALL": (["HSET a %q %v", "SET %s %v"], "FLUSHALL"),
    # Nothing is sliced inside EXEC.
    "EXEC of KEYS *": (["SET %s %v"], "MULTI ; KEYS key:* ; EXEC"),
    "EXEC of SMEMBERS": (["SADD a %q"], "MULTI ; SMEMBERS a ; EXEC"),
    "EXEC of HGETALL": (["HSET a %q %v"], "MULTI ; HGETALL a ; EXEC"),
    "EXEC of LRANGE 0 -1": (["RPUSH a %q"], "MULTI ; LRANGE a 0 -1 ; EXEC"),
    "EXEC of SUNIONSTORE": (["SADD a %q", "SADD b %j"], "MULTI ; SUNIONSTORE c a b ; EXEC"),
    "EXEC of SORT ALPHA": (["RPUSH a %q"], "MULTI ; SORT a ALPHA ; EXEC"),
    "EXEC of ZUNIONSTORE": (["ZADD a %i %q", "ZADD b %i %q"], "MULTI ; ZUNIONSTORE c 2 a b ; EXEC"),
    "EXEC of ZREMRANGEBYRANK": (["ZADD a %i %q"], "MULTI ; ZREMRANGEBYRANK a 0 -2 ; EXEC"),
    "EXEC of DEL of a set": (["SADD a %q"], "MULTI ; DEL a ; EXEC"),
}


def heavy(args):
    """The worst GET of another client during each command on 1 M elements."""
    count = MILLION // args.scale

    def each(server):
        rows = []
        for name, (fills, command) in HEAVY.items():
            if args.only not in name:
                continue
            generator.run(server, "FLUSHALL", ops=1, conns=1)
            for fill in fills:
                generator.load(server, fill, count, value=MEMBER, keys=900000000, conns=1)
            rows.append(pauses.probed("%s of %s" % (name, table.number(count)), server, lambda: once(server, command)))
        return rows
    table.show("Heavy commands", pauses.HEADER, pauses.with_each(args, each))


def once(server, command):
    sample = generator.run(server, command, ops=1, conns=1)
    return "answered after %.3f s" % (sample["max_us"] / 1e6)


def growing_set(args):
    """One set grown to 10 M members, and deleted."""
    count = 10 * MILLION // args.scale

    def both(server):
        def grow():
            sample = generator.load(server, "SADD big %q", count, conns=10, pipeline=20)
            return "%.2f CPU µs per SADD" % sample["cpu_us_op"]
        return [pauses.probed("a set grows to %s members" % table.number(count), server, grow),
                pauses.probed("DEL of it", server, lambda: once(server, "DEL big"))]
    table.show("One large set", pauses.HEADER, pauses.with_each(args, both))
