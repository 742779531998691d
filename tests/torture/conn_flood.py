#!/usr/bin/env python3
"""Connections and slow peers: many idle connections, slow readers, slowloris, a storm of resets, maxclients, the end
of the descriptors. A well-behaved client pings through all of it; its latency, the server's memory and descriptors
are bounded in every phase.

  conn_flood.py --server 'target/fast/ostraka --port {port} --dir {dir} --maxclients 11000' --conns 10000
"""
import resource
import select
import socket
import struct
import time

from tlib import Closed, RespError, Server, Timeout, base_args, cpu_seconds, enc, finish, info, nfds, pct, raise_nofile, rss_kb, server_of

PING, PONG = b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"
MEGABYTE = 1 << 20
SLOW_REQUESTS = 200
SPARE_DESCRIPTORS = 5
LOW_NOFILE = 300


class Flood:
    """The server, the well-behaved client, what was found."""

    def __init__(self, args):
        self.args, self.failures, self.figures = args, [], {}
        self.srv = server_of(args)
        self.pid = self.srv.pid()
        self.pinger = self.raw()
        self.pinger.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.latencies_ms = []
        self.descriptors = nfds(self.pid) if self.pid else None

    def raw(self, rcvbuf=None):
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        s.settimeout(5)
        s.connect((self.srv.host, self.srv.port))
        return s

    def rss_mb(self):
        return rss_kb(self.pid) / 1024 if self.pid else 0.0

    def fail(self, text):
        self.failures.append(text)

    def ping(self, secs=None, count=None):
        """Ping for a while, or so many times."""
        end, done = time.time() + (secs or 1e9), 0
        while time.time() < end and done != count:
            began = time.perf_counter()
            self.pinger.sendall(PING)
            if receive(self.pinger, len(PONG)) != PONG:
                raise Closed("the well-behaved client lost its connection")
            self.latencies_ms.append((time.perf_counter() - began) * 1000)
            done += 1
            time.sleep(0.0005)

    def phase(self, name, run):
        """Run a phase; its p99 is that of the pings made in it."""
        before = len(self.latencies_ms)
        run(self)
        p99 = pct(self.latencies_ms[before:], .99)
        self.figures[name + "_p99_ms"] = p99
        if p99 > self.args.p99_ms:
            self.fail("%s: p99 of the well-behaved client %.1f ms" % (name, p99))

    def expect_descriptors_back(self, after):
        end = time.time() + 10
        while self.descriptors and nfds(self.pid) > self.descriptors + SPARE_DESCRIPTORS:
            if time.time() > end:
                self.fail("descriptors leak after %s: %d before, %d now" % (after, self.descriptors, nfds(self.pid)))
                return
            time.sleep(0.05)


def receive(s, count):
    """Up to count bytes; fewer only if the peer closed or went silent."""
    out = b""
    try:
        while len(out) < count:
            d = s.recv(count - len(out))
            if not d:
                break
            out += d
    except OSError:
        pass
    return out


def reset(s):
    """Close with a RST instead of a FIN."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def answers(sockets, seconds=30):
    """How many of the sockets received a PONG."""
    poll, by_fd, got = select.epoll(), {s.fileno(): s for s in sockets}, 0
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    end, open_fds = time.time() + seconds, set(by_fd)
    while open_fds and time.time() < end:
        for fd, _ in poll.poll(1):
            got += receive(by_fd[fd], len(PONG)) == PONG
            poll.unregister(fd)
            open_fds.discard(fd)
    poll.close()
    return got


def many_connections(f):
    before, sockets, began = f.rss_mb(), [], time.time()
    try:
        for _ in range(f.args.conns):
            sockets.append(f.raw())
    except OSError as e:
        f.fail("only %d connections: %s" % (len(sockets), e))
    f.figures["conns"], f.figures["connect_s"] = len(sockets), time.time() - began
    for s in sockets:
        s.send(PING)
    got = answers(sockets)
    if got != len(sockets):
        f.fail("%d of %d connections answered" % (got, len(sockets)))
    if f.pid:
        f.figures["kb_per_conn"] = (f.rss_mb() - before) * 1024 / max(1, len(sockets))
        if f.figures["kb_per_conn"] > f.args.kb_per_conn:
            f.fail("%.1f kB per idle connection" % f.figures["kb_per_conn"])
    f.ping(secs=1)
    for tenth in range(5):  # a tenth of them active at once, again and again
        active = sockets[tenth::10]
        for s in active:
            s.send(PING)
        f.ping(count=200)
        if answers(active) != len(active):
            f.fail("a burst of %d connections was not answered" % len(active))
    for s in sockets:
        s.close()
    f.expect_descriptors_back("all were closed")


def cut_off(s):
    """A reader that is slow no longer: True if the replies end early."""
    s.settimeout(2)
    total = 0
    try:
        while total < SLOW_REQUESTS * MEGABYTE:
            d = s.recv(MEGABYTE)
            if not d:
                return True
            total += len(d)
    except socket.timeout:
        return False
    except OSError:
        return True
    return False


def slow_readers(f):
    c = f.srv.conn(10)
    old = c.ok("CONFIG", "GET", "client-output-buffer-limit")[1]
    c.ok("CONFIG", "SET", "client-output-buffer-limit", "normal %dmb %dmb 5" % (f.args.obuf_mb, f.args.obuf_mb // 2))
    c.ok("SET", "big", b"x" * MEGABYTE)
    before, peak = f.rss_mb(), 0.0
    slow = [f.raw(rcvbuf=4096) for _ in range(f.args.slow)]
    for s in slow:
        s.sendall(enc("GET", "big") * SLOW_REQUESTS)
    end = time.time() + 3
    while time.time() < end:
        f.ping(secs=0.05)
        peak = max(peak, f.rss_mb() - before)
    f.figures["slow_peak_mb"] = peak
    bound = f.args.slow * (f.args.obuf_mb + 4) + 64
    if peak > bound:
        f.fail("slow readers: memory grew %.0f MB, bound %d MB" % (peak, bound))
    left = len(slow) - sum(map(cut_off, slow))
    if left:
        f.fail("slow readers over the hard limit still connected: %d" % left)
    c.ok("CONFIG", "SET", "client-output-buffer-limit", old)
    c.ok("DEL", "big")
    for s in slow:
        s.close()


def slowloris(f):
    sockets = [f.raw() for _ in range(f.args.loris)]
    for i in range(len(PING)):
        for s in sockets:
            s.send(PING[i:i + 1])
        f.ping(count=5)
    got = sum(receive(s, len(PONG)) == PONG for s in sockets)
    if got != len(sockets):
        f.fail("slowloris: %d of %d got their answer" % (got, len(sockets)))
    for s in sockets:
        s.close()


def reset_storm(f):
    began = time.time()
    for i in range(f.args.rst):
        s = f.raw()
        s.send(PING * 3 + PING[:5])
        reset(s)
        if i % 50 == 0:
            f.ping(count=1)
    f.figures["rst_per_s"] = f.args.rst / (time.time() - began)
    f.expect_descriptors_back("resets")


def greeting(c):
    """True if a new connection is served, False if it is refused with Redis' text or closed."""
    try:
        r = c.cmd("PING")
    except (Closed, Timeout):
        return False
    if isinstance(r, RespError) and "max number of clients" not in str(r):
        raise Closed("odd refusal: %s" % r)
    return r == "PONG"


def settled_clients(c):
    """How many are connected, once the server has taken notice of those that left in the phases before."""
    counts = []
    while len(counts) < 20 or len(set(counts[-20:])) > 1:
        counts.append(int(info(c, "clients")["connected_clients"]))
        time.sleep(0.01)
    return counts[-1]


def max_clients(f):
    c = f.srv.conn(10)
    old = c.ok("CONFIG", "GET", "maxclients")[1]
    f.ping(count=1)
    connected = settled_clients(c)
    c.ok("CONFIG", "SET", "maxclients", connected + 10)
    clients = [f.srv.conn(3) for _ in range(50)]
    served = sum(map(greeting, clients))
    if served != 10:
        f.fail("maxclients: %d of 50 served, wanted 10" % served)
    f.ping(count=5)
    for x in clients:
        x.close()
    c.ok("CONFIG", "SET", "maxclients", old)


def connect_until_refused(server, count):
    sockets = []
    try:
        for _ in range(count):
            s = socket.create_connection((server.host, server.port), timeout=2)
            sockets.append(s)
    except OSError:
        pass
    return sockets


def descriptors_end(f):
    """A server of its own with few descriptors: it must neither spin nor forget its old connections."""
    if not f.args.server:
        return
    server = Server(f.args.server, f.args.opts, rlimits=[(resource.RLIMIT_NOFILE, LOW_NOFILE)])
    try:
        server.start()
        old = server.conn(5)
        sockets = connect_until_refused(server, 2 * LOW_NOFILE)
        before, seconds = cpu_seconds(server.p.pid), 1.0
        f.ping(secs=seconds)
        busy = (cpu_seconds(server.p.pid) - before) / seconds
        f.figures["fd_exhausted_cpu"] = busy
        if busy > 0.5:
            f.fail("descriptor exhaustion: busy loop, %.2f CPU-s per s" % busy)
        if old.cmd("PING") != "PONG" or old.cmd("SET", "k", "v") != "OK":
            f.fail("descriptor exhaustion: an old connection is not served")
        for s in sockets:
            s.close()
        end = time.time() + 5
        while not greeting(server.conn(5)):
            if time.time() > end:
                f.fail("descriptor exhaustion: no new connection after the storm")
                break
    except (Closed, Timeout, RuntimeError) as e:
        f.fail("descriptor exhaustion: %s" % e)
    finally:
        server.cleanup()


PHASES = {"base": lambda f: f.ping(secs=0.5), "conns": many_connections, "slow": slow_readers, "loris": slowloris,
          "rst": reset_storm, "max": max_clients, "fds": descriptors_end}


def main():
    ap = base_args(__doc__)
    ap.add_argument("--conns", type=int, default=10000)
    ap.add_argument("--slow", type=int, default=20, help="slow readers")
    ap.add_argument("--loris", type=int, default=300, help="connections that send byte by byte")
    ap.add_argument("--rst", type=int, default=3000, help="connections that are reset")
    ap.add_argument("--p99-ms", type=float, default=100, help="bound for the well-behaved client in every phase")
    ap.add_argument("--kb-per-conn", type=float, default=40)
    ap.add_argument("--obuf-mb", type=int, default=16, help="hard output-buffer limit set for the slow readers")
    ap.add_argument("--skip", default="", help="phases to leave out, of: " + ",".join(PHASES))
    args = ap.parse_args()
    args.conns = min(args.conns, raise_nofile() - 200)
    began, f = time.time(), Flood(args)
    try:
        for name, run in PHASES.items():
            if name not in args.skip.split(","):
                f.phase(name, run)
        if not f.srv.alive():
            f.fail("SERVER DIED " + f.srv.tail())
    except (Closed, Timeout, RespError, OSError) as e:
        f.fail("%s %s; server alive=%s %s" % (type(e).__name__, e, f.srv.alive(), f.srv.tail(300)))
    finally:
        f.srv.cleanup()
    finish("conn_flood", f.failures, {**f.figures, "worst_ms": max(f.latencies_ms, default=0.0), "secs": time.time() - began})


if __name__ == "__main__":
    main()
