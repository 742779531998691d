#!/usr/bin/env python3
"""Differential fuzz: the same seeded stream of commands to the server under test and to a reference, replies
compared byte by byte (error texts entire, RESP2 and RESP3 in turn), and every so often all the data and whole
SCAN iterations. Keys carry no hash tag, so a server with several shards is driven across them.

What may differ is listed below in ALLOWED, each with its reason; replies that depend on the moment or on the order
of a hash table are compared by the rules in RULES.

  diff_fuzz.py --server 'target/fast/ostraka --port {port} --dir {dir} --shards 4' --ref 'valkey-server --port {port}' --n 100000

--all-types adds the commands of diff_other_types.py, for servers that have every type, MULTI and scripts.
"""
import random
import re
import select
import time

import diff_commands
import diff_lists
import diff_other_types
import diff_zset
from tlib import Closed, RespError, Server, Timeout, base_args, enc, finish

DATABASES = 4
MAX_BATCH_BYTES = 256 * 1024
TTL_SLACK_S = 1
TTL_SLACK_MS = 2000
MAX_FAILURES = 8

# (command's first words, pattern of our reply, pattern of the reference's reply, reason)
ALLOWED = [
    ("SCAN ", rb"\*2\r\n.*|-ERR syntax error\r\n", rb"-ERR invalid cursor\r\n", "Valkey refuses an empty cursor, Redis reads it as 0"),
    ("SCAN ", rb"\*2\r\n.*", rb"-ERR unknown type name .*\r\n", "Valkey refuses an unknown type, Redis finds no key of it"),
    ("SCAN ", rb"-ERR invalid cursor\r\n", rb"\*2\r\n.*", "Redis wraps a negative cursor around; Valkey and we refuse it"),
    ("SORT", rb"\*.*", rb"-ERR One or more scores can't be converted into double\r\n", "Valkey refuses an empty text as a number, Redis and we sort it as 0"),
    ("CLIENT ID", rb":\d+\r\n", rb":\d+\r\n", "counts the connections so far"),
]


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


def reply_end(buf, at):
    """Where the reply that starts at `at` ends, or None if it is not complete."""
    open_items = 1
    while open_items:
        eol = buf.find(b"\r\n", at)
        if eol < 0:
            return None
        kind = buf[at]
        after = eol + 2
        if kind in b"$=!":
            length = int(buf[at + 1:eol])
            after += length + 2 if length >= 0 else 0
            if after > len(buf):
                return None
        elif kind in b"*~>%":
            open_items += max(0, int(buf[at + 1:eol])) * (2 if kind == ord("%") else 1)
        open_items -= 1
        at = after
    return at


def integer(raw):
    return int(raw[1:-2]) if raw[:1] == b":" else None


def within(slack):
    """Two live deadlines that differ by no more than the clocks were read apart."""
    def same(ours, theirs):
        a, b = integer(ours), integer(theirs)
        return a is not None and b is not None and a >= 0 and b >= 0 and abs(a - b) <= slack
    return same


def same_elements(ours, theirs):
    return ours[:1] == theirs[:1] and sorted(ours.split(b"\r\n")) == sorted(theirs.split(b"\r\n"))


def same_sample(ours, theirs):
    """ZRANDMEMBER: all elements if more are asked for than there are, else any one."""
    return same_elements(ours, theirs) or ours[:1] == theirs[:1] == b"$" and not is_null(ours) and not is_null(theirs)


def both_keys(ours, theirs):
    """RANDOMKEY: a key of ours and a key of theirs; that the key exists is checked apart."""
    return not is_null(ours) and not is_null(theirs) and ours[:1] == b"$" and theirs[:1] == b"$"


def both_cursors(ours, theirs):
    """One SCAN call gives what its server likes; whole iterations are compared apart."""
    return ours.startswith(b"*2\r\n") and theirs.startswith(b"*2\r\n")


def same_shape(ours, theirs):
    """As many random members."""
    return ours[:1] == theirs[:1] and ours.count(b"\r\n") == theirs.count(b"\r\n") and ours[:1] != b"-"


def same_page(ours, theirs):
    """A whole collection in one page, in the order of its server."""
    return ours[:12] == theirs[:12] == b"*2\r\n$1\r\n0\r\n*" and same_elements(ours[11:], theirs[11:])


def both_greetings(ours, theirs):
    """HELLO names the server, its version and the connection's id; the rest of its map is the same."""
    own = re.compile(rb"(server|version|id)\r\n(\$\d+\r\n.*?|:\d+)\r\n")
    return ours[:1] in b"*%" and own.sub(b"", ours) == own.sub(b"", theirs)


def is_null(raw):
    return raw in (b"$-1\r\n", b"_\r\n")


RULES = {
    "TTL": within(TTL_SLACK_S), "EXPIRETIME": within(TTL_SLACK_S), "PTTL": within(TTL_SLACK_MS), "PEXPIRETIME": within(TTL_SLACK_MS),
    "KEYS": same_elements, "SCAN": both_cursors, "HELLO": both_greetings, "RANDOMKEY": both_keys,
    "SMEMBERS": same_elements, "SINTER": same_elements, "SUNION": same_elements, "SDIFF": same_elements,
    "SRANDMEMBER": same_shape, "SSCAN": same_page,
    "ZRANDMEMBER": same_sample, "ZSCAN": same_elements,
    "HKEYS": same_elements, "HVALS": same_elements, "HGETALL": same_elements,
}


def differ(command, ours, theirs):
    """Why two replies to one command are not the same, or None."""
    if ours == theirs:
        return None
    rule = RULES.get(command[0].upper())
    if rule and rule(ours, theirs):
        return None
    line = " ".join(command[:3]).upper()
    for words, mine, other, _reason in ALLOWED:
        if line.startswith(words) and re.fullmatch(mine, ours, re.S) and re.fullmatch(other, theirs, re.S):
            return None
    return "%s -> %s, reference %s" % (shown(command), shown(ours), shown(theirs))


def shown(x):
    text = repr(x)
    return text if len(text) < 300 else text[:200] + "..." + text[-80:]


def key_state(peer):
    """Every key of every database: type, encoding, value, deadline in ms."""
    state = {}
    for db in range(DATABASES):
        peer.value("SELECT", db)
        keys = sorted(peer.value("KEYS", "*"))
        commands = [c for k in keys for c in (("TYPE", k), ("OBJECT", "ENCODING", k), ("PEXPIRETIME", k), ("GET", k))]
        replies = peer.c.pipe(commands) if commands else []
        for i, k in enumerate(keys):
            kind, encoding, deadline, content = replies[4 * i:4 * i + 4]
            state[db, k] = (kind, encoding, deadline, content if kind == "string" else diff_other_types.content(peer.c, kind, k))
    return state


def state_differences(a, b):
    ours, theirs = key_state(a), key_state(b)
    out = []
    for key in sorted(set(ours) | set(theirs)):
        x, y = ours.get(key), theirs.get(key)
        same = x and y and repr((x[:2], x[3])) == repr((y[:2], y[3])) and abs(x[2] - y[2]) <= TTL_SLACK_MS
        if not same:
            out.append("data differ: key %r is %s, reference %s" % (key, shown(x), shown(y)))
    return out


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
        templates = diff_commands.FOUNDATION + diff_lists.TEMPLATES + (diff_other_types.TEMPLATES if args.all_types else [])
        templates = diff_commands.FOUNDATION + diff_zset.TEMPLATES + (diff_other_types.TEMPLATES if args.all_types else [])
        without = args.without.split(",")
        templates = [(weight, text) for weight, text in templates if text.split(" ")[0] not in without]
        self.args, self.a, self.b = args, a, b
        self.generator = diff_commands.Generator(args.seed, templates)
        self.r = random.Random(args.seed + 1)
        self.commands = self.errors = self.checks = 0
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
        commands, size = [], 0
        for c in self.generator.batch(self.r.choice([1, 8, 50, self.args.batch])):
            commands.append(c)
            size += sum(map(len, c))
            if size > MAX_BATCH_BYTES:
                break
        data = b"".join(enc(*c) for c in commands)
        ours, theirs = self.a.exchange(data, len(commands)), self.b.exchange(data, len(commands))
        self.commands += len(commands)
        self.errors += sum(1 for y in theirs if y[:1] == b"-")
        for i, (c, x, y) in enumerate(zip(commands, ours, theirs)):
            difference = differ(c, x, y)
            if difference:
                if self.args.verbose:
                    print("   before:", shown(commands[max(0, i - 12):i]))
                self.failures += [difference] if self.is_new(c, x, y) else []
                self.start_over()
                return

    def is_new(self, command, ours, theirs):
        """One fault shows in many places: each pair of replies to a command is told once."""
        key = (command[0].upper(), ours[:80], theirs[:80])
        repeated = key in self.seen
        self.seen.add(key)
        return not repeated

    def check(self):
        self.checks += 1
        for peer in (self.a, self.b):
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
            peer.value("FLUSHALL")


def main():
    ap = base_args(__doc__, need_server=True)
    ap.add_argument("--ref", required=True, help="command line of the reference server")
    ap.add_argument("--n", type=int, default=20000, help="commands")
    ap.add_argument("--batch", type=int, default=150, help="longest pipeline")
    ap.add_argument("--check-every", type=int, default=2000, help="commands between two comparisons of all data")
    ap.add_argument("--without", default="", help="commands to leave out, comma-separated")
    ap.add_argument("--all-types", action="store_true", help="the other types, MULTI and scripts too")
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
    figures = {"commands": fuzz.commands, "error_replies": fuzz.errors, "state_checks": fuzz.checks} if fuzz else {}
    finish("diff_fuzz", failures, {**figures, "secs": time.time() - began, "seed": args.seed})


if __name__ == "__main__":
    main()
