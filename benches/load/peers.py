"""The servers that are measured: ours, stock peers, and the canned-reply echo server as floor."""
import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
import time

import generator

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "torture"))
from tlib import Closed, Server, rss_kb  # noqa: E402

LOCK = os.path.join(tempfile.gettempdir(), "ostraka-load.lock")
IN_MEMORY = "--port {port} --dir {dir} --save '' --appendonly no --maxclients 12000"
STOCK = {"redis-server 7.0.15": "redis-server", "valkey-server 8.0": "valkey-server"}
REFERENCE = "redis-server 7.0.15"
ECHO = "echo"
OURS = "ostraka"


class Measured(Server):
    """A server on its own core."""

    def __init__(self, name, command, cpus=generator.SERVER_CPU):
        prefix = generator.favoured() + ["taskset", "-c", cpus]
        super().__init__(" ".join(prefix) + " " + command)
        self.name = name

    def rss(self):
        return rss_kb(self.p.pid) * 1024

    def threads(self):
        return os.listdir("/proc/%d/task" % self.p.pid)

    def cpu_s(self):
        """CPU time so far, from the scheduler's own nanoseconds."""
        total = 0
        for thread in self.threads():
            with open("/proc/%d/task/%s/schedstat" % (self.p.pid, thread)) as f:
                total += int(f.read().split()[0])
        return total / 1e9

    def wakeups(self):
        """How often each thread went to sleep by itself -> {thread: count}."""
        out = {}
        for thread in self.threads():
            with open("/proc/%d/task/%s/status" % (self.p.pid, thread)) as f:
                out[thread] = int(next(line for line in f if line.startswith("voluntary_ctxt")).split()[1])
        return out


class Echo(Measured):
    """Answers anything at once; there is no PING to wait for beyond that."""

    def __init__(self, value_bytes=0, cpus=generator.SERVER_CPU):
        super().__init__(ECHO, "%s {port} %d" % (generator.binary_of("echo"), value_bytes), cpus)

    def wait_ready(self):
        for _ in range(500):
            with contextlib.suppress(Closed):
                self.conn(2).close()
                return
            time.sleep(0.01)
        raise RuntimeError("the echo server does not listen")


def ours(args, shards=1, cpus=generator.SERVER_CPU):
    name = OURS if shards == 1 else "%s, %d shards" % (OURS, shards)
    return Measured(name, "%s %s --shards %d" % (args.ours, IN_MEMORY, shards), cpus)


def stock(args):
    """The stock peers that were asked for and are installed."""
    chosen = {name: binary for name, binary in STOCK.items() if binary in args.peers.split(",")}
    return [Measured(name, "%s %s" % (binary, IN_MEMORY)) for name, binary in chosen.items() if shutil.which(binary)]


@contextlib.contextmanager
def running(servers):
    """All of them up, and ended afterwards."""
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.cleanup()


@contextlib.contextmanager
def machine():
    """One measurement on this machine at a time."""
    with open(LOCK, "a+") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield
