#!/usr/bin/env python3
"""Client libraries against a server: each connects, speaks RESP2 and RESP3, pipelines and reconnects after a kill.

  smoke.py --server 'target/fast/ostraka --port {port} --dir {dir}'     starts a server for them
  smoke.py --port 6379                                                  takes one that is running

The libraries are installed into a scratch folder (--scratch), at the versions named here. Each script runs by
itself too, given a port. Prints `N passed, N failed`: one for each library and protocol.
"""
import argparse
import os
import subprocess
import sys
import venv

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "torture"))
from tlib import Remote, Server  # noqa: E402

REDIS_PY = "redis==5.2.1"
IOREDIS = "ioredis@5.4.2"
PROTOCOLS = ("2", "3")
LIMIT_S = 120


def python_with_redis(scratch):
    """A Python that has redis-py."""
    folder = os.path.join(scratch, REDIS_PY)
    python = os.path.join(folder, "bin", "python3")
    if not os.path.exists(os.path.join(folder, "installed")):
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", REDIS_PY], check=True)
        open(os.path.join(folder, "installed"), "w").close()
    return python


def node_modules_with_ioredis(scratch):
    """A folder of node modules that has ioredis."""
    folder = os.path.join(scratch, IOREDIS.replace("@", "-"))
    if not os.path.isdir(os.path.join(folder, "node_modules", "ioredis")):
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, IOREDIS], check=True)
    return os.path.join(folder, "node_modules")


def runs(command, port, protocol, env=None):
    """Whether a client's script succeeds."""
    environment = dict(os.environ, **(env or {}))
    done = subprocess.run([*command, str(port), protocol], env=environment, timeout=LIMIT_S)
    return done.returncode == 0


def clients(scratch):
    """-> {library: (command, environment)}"""
    return {
        REDIS_PY: ([python_with_redis(scratch), os.path.join(HERE, "redis_py.py")], {}),
        IOREDIS: (["node", os.path.join(HERE, "ioredis.cjs")], {"NODE_PATH": node_modules_with_ioredis(scratch)}),
    }


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--server", help="command line with {port} and {dir}")
    ap.add_argument("--port", type=int, help="of a server that is running")
    ap.add_argument("--scratch", default=os.path.expanduser("~/.cache/ostraka-clients"))
    args = ap.parse_args()
    if not args.server and not args.port:
        ap.error("--server or --port")
    target = Server(args.server).start() if args.server else Remote("127.0.0.1", args.port)
    passed = failed = 0
    try:
        for name, (command, env) in clients(args.scratch).items():
            for protocol in PROTOCOLS:
                good = runs(command, target.port, protocol, env)
                passed, failed = passed + good, failed + (not good)
                print("%s, RESP%s: %s" % (name, protocol, "ok" if good else "FAILED"), flush=True)
    finally:
        target.cleanup()
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
