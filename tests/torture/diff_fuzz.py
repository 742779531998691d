#!/usr/bin/env python3
"""Differential fuzz: the same seeded stream of commands to the server under test and to a reference, replies
compared byte by byte (error texts entire, RESP2 and RESP3 in turn), and every so often all the data and whole
SCAN iterations. Keys carry no hash tag, so a server with several shards is driven across them.

All types and transactions take part; each file diff_*.py holds the commands of one area, and what is left out there,
with its reason. What may differ is in diff_rules.py.

  diff_fuzz.py --server 'target/fast/ostraka --port {port} --dir {dir} --shards 4' --ref 'valkey-server --port {port}' --n 100000
"""
import random
import select
import time

import diff_commands
import diff_generic
import diff_geo
import diff_hashes
import diff_lists
import diff_sets
import diff_zset
from diff_rules import TTL_SLACK_MS, differ, follow_up, is_null, items, parts_ways, reply_end, shortest, shown
from tlib import Closed, RespError, Server, Timeout, base_args, enc, finish

DATABASES = 4
MAX_FAILURES = 8
AREAS = [diff_lists, diff_zset, diff_sets, diff_hashes, diff_geo, diff_generic]

# Every element of a value, in an order that does not depend on the server.
READERS = {
    "string": lambda c, key: c.ok("GET", key),
    "list": lambda c, key: c.ok("LRANGE", key, 0, -1),
    "hash": lambda c, key: sorted(zip(*[iter(c.ok("HGETALL", key))] * 2)),
    "set": lambda c, key: sorted(c.ok("SMEMBERS", key)),
    "zset": lambda c, key: [shortest(x) for x in c.ok("ZRANGE", key, 0, -1, "WITHSCORES")],
}


class Peer:
    """One of the two servers, spoken to in pipelined batches whose replies stay raw."""

    def __init__(self, template, opts):
        self.server = Server(template, opts).start()
        self.c = self.server.conn(20)

    def exchange(self, data, count):
        """Send everything while reading, so that neither side can block the other -> raw replies."""
        s, replies, buf, scan = self.c.s, [], bytearray(), 0
        unsent = memoryview(data)
        while len(replies) < count:
            readable, writable, _ = select.select([s], [s] if unsent else [], [], self.c.timeout)
            if not readable and not writable:
                raise Timeout("no reply after %d of %d" % (len(replies), count))
            if writable:
                unsent = unsent[s.send(unsent[:65536]):]
            if readable:
                chunk = s.recv(1 << 20)
                if not chunk:
                    raise Closed("eof after %d of %d replies" % (len(replies), count))
                buf += chunk
                while len(replies) < count:
                    end = reply_end(buf, scan)
                    if end is None:
                        break
                    replies.append(bytes(buf[scan:end]))
                    scan = end
        return replies

    def value(self, *command):
        return self.c.cmd(*command)


def key_state(peer):
    """Every key of every database: type, encoding, value, deadline in ms."""
    state = {}
    for db in range(DATABASES):
        peer.value("SELECT", db)
        keys = sorted(peer.value("KEYS", "*"))
        commands = [c for k in keys for c in (("TYPE", k), ("OBJECT", "ENCODING", k), ("PEXPIRETIME", k))]
        replies = peer.c.pipe(commands) if commands else []
        for k, kind, encoding, deadline in zip(keys, replies[0::3], replies[1::3], replies[2::3]):
            state[db, k] = (kind, encoding, deadline, READERS[kind](peer.c, k))
    return state


def state_differences(a, b):
    ours, theirs = key_state(a), key_state(b)
    out = []
    for key in sorted(set(ours) | set(theirs)):
        x, y = ours.get(key), theirs.get(key)
        same = x and y and repr((x[0], x[3])) == repr((y[0], y[3])) and abs(x[2] - y[2]) <= TTL_SLACK_MS and same_encoding(x[1], y[1])
        if not same:
            out.append("data differ: key %r is %s, reference %s" % (key, shown(x), shown(y)))
    return out


def same_encoding(ours, theirs):
    return not differ(["OBJECT", "ENCODING", ""], b"$%d\r\n%b\r\n" % (len(ours), ours), b"$%d\r\n%b\r\n" % (len(theirs), theirs))


def full_scan(peer, options):
    seen, cursor = set(), b"0"
    while True:
        cursor, keys = peer.c.ok("SCAN", cursor, *options)
        seen |= set(keys)
        if cursor == b"0":
            return seen


def scan_differences(a, b, r):
    """Whole SCAN iterations give the same sets of keys, whatever the options."""
    many = sum((["scan:%d" % r.randrange(10**6), "v"] for _ in range(r.choice([0, 50, 1500]))), [])
    out = []
    for peer in (a, b):
        peer.value("SELECT", DATABASES - 1)
        if many:
            peer.c.ok("MSET", *many)
    for options in ([], ["COUNT", 1], ["COUNT", 10**9], ["MATCH", diff_commands.pattern(r)], ["MATCH", "scan:*1*", "COUNT", 7], ["TYPE", "string"], ["type", "LIST"], ["MATCH", "scan:[0-4]*", "TYPE", "string"]):
        ours, theirs = full_scan(a, options), full_scan(b, options)
        if ours != theirs:
            out.append("SCAN %s: only ours %s, only reference's %s" % (options, shown(sorted(ours - theirs)[:5]), shown(sorted(theirs - ours)[:5])))
    for peer in (a, b):
        for i in range(0, len(many), 2000):
            peer.c.ok("DEL", *many[i:i + 2000:2])
    key = a.value("RANDOMKEY")
    if key is not None and a.value("EXISTS", key) != 1:
        out.append("RANDOMKEY gave %r, which does not exist" % key)
    return out


def short_deadlines(a, b, r):
    """Keys that expire at once are gone on both, by whichever command looks first."""
    looks = [["GET", "%"], ["EXISTS", "%"], ["TTL", "%"], ["INCR", "%"], ["APPEND", "%", "x"], ["SET", "%", "1", "NX", "GET"], ["GETEX", "%", "PERSIST"], ["RENAME", "%", "s1"], ["PERSIST", "%"],
             ["EXPIRE", "%", "100"], ["COPY", "%", "s2"], ["DEL", "%"], ["MGET", "%", "s3"], ["OBJECT", "ENCODING", "%"], ["TYPE", "%"], ["MSETNX", "%", "1", "e:other", "2"], ["STRLEN", "%"], ["SETRANGE", "%", "2", "x"],
             ["TOUCH", "%"], ["UNLINK", "%"], ["MOVE", "%", "1"], ["KEYS", "e:*"], ["GETDEL", "%"]]
    chosen = [[w.replace("%", "e:%d" % i) for w in look] for i, look in enumerate(r.sample(looks, 12))]
    for peer in (a, b):
        peer.c.pipe([["SELECT", "0"]] + [["SET", "e:%d" % i, "12", "PX", "1"] for i in range(12)])
    time.sleep(0.004)  # the deadlines pass
    ours, theirs = (p.exchange(b"".join(enc(*c) for c in chosen), len(chosen)) for p in (a, b))
    for peer in (a, b):
        peer.c.pipe([["DEL", "e:%d" % i] for i in range(12)] + [["DEL", "e:other"]])
    return [d for d in map(differ, chosen, ours, theirs) if d]


class Fuzz:
    """One run: batches, and checks between them; a difference empties both servers and the run goes on."""

    def __init__(self, args, a, b):
        templates = sum((area.TEMPLATES for area in AREAS), diff_commands.FOUNDATION)
        without = args.without.split(",")
        templates = [(weight, text) for weight, text in templates if text.split(" ")[0] not in without]
        self.args, self.a, self.b = args, a, b
        self.generator = diff_commands.Generator(args.seed, templates)
        self.r = random.Random(args.seed + 1)
        self.commands = self.errors = self.checks = self.transactions = 0
        self.queue = []
        self.failures = []
        self.seen = set()

    def run(self):
        next_check = 0
        while self.commands < self.args.n and len(self.failures) < MAX_FAILURES:
            self.batch()
            if self.commands >= next_check:
                next_check = self.commands + self.args.check_every
                self.check()

    def batch(self):
        """A batch of random length; returns at the first difference."""
        commands = self.generator.batch(self.r.choice([1, 8, 50, self.args.batch]), parts_ways)
        data = b"".join(enc(*c) for c in commands)
        ours, theirs = self.a.exchange(data, len(commands)), self.b.exchange(data, len(commands))
        self.commands += len(commands)
        self.errors += sum(1 for y in theirs if y[:1] == b"-")
        executed = [e for c, x, y in zip(commands, ours, theirs) for e in self.executed(c, x, y)]
        for i, (c, x, y) in enumerate(executed):
            difference = differ(c, x, y) or self.follow_up(c, x, y)
            if difference:
                if self.args.verbose:
                    print("   before:", shown([c for c, _, _ in executed[max(0, i - 12):i]]))
                self.failures += [difference] if self.is_new(c, x, y) else []
                self.start_over()
                return

    def follow_up(self, command, ours, theirs):
        executed = ours != b"+QUEUED\r\n"
        return follow_up(command, ours, theirs, self.a, self.b) if executed and parts_ways(command) else None

    def executed(self, command, ours, theirs):
        """The commands that two replies to one command are about: EXEC's are about all that have been queued."""
        name, queue = command[0].upper(), self.queue
        if ours == b"+QUEUED\r\n":
            queue.append(command)
        elif name == "MULTI" and ours[:1] == b"+":
            self.queue = []
        elif name == "EXEC" and ours[:1] == theirs[:1] == b"*" and not is_null(ours) and not is_null(theirs):
            self.transactions += 1
            return list(zip(queue, items(ours), items(theirs)))
        return [(command, ours, theirs)]

    def is_new(self, command, ours, theirs):
        """One fault shows in many places: each pair of replies to a command is told once."""
        key = (command[0].upper(), ours[:80], theirs[:80])
        repeated = key in self.seen
        self.seen.add(key)
        return not repeated

    def check(self):
        self.checks += 1
        for peer in (self.a, self.b):
            peer.value("DISCARD")
            peer.value("HELLO", 2)
        self.fail(state_differences(self.a, self.b)[:2] or scan_differences(self.a, self.b, self.r) or short_deadlines(self.a, self.b, self.r))
        database, protocol = self.r.randrange(DATABASES), self.r.choice([2, 3])
        for peer in (self.a, self.b):
            peer.value("SELECT", database)
            peer.value("HELLO", protocol)

    def fail(self, differences):
        self.failures += differences
        if differences:
            self.start_over()

    def start_over(self):
        for peer in (self.a, self.b):
            peer.value("RESET")
            peer.value("FLUSHALL")


def main():
    ap = base_args(__doc__, need_server=True)
    ap.add_argument("--ref", required=True, help="command line of the reference server")
    ap.add_argument("--n", type=int, default=20000, help="commands")
    ap.add_argument("--batch", type=int, default=150, help="longest pipeline")
    ap.add_argument("--check-every", type=int, default=2000, help="commands between two comparisons of all data")
    ap.add_argument("--without", default="", help="commands to leave out, comma-separated")
    args = ap.parse_args()
    began = time.time()
    peers, fuzz, failures = [], None, []
    try:
        peers = [Peer(args.server, args.opts)]
        peers.append(Peer(args.ref, "--save ''"))
        fuzz = Fuzz(args, *peers)
        fuzz.run()
        failures = fuzz.failures
    except (Closed, Timeout, OSError, RespError, RuntimeError) as e:
        failures = (fuzz.failures if fuzz else []) + ["%s: %s; alive: %s" % (type(e).__name__, e, [p.server.alive() for p in peers])]
    finally:
        for peer in peers:
            peer.server.cleanup()
    figures = {"commands": fuzz.commands, "error_replies": fuzz.errors, "transactions": fuzz.transactions, "state_checks": fuzz.checks} if fuzz else {}
    finish("diff_fuzz", failures, {**figures, "secs": time.time() - began, "seed": args.seed})


if __name__ == "__main__":
    main()
