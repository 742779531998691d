"""Malformed and hostile requests with the exact behaviour expected: the cases of resp_abuse.py.

A case is a function of the harness that gives None, or what was wrong. `needs` names a feature the server must have
for the case to mean anything; resp_abuse.py --without leaves such cases out.
"""
import itertools
import random
import socket
import threading
import time

from tlib import Closed, RespError, Server, Timeout, enc, info, rss_kb

PROTOCOL_ERROR = b"Protocol error"
FEATURES = ("strict", "multi", "lua", "hll")
CASES = []


class Case:
    def __init__(self, name, run, needs, own_server):
        self.name, self.run, self.needs, self.own_server = name, run, needs, own_server


def case(name, needs=None, own_server=False):
    """own_server: the case starts a server of its own, so it needs --server."""
    def register(f):
        CASES.append(Case(name, f, needs, own_server))
        return f
    return register


def expect(h, raw, want=None, closed=None, secs=0.25):
    """Send raw bytes; `want` must occur in the answer, and the peer must close or stay as said."""
    c = h.conn()
    try:
        try:
            c.send(raw)
        except Closed:
            pass
        out, was_closed = c.drain(secs)
    finally:
        c.close()
    if want is not None and want.lower() not in out.lower():
        return "wanted %r, got %r (closed=%s)" % (want, out[:120], was_closed)
    if closed is not None and was_closed != closed:
        return "wanted closed=%s, got closed=%s, answer %r" % (closed, was_closed, out[:120])
    return None


# name, bytes, wanted substring, must the server close?
MALFORMED = [
    ("multibulk count 3e9", b"*3000000000\r\n", PROTOCOL_ERROR, True),
    ("multibulk count 2^63", b"*9223372036854775808\r\n", PROTOCOL_ERROR, True),
    ("multibulk count junk", b"*12a\r\n", PROTOCOL_ERROR, True),
    ("multibulk count empty", b"*\r\n", PROTOCOL_ERROR, None),
    ("bulk length 2e9", b"*1\r\n$2000000000\r\n", PROTOCOL_ERROR, True),
    ("bulk length -10", b"*1\r\n$-10\r\n", PROTOCOL_ERROR, True),
    ("bulk length -1", b"*1\r\n$-1\r\n", PROTOCOL_ERROR, True),
    ("bulk length junk", b"*1\r\n$blabla\r\n", PROTOCOL_ERROR, True),
    ("bulk length 2^64", b"*1\r\n$18446744073709551616\r\n", PROTOCOL_ERROR, True),
    ("missing $", b"*1\r\nfoo\r\n", PROTOCOL_ERROR, True),
    ("nested array as argument", b"*1\r\n*1\r\n$4\r\nPING\r\n", PROTOCOL_ERROR, True),
    ("100k nested arrays", b"*1\r\n" * 100000, PROTOCOL_ERROR, True),
    ("inline > 64 KiB without newline", b"A" * 70000, PROTOCOL_ERROR, True),
    ("multibulk header > 64 KiB", b"*" + b"1" * 70000, PROTOCOL_ERROR, True),
    ("bulk header > 64 KiB", b"*1\r\n$" + b"1" * 70000, PROTOCOL_ERROR, True),
    ("NUL then 64 KiB", b"\x00" + b"A" * 70000, PROTOCOL_ERROR, True),
    ("*NUL then 64 KiB", b"*\x00" + b"A" * 70000, PROTOCOL_ERROR, True),
    ("unbalanced quotes", b"set foo \"b\"a\"r\r\n", PROTOCOL_ERROR, True),
    ("empty line then PING", b"\r\n*1\r\n$4\r\nPING\r\n", b"+PONG", False),
    ("*0 then PING", b"*0\r\n*1\r\n$4\r\nPING\r\n", b"+PONG", False),
    ("*-10 then PING", b"*-10\r\n*1\r\n$4\r\nPING\r\n", b"+PONG", False),
    ("inline PING LF only", b"PING\n", b"+PONG", False),
    ("valid prefix answered before the fault", b"*1\r\n$4\r\nPING\r\n*1\r\n$-9\r\n", b"+PONG", True),
    ("unknown command is an error, stays open", b"*1\r\n$5\r\nBOGUS\r\n", b"-ERR unknown command", False),
    ("RESP3 map as a request", b"%1\r\n$1\r\na\r\n$1\r\nb\r\n", b"-ERR", None),
    ("RESP3 null as a request", b"_\r\n", b"-ERR", False),
    ("TLS client hello on the plain port", bytes.fromhex("16030100f1010000ed0303") + b"\xaa" * 230 + b"\r\n", None, None),
    ("SSH banner", b"SSH-2.0-OpenSSH_9.2\r\n", b"-ERR", None),
    ("memcached get", b"get foo\r\nset foo 0 0 3\r\nbar\r\n", None, None),
    ("256 KiB of 0xff", b"\xff" * 262144, PROTOCOL_ERROR, True),
    ("256 KiB of CRLF", b"\r\n" * 131072 + b"PING\r\n", b"+PONG", False),
]
# Redis 7 takes these: it skips two bytes after a bulk and one after a header line, whatever they are.
STRICT = [
    ("bulk not followed by CRLF", b"*1\r\n$4\r\nPINGxx", PROTOCOL_ERROR, True),
    ("bulk one byte too long", b"*1\r\n$3\r\nPING\r\n", PROTOCOL_ERROR, True),
    ("count line without CR", b"*1x\n$4\r\nPING\r\n", PROTOCOL_ERROR, True),
]
for _needs, _rows in ((None, MALFORMED), ("strict", STRICT)):
    for _name, _raw, _want, _closed in _rows:
        CASES.append(Case(_name, lambda h, raw=_raw, want=_want, closed=_closed: expect(h, raw, want, closed), _needs, False))


def http_smuggling(h, head):
    h.ctl.ok("DEL", "smuggled")
    fault = expect(h, head + b"\r\n\r\n" + b"SET smuggled 1\r\n" * 3, None, True)
    return fault or ("a command in the HTTP body was executed" if h.ctl.ok("EXISTS", "smuggled") else None)


@case("HTTP POST must not run the commands in its body")
def _(h):
    return http_smuggling(h, b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 48")


@case("Host: header after an innocent verb must close too")
def _(h):
    return http_smuggling(h, b"PUT /x HTTP/1.1\r\nHost: x")


@case("every byte in its own segment")
def _(h):
    c = h.conn()
    raw = enc("SET", "bytewise", "x\r\ny") + enc("GET", "bytewise") + b"ping\r\n"
    for i in range(len(raw)):
        c.send(raw[i:i + 1])
    r = [c.read(), c.read(), c.read()]
    c.close()
    return None if r == ["OK", b"x\r\ny", "PONG"] else "got %r" % r


@case("pipeline of 100k commands in one burst, all answered in order")
def _(h):
    c = h.conn(30)
    count = 100000
    raw = b"".join(enc("ECHO", i) for i in range(count))
    sender = threading.Thread(target=lambda: c.send(raw))
    sender.start()
    for i in range(count):
        r = c.read()
        if r != b"%d" % i:
            return "reply %d was %r" % (i, r)
    sender.join()
    c.close()
    return None


@case("MSET with 200k arguments")
def _(h):
    c = h.conn(30)
    r = c.cmd("MSET", *itertools.chain.from_iterable(("mset:%d" % (i % 50), "v") for i in range(100000)))
    c.close()
    return None if r == "OK" else "got %r" % r


@case("command after QUIT is not executed")
def _(h):
    h.ctl.ok("DEL", "afterquit")
    c = h.conn()
    c.send(enc("QUIT") + enc("SET", "afterquit", "1"))
    c.drain(0.3)
    c.close()
    return "SET after QUIT was executed" if h.ctl.ok("EXISTS", "afterquit") else None


@case("half-closed socket still gets its replies")
def _(h):
    c = h.conn()
    c.send(enc("SET", "half", "1") + enc("GET", "half"))
    c.s.shutdown(socket.SHUT_WR)
    out, closed = c.drain(2)
    c.close()
    return None if out == b"+OK\r\n$1\r\n1\r\n" and closed else "got %r closed=%s" % (out, closed)


@case("client gone in the middle of a bulk: not executed")
def _(h):
    h.ctl.ok("DEL", "midbulk")
    c = h.conn()
    c.send(b"*3\r\n$3\r\nSET\r\n$7\r\nmidbulk\r\n$100\r\nabc")
    c.rst()
    return h.never_exists("midbulk")


@case("client gone in the middle of MULTI, or of the bytes of EXEC: nothing executed", needs="multi")
def _(h):
    h.ctl.ok("DEL", "midmulti")
    for tail in (b"", b"*1\r\n$4\r\nEXE"):
        for leave in ("close", "rst"):
            c = h.conn()
            c.ok("MULTI")
            c.ok("SET", "midmulti", "1")
            c.send(tail)
            getattr(c, leave)()
    return h.never_exists("midmulti")


@case("a bad command poisons MULTI (EXECABORT, nothing applied)", needs="multi")
def _(h):
    c = h.conn()
    c.cmd("DEL", "poison")
    c.cmd("MULTI")
    c.cmd("NOSUCHCMD")
    c.cmd("SET", "poison", "1")
    r = c.cmd("EXEC")
    exists = c.cmd("EXISTS", "poison")
    c.close()
    return None if isinstance(r, RespError) and "EXECABORT" in str(r) and exists == 0 else "%r exists=%r" % (r, exists)


SPLITTER_BYTES = [b"\r", b"\n", b"\t", b" ", b"\x0b", b"\x0c", b"\x00", b'"', b"'", b"\\", b"x", b"a"]
# A lone CR with a quote and its kin, each alone: an unauthenticated hang in one published server.
SPLITTER_LINES = (b'\r"\r\n', b'"\x0b\r\n', b"'\x0c'\r\n", b'\x0b"\r\n', b'set \r"x\r\n')


@case("inline lines from the 12 bytes a splitter branches on, all up to length 3")
def _(h):
    for length in (1, 2, 3):
        lines = itertools.product(SPLITTER_BYTES, repeat=length)
        for batch in iter(lambda: list(itertools.islice(lines, 60)), []):
            c = h.conn(3)
            try:
                for line in batch:
                    c.send(b"".join(line) + b"\r\n")
                c.send(b"PING\r\n")
                c.drain(0.01)
            except (Closed, Timeout):
                pass
            c.close()
            if not h.ping():
                return "no PING after %r" % batch[:3]
    for raw in SPLITTER_LINES:
        fault = expect(h, raw, secs=0.1)
        if fault or not h.ping():
            return "%r: %s" % (raw, fault)
    return None


def net_input(h):
    """Bytes that the server has read, this request for their number included."""
    return int(info(h.ctl, "stats")["total_net_input_bytes"])


def announced_costs_nothing(h, raw, limit_kb):
    before, was_read = h.rss(), net_input(h)
    clients = [h.conn() for _ in range(100)]
    for c in clients:
        c.send(raw)
    question = len(enc("INFO", "stats"))
    end, wanted = time.time() + 10, was_read + len(clients) * len(raw) + question
    while net_input(h) < wanted:
        if time.time() > end:
            return "the server does not read what it is sent"
        wanted += question
    growth = (h.rss() or 0) - (before or 0)
    for c in clients:
        c.rst()
    return "RSS grew by %d kB" % growth if before and growth > limit_kb else None


@case("announced 512 MB bulks on 100 connections cost no memory")
def _(h):
    return announced_costs_nothing(h, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n" + b"x" * 1000, 64 * 1024)


@case("announced 1M-argument arrays on 100 connections cost no memory")
def _(h):
    return announced_costs_nothing(h, b"*1048576\r\n$3\r\nDEL\r\n", 256 * 1024)


GLOBS = ("a*" * 40 + "b", "a*" * 200 + "b", "?*" * 300 + "[", "[" * 5000, "*" * 100000, "\\" * 9999, "[^" + "a-z" * 5000)


@case("pathological glob patterns answer within a second")
def _(h):
    h.ctl.ok("SET", "a" * 300, "1")
    c = h.conn(10)
    try:
        for p in GLOBS:
            began = time.time()
            for command in (("KEYS", p), ("SCAN", "0", "MATCH", p), ("CONFIG", "GET", p)):
                c.cmd(*command)
            took = time.time() - began
            if took > 1.0:
                return "pattern %r...: %.2f s" % (p[:12], took)
    finally:
        c.close()
        h.ctl.ok("DEL", "a" * 300)
    return None


NUMBERS = ["9223372036854775807", "-9223372036854775808", "9223372036854775808", "-1", "4294967296", "2147483648", "536870912", "nan", "inf", "-inf",
           "1e400", "0x10", "", " 1", "1 ", "18446744073709551615"]
# @ is replaced by each number; a command the server does not have is an error like any other.
NUMBER_PLACES = """SETRANGE n:s @ x|GETRANGE n:s @ @|SUBSTR n:s @ @|INCRBY n:i @|DECRBY n:i @|INCRBYFLOAT n:f @|LCS n:s n:s MINMATCHLEN @ IDX
EXPIRE n:none @|EXPIRE n:t @|PEXPIRE n:t @|EXPIREAT n:t @|PEXPIREAT n:t @|SETEX n:e @ v|PSETEX n:e @ v|SET n:e v EX @|SET n:e v PX @|SET n:e v EXAT @|SET n:e v PXAT @|GETEX n:s EX @|GETEX n:s EXAT @
SCAN @|SCAN 0 COUNT @|OBJECT FREQ @|COPY n:s n:c DB @|SELECT @|MOVE n:none @|SWAPDB @ 0|SLOWLOG GET @|CLIENT KILL ID @|CLIENT LIST ID @|CLIENT PAUSE @x|HELLO @|MEMORY USAGE n:s SAMPLES @
CONFIG SET maxclients @x|LATENCY HISTORY @|COMMAND GETKEYS MSET @|LOLWUT VERSION @x|WAIT @ 1
SETBIT n:s @ 1|GETBIT n:s @|BITCOUNT n:s @ @|BITPOS n:s 1 @ @|BITFIELD n:s GET u8 @|BITFIELD n:s SET i64 @ 1|BITFIELD n:s INCRBY u2 #@ 1
LRANGE n:l @ @|LTRIM n:none @ @|LINDEX n:l @|LSET n:l @ x|LPOS n:l 1 RANK @|LPOS n:l 1 COUNT @|LPOP n:none @|LMPOP @ n:none LEFT|SRANDMEMBER n:set @|SPOP n:none @|SINTERCARD 1 n:set LIMIT @
HRANDFIELD n:h @|HRANDFIELD n:h @ WITHVALUES|HINCRBY n:h f @|HINCRBYFLOAT n:h g @|ZRANDMEMBER n:z @|ZRANDMEMBER n:z @ WITHSCORES|ZRANGE n:z @ @|ZRANGE n:z 0 -1 LIMIT @ @|ZINCRBY n:z @ a
ZRANGEBYSCORE n:z -inf +inf LIMIT @ @|ZPOPMIN n:none @|ZMPOP @ n:z MIN|ZINTERCARD @ n:z LIMIT 1|ZINTERCARD 1 n:z LIMIT @|ZUNIONSTORE n:o @ n:z|GEOSEARCH n:z FROMLONLAT @ @ BYRADIUS @ m
XADD n:x MAXLEN @ * a b|XRANGE n:x - + COUNT @|XREAD COUNT @ STREAMS n:x 0|XTRIM n:none MAXLEN ~ @|XAUTOCLAIM n:x g c 0 0 COUNT @|SORT n:l LIMIT @ @|RESTORE n:r @ x|EVAL return @|PFADD n:hll @|BLPOP n:none @x"""


@case("integer extremes in every counted or offset argument")
def _(h):
    c = h.conn(20)
    made = ("n:s", "n:t", "n:l", "n:h", "n:z", "n:x", "n:set", "n:hll", "n:c")
    c.pipe([("DEL", *made), ("SET", "n:s", "abc"), ("RPUSH", "n:l", *range(10)), ("HSET", "n:h", "f", "1", "g", "2"),
            ("ZADD", "n:z", 1, "a", 2, "b"), ("SADD", "n:set", 1, 2, 3), ("XADD", "n:x", "1-1", "f", "v")])
    sent = 0
    for place in NUMBER_PLACES.replace("\n", "|").split("|"):
        c.ok("SET", "n:t", "abc")
        for number in NUMBERS:
            command = [word.replace("@", number) for word in place.split(" ")]
            try:
                c.cmd(*command)
            except (Closed, Timeout) as e:
                return "%r -> %s" % (command, e)
            sent += 1
        c.cmd("HELLO", 2)
        c.cmd("SELECT", 0)
        # SETRANGE and SETBIT may legally make a 512 MB string: drop it at once.
        c.cmd("DEL", "n:o", "n:e", "n:i", "n:f", "n:c")
        c.ok("SET", "n:s", "abc")
    c.cmd("DEL", *made)
    c.close()
    h.figures["int_probes"] = sent
    return None


def damaged(good, rnd):
    """Variants of a stored HyperLogLog whose bytes lie."""
    yield from (good[:16] + b"\x7f\xff" * 50, good[:16] + b"\xff" * 200, good[:4] + b"\x00" * 12284,
                good[:4] + b"\x01" + b"\x00" * 11, good[:16] + b"\x7f\xff" * 100000)
    for _ in range(400):
        b = bytearray(good)
        for _ in range(rnd.randint(1, 6)):
            b[rnd.randrange(4, len(b))] = rnd.randrange(256)
        if rnd.random() < 0.3:
            del b[rnd.randrange(5, len(b)):]
        yield bytes(b)


@case("corrupt HyperLogLog strings: error or answer, never a crash", needs="hll")
def _(h):
    c = h.conn(10)
    c.cmd("DEL", "hll")
    c.ok("PFADD", "hll", *range(200))
    for blob in damaged(c.ok("GET", "hll"), random.Random(h.args.seed)):
        try:
            c.pipe([("SET", "hll2", blob), ("PFCOUNT", "hll2"), ("PFADD", "hll2", "x", "y"), ("PFMERGE", "hll3", "hll2", "hll"), ("PFCOUNT", "hll2", "hll")])
        except (Closed, Timeout) as e:
            return "after blob %s: %s" % (blob[:24].hex(), e)
    c.cmd("DEL", "hll", "hll2", "hll3")
    c.close()
    return None


def refused_headers(server):
    """Announced sizes before AUTH -> how many of 50 were not refused with an error and a close."""
    clients = []
    for i in range(50):
        c = server.conn()
        c.send(b"*1000000\r\n" if i % 2 else b"*2\r\n$4\r\nAUTH\r\n$400000000\r\n")
        clients.append(c)
    bad = 0
    for c in clients:
        out, closed = c.drain(1)
        bad += not (PROTOCOL_ERROR in out and closed)
        c.close()
    return bad


def unread_output(server):
    """Commands whose replies are never read, before AUTH, for 3 s or 96 MB."""
    c = server.conn(timeout=0.5, rcvbuf=4096)
    sent, end, blob = 0, time.time() + 3, enc("GET", "x") * 4000
    try:
        while time.time() < end and sent < (96 << 20):
            sent += c.s.send(blob)
    except OSError:
        pass  # cut off, or no longer read: both are fine
    c.close()


@case("unauthenticated: no large allocations, no output growth", own_server=True)
def _(h):
    s = Server(h.args.server, h.args.opts + " --requirepass secretpw").start()
    try:
        before = rss_kb(s.p.pid)
        bad = refused_headers(s)
        unread_output(s)
        growth = rss_kb(s.p.pid) - before
        h.figures["noauth_growth_kb"] = growth
        if not s.alive():
            return "server died"
        if growth > 32 * 1024:
            return "RSS grew %d kB for an unauthenticated client" % growth
        if bad:
            return "%d of 50 oversized unauthenticated headers were not refused with an error and a close" % bad
    finally:
        s.cleanup()
    return None
