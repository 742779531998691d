"""What the torture scripts share: a RESP client, servers under test, figures. Python 3.8+, standard library only.

The server under test is either running already (--host, --port) or started from a command line (--server) in which
{port} and {dir} are substituted and the test's own directives stand where {opts} is, or at the end.
Every process that is ended here was started here, by its handle.
"""
import argparse
import os
import resource
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time


class RespError(Exception):
    """An error reply: returned as a value, raised only by Conn.ok."""


class Closed(Exception):
    """The peer closed the connection, or the socket failed."""


class Timeout(Exception):
    """Nothing came within the connection's timeout."""


def enc(*args):
    """A command as a RESP array of bulk strings."""
    out = [b"*%d\r\n" % len(args)]
    for a in args:
        if isinstance(a, str):
            a = a.encode("utf-8", "surrogateescape")
        elif not isinstance(a, (bytes, bytearray)):
            a = str(a).encode()
        out.append(b"$%d\r\n%b\r\n" % (len(a), a))
    return b"".join(out)


class Conn:
    """A small blocking RESP2/RESP3 client with an explicit buffer."""

    def __init__(self, host, port, timeout=5.0, rcvbuf=None):
        self.s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if rcvbuf:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.s.settimeout(timeout)
        try:
            self.s.connect((host, port))
        except OSError as e:
            self.s.close()
            raise Closed("connect: %s" % e)
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.b = bytearray()
        self.timeout = timeout

    def send(self, data):
        try:
            self.s.sendall(data)
        except socket.timeout:
            raise Timeout("send")
        except OSError as e:
            raise Closed("send: %s" % e)

    def _more(self):
        try:
            d = self.s.recv(65536)
        except socket.timeout:
            raise Timeout("recv")
        except OSError as e:
            raise Closed("recv: %s" % e)
        if not d:
            raise Closed("eof")
        self.b += d

    def line(self):
        while True:
            i = self.b.find(b"\r\n")
            if i >= 0:
                r = bytes(self.b[:i])
                del self.b[: i + 2]
                return r
            self._more()

    def exact(self, n):
        while len(self.b) < n:
            self._more()
        r = bytes(self.b[:n])
        del self.b[:n]
        return r

    def _bulk(self, kind, length):
        if length < 0:
            return None
        r = self.exact(length + 2)
        if r[-2:] != b"\r\n":
            raise Closed("bad bulk terminator %r" % r[-2:])
        return RespError(r[:-2].decode("latin1")) if kind == b"!" else r[:-2]

    def _item(self):
        """One element of a reply: (value, None) for a leaf, (kind, count) for an aggregate."""
        line = self.line()
        if not line:
            raise Closed("empty reply line")
        kind, rest = line[:1], line[1:]
        if kind in b"*~>%|":
            n = int(rest)
            return (None, None) if n < 0 else (kind, n * (2 if kind in b"%|" else 1))
        if kind in b"$=!":
            return self._bulk(kind, int(rest)), None
        simple = {b"+": lambda: rest.decode("latin1"), b"-": lambda: RespError(rest.decode("latin1")),
                  b":": lambda: int(rest), b"_": lambda: None, b"#": lambda: rest == b"t",
                  b",": rest.decode, b"(": rest.decode}
        if kind not in simple:
            raise Closed("unknown reply type %r" % line[:60])
        return simple[kind](), None

    def read(self):
        """One reply. Iterative, so a deeply nested reply cannot exhaust our own stack."""
        stack = []  # [kind, remaining, items]
        while True:
            value, count = self._item()
            if count:
                stack.append([value, count, []])
                continue
            if count == 0:
                value = []
            while stack:
                top = stack[-1]
                top[2].append(value)
                top[1] -= 1
                if top[1]:
                    break
                stack.pop()
                value = top[2]
                if top[0] in b"%|":
                    value = list(zip(value[0::2], value[1::2]))
            else:
                return value

    def cmd(self, *args):
        self.send(enc(*args))
        return self.read()

    def ok(self, *args):
        r = self.cmd(*args)
        if isinstance(r, RespError):
            raise r
        return r

    def pipe(self, cmds):
        self.send(b"".join(enc(*c) for c in cmds))
        return [self.read() for _ in cmds]

    def drain(self, secs=0.2, limit=1 << 20):
        """Raw bytes until close, timeout or limit -> (bytes, closed?)."""
        end = time.time() + secs
        out = bytes(self.b)
        self.b = bytearray()
        while len(out) < limit:
            left = end - time.time()
            if left <= 0:
                return out, False
            self.s.settimeout(left)
            try:
                d = self.s.recv(65536)
            except socket.timeout:
                return out, False
            except OSError:
                return out, True
            finally:
                self.s.settimeout(self.timeout)
            if not d:
                return out, True
            out += d
        return out, False

    def rst(self):
        """Close with a RST instead of a FIN."""
        try:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.s.close()

    def close(self):
        try:
            self.s.close()
        except OSError:
            pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Target:
    """A server at an address."""

    host, port, p = "127.0.0.1", None, None

    def conn(self, timeout=5.0, rcvbuf=None):
        return Conn(self.host, self.port, timeout, rcvbuf)

    def pid(self):
        """Its process, so that memory and descriptors can be watched; None if it is not on this machine."""
        if self.p:
            return self.p.pid
        c = self.conn()
        found = int(info(c, "server").get("process_id", 0))
        c.close()
        return found if found and os.path.exists("/proc/%d" % found) else None

    def alive(self):
        return True

    def cleanup(self):
        pass

    def tail(self, n=600):
        return ""


class Server(Target):
    """A server process that this script owns."""

    def __init__(self, template, opts="", rlimits=(), ready_timeout=30):
        self.template, self.opts, self.rlimits, self.ready_timeout = template, opts, rlimits, ready_timeout
        self.dir = tempfile.mkdtemp(prefix="torture-")
        self.logpath = os.path.join(self.dir, "log")
        self.port = free_port()

    def cmdline(self):
        line = self.template if "{opts}" in self.template else self.template + " {opts}"
        for name, value in (("opts", self.opts), ("port", str(self.port)), ("dir", self.dir)):
            line = line.replace("{%s}" % name, value)
        return shlex.split(line)

    def start(self):
        def limit():
            for what, value in self.rlimits:
                resource.setrlimit(what, (value, value))
        os.makedirs(self.dir, exist_ok=True)
        with open(self.logpath, "ab") as log:
            self.p = subprocess.Popen(self.cmdline(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                      preexec_fn=limit if self.rlimits else None)
        self.wait_ready()
        return self

    def wait_ready(self):
        end = time.time() + self.ready_timeout
        last = None
        while time.time() < end:
            if self.p.poll() is not None:
                raise RuntimeError("server exited rc=%s: %s" % (self.p.returncode, self.tail()))
            try:
                c = self.conn(timeout=2)
                last = c.cmd("PING")
                c.close()
                if last == "PONG" or str(last).startswith("NOAUTH"):
                    return
            except (Closed, Timeout, ValueError) as e:
                last = e
            time.sleep(0.02)
        raise RuntimeError("server not ready in %ss: %r; %s" % (self.ready_timeout, last, self.tail()))

    def alive(self):
        return self.p is not None and self.p.poll() is None

    def stop(self, timeout=20):
        if self.alive():
            self.p.terminate()
            try:
                self.p.wait(timeout)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()

    def cleanup(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def tail(self, n=600):
        try:
            with open(self.logpath, "rb") as f:
                return f.read()[-n:].decode("utf-8", "replace")
        except OSError:
            return ""


class Remote(Target):
    """A server that is running already: nothing owned."""

    def __init__(self, host, port):
        self.host, self.port = host, port


def rss_kb(pid):
    try:
        with open("/proc/%d/status" % pid) as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return None


def nfds(pid):
    try:
        return len(os.listdir("/proc/%d/fd" % pid))
    except OSError:
        return None


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def info(c, section=None):
    r = c.ok("INFO", section) if section else c.ok("INFO")
    return dict(line.split(":", 1) for line in r.decode("utf-8", "replace").splitlines() if ":" in line)


def pct(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * q))] if values else 0.0


def base_args(desc, need_server=False):
    ap = argparse.ArgumentParser(description=desc, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--host", default="127.0.0.1")
    ap.add_argument("--port", type=int)
    ap.add_argument("--server", help="command line with {port} {dir} [{opts}]", required=need_server)
    ap.add_argument("--opts", default="", help="directives added to the server's command line")
    ap.add_argument("--seed", type=int, default=int(time.time()), help="repeats a run")
    ap.add_argument("-v", "--verbose", action="store_true")
    return ap


def server_of(args):
    """The server that the arguments name, started if it is ours to start."""
    if args.server:
        return Server(args.server, args.opts).start()
    if not args.port:
        sys.exit("--server or --port")
    return Remote(args.host, args.port)


def raise_nofile():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def finish(name, failures, figures):
    """The one line that callers read, and the exit code."""
    shown = " ".join("%s=%s" % (k, "%.2f" % v if isinstance(v, float) else v) for k, v in figures.items())
    for f in failures[:20]:
        print("  - %s" % f)
    if failures:
        print("FAIL %s failures=%d %s" % (name, len(failures), shown))
        sys.exit(1)
    print("OK %s %s" % (name, shown))
    sys.exit(0)
