#!/usr/bin/env python3
"""RESP abuse: named malformed requests with the exact behaviour expected (abuse_cases.py), then seeded random fuzz.

After every case the server must be alive, must answer PING on a control connection within --ping-ms, and its
resident memory must stay within --rss-mb of the start.

  resp_abuse.py --server 'target/fast/ostraka --port {port} --dir {dir}' --without multi,lua,hll
  resp_abuse.py --server 'redis-server --port {port} --dir {dir}' --without strict

--without leaves out the cases of features that the server does not have: strict (CRLF after a bulk is checked,
which Redis 7 does not do), multi, lua, hll.
"""
import random
import time

import abuse_cases
import abuse_lua  # noqa: F401 (registers its cases)
from tlib import Closed, RespError, Timeout, base_args, enc, finish, rss_kb, server_of

WORDS = """GET SET DEL MGET MSET MSETNX INCR INCRBYFLOAT APPEND GETRANGE SETRANGE GETEX GETDEL EXPIRE PEXPIREAT TTL PERSIST TYPE OBJECT COPY RENAME MOVE SWAPDB LCS SCAN KEYS RANDOMKEY
    PING ECHO HELLO AUTH SELECT RESET CLIENT COMMAND CONFIG INFO MEMORY SLOWLOG LATENCY DBSIZE TIME
    HSET HGETALL HDEL LPUSH RPUSH LPOP LRANGE LMOVE SADD SMEMBERS SINTER ZADD ZRANGE ZINCRBY XADD XRANGE XREAD XGROUP DUMP RESTORE SORT EVAL MULTI EXEC DISCARD WATCH SUBSCRIBE PUBLISH
    BITFIELD BITOP PFADD PFCOUNT GEOADD GEOSEARCH FUNCTION FCALL ACL""".split()
ATOMS = ["a", "b", "k1", "k2", "", "0", "1", "-1", "100", "9223372036854775807", "-9223372036854775808", "1.5", "nan", "inf", "(1", "[a", "-", "+", "*", "$", ">", "COUNT", "LIMIT", "STORE", "BY",
         "WITHSCORES", "STREAMS", "LIST", "SETNAME", "DOCTOR", "WHOAMI", "x" * 100, "\x00", "\r\n", "{a}", "{a", "}{", "%s%n", "../../etc/passwd", "return 1", "return redis.call('get',KEYS[1])",
         "u8", "i64", "#0", "MATCH", "IDX", "NX", "XX", "GT", "CREATE", "MKSTREAM", "2", "3", "EX", "PX", "GET", "HELP", "DOCS", "GETKEYS", "USAGE", "STATS", "ENCODING", "everything"]
NOISE = [b"\r\n", b"*", b"$", b"$-1\r\n", b"*-1\r\n", b"\x00", b'"', b"\r", b"\n", b"$999\r\n", b"*9\r\n", b":"]


class Harness:
    """The server under test, a control connection to it, and figures."""

    def __init__(self, args):
        self.args, self.figures = args, {}
        self.srv = server_of(args)
        self.ctl = self.conn(10)
        self.pid = self.srv.pid()
        self.slowest_ping_ms = 0.0

    def conn(self, timeout=5):
        return self.srv.conn(timeout)

    def rss(self):
        return rss_kb(self.pid) if self.pid else None

    def ping(self):
        began = time.time()
        try:
            r = self.ctl.cmd("PING")
        except (Closed, Timeout):
            return False
        self.slowest_ping_ms = max(self.slowest_ping_ms, (time.time() - began) * 1000)
        return r == "PONG"

    def recovers(self):
        """A PONG, on a new control connection if the old one is gone."""
        if self.ping():
            return True
        try:
            self.ctl = self.conn(10)
        except Closed:
            return False
        return self.ping()

    def never_exists(self, key):
        """None if the key stays absent while the server takes notice of a client that left."""
        time.sleep(0.1)
        return "the command ran" if self.ctl.ok("EXISTS", key) else None


def run_cases(h, without):
    """-> (how many ran, failures)"""
    ran, failures = 0, []
    for c in abuse_cases.CASES:
        if c.needs in without or (c.own_server and not h.args.server) or (h.args.only and h.args.only not in c.name):
            continue
        began = time.time()
        try:
            fault = c.run(h)
        except (Closed, Timeout, OSError, RespError) as e:
            fault = "%s: %s" % (type(e).__name__, e)
        ran += 1
        if not h.srv.alive():
            return ran, failures + ["%s: SERVER DIED rc=%s %s" % (c.name, h.srv.p.returncode, h.srv.tail(300))]
        if not h.ping():
            fault = (fault or "") + " [control connection gets no PONG]"
            if not h.recovers():
                return ran, failures + [c.name + ": cannot connect any more"]
        if fault:
            failures.append("%s: %s" % (c.name, fault))
        if h.args.verbose:
            print("%-75s %s %.2fs" % (c.name, "FAIL " + fault if fault else "ok", time.time() - began))
    return ran, failures


def random_input(r):
    """Commands, often with their bytes damaged."""
    if r.random() < 0.08:
        return bytes(r.getrandbits(8) for _ in range(r.randint(1, 400)))
    b = bytearray()
    for _ in range(r.randint(1, 6)):
        b += enc(r.choice(WORDS), *[r.choice(ATOMS) for _ in range(r.randint(0, 6))])
    if r.random() >= 0.35:
        for _ in range(r.randint(1, 5)):
            damage(r, b)
    return bytes(b)


def damage(r, b):
    if not b:
        return
    i = r.randrange(len(b))
    kind = r.randrange(6)
    if kind == 0:
        b[i] = r.getrandbits(8)
    elif kind == 1:
        del b[i:i + r.randint(1, 20)]
    elif kind == 2:
        b[i:i] = r.choice(NOISE)
    elif kind == 3:
        b[i:i] = b[max(0, i - 30):i]
    elif kind == 4:
        del b[i:]
    else:
        j = b.find(b"$", i)
        if j >= 0:
            b[j + 1:j + 1] = b"%d" % r.choice([1, 9, 99, -1])


def fuzz(h):
    """-> (inputs sent, bytes sent, failures)"""
    r, sent, n = random.Random(h.args.seed), 0, 0
    while n < h.args.fuzz:
        raw = random_input(r)
        try:
            c = h.conn(2)
            c.send(raw)
            c.drain(0.004, 65536)
            (c.rst if r.random() < 0.5 else c.close)()
        except (Closed, Timeout):
            pass
        sent += len(raw)
        n += 1
        if not h.srv.alive():
            return n, sent, ["fuzz: SERVER DIED at input %d: %s" % (n, h.srv.tail(400))]
        if n % 100 == 0 and not h.recovers():
            return n, sent, ["fuzz: no PONG after input %d" % n]
    return n, sent, []


def main():
    ap = base_args(__doc__)
    ap.add_argument("--fuzz", type=int, default=2000, help="random inputs")
    ap.add_argument("--ping-ms", type=float, default=1000)
    ap.add_argument("--rss-mb", type=int, default=256)
    ap.add_argument("--only", help="substring of the names of the cases to run")
    ap.add_argument("--without", default="", help="features the server does not have, of: " + ",".join(abuse_cases.FEATURES))
    args = ap.parse_args()
    without = set(filter(None, args.without.split(",")))
    if without - set(abuse_cases.FEATURES):
        ap.error("--without: unknown " + ",".join(without - set(abuse_cases.FEATURES)))
    h = Harness(args)
    try:
        before = h.rss()
        ran, failures = run_cases(h, without)
        figures = {"cases": "%d/%d" % (ran - len(failures), ran)}
        if h.srv.alive():
            inputs, sent, faults = fuzz(h)
            failures += faults
            figures.update(fuzz_inputs=inputs, fuzz_bytes=sent)
        after = h.rss()
        if before and after and after - before > args.rss_mb * 1024:
            failures.append("RSS grew from %d to %d kB" % (before, after))
        if h.slowest_ping_ms > args.ping_ms:
            failures.append("slowest control PING %.0f ms" % h.slowest_ping_ms)
    finally:
        h.srv.cleanup()
    figures.update(h.figures, max_ping_ms=h.slowest_ping_ms, rss_kb="%s->%s" % (before, after), seed=args.seed)
    finish("resp_abuse", failures, figures)


if __name__ == "__main__":
    main()
