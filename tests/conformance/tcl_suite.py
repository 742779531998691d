#!/usr/bin/env python3
"""Run units of Redis' Tcl test suite against a server binary.

The suite is not part of this project: fetch_suite.sh unpacks it from Debian's source package into a scratch
folder. Every unit runs in a process of its own, in a private copy of the suite in which

  src/redis-server     is a wrapper that starts the binary under test with the extra arguments,
  tests/test_helper.tcl sources durable.tcl, so that an error outside a test hides no test after it.

A test that hangs is reported by name, then the unit is run again without it.

    tcl_suite.py --suite DIR --server BIN [--args "--shards 2"] [--units unit/type/string,unit/expire]
                 [--only NAME]... [--jobs 2] [--details]

The binary must behave as redis-server does: started as BIN CONFIG_FILE [--directive value ...], with the log
lines the suite greps for ("PID: ", "Ready to accept connections"). redis-cli and redis-benchmark come from PATH.
"""
import argparse
import concurrent.futures
import contextlib
import dataclasses
import itertools
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
ANSI = re.compile(r"\x1b\[[0-9;]*m")
RESULT = re.compile(r"^\[(ok|err|skip|ignore|exception)\]:? ?(.*)$")
IN_PROGRESS = re.compile(r"=> \(IN PROGRESS\) (.*)$", re.M)
# What the suite was waiting for when nothing moved any more, for example a server that never logged that it is ready.
STUCK = re.compile(r"^sock\S+ => (\(.*)$", re.M)
WHERE = re.compile(r" in tests/\S+\.tcl$")
TOOK = re.compile(r" \(\d+ ms\)$")
MAX_HANGS = 8
DETAIL_LINES = 400


@dataclasses.dataclass
class UnitResult:
    unit: str
    passed: list
    failed: list
    skipped: list
    details: list

    def summary(self):
        return f"{self.unit:32} ok {len(self.passed):4}  err {len(self.failed):3}  skip {len(self.skipped):3}"


class Suite:
    """A private copy of the suite whose src/ holds wrappers around the binary under test."""

    def __init__(self, suite, server, extra_args):
        self.root = tempfile.mkdtemp(prefix="tcl-suite-")
        shutil.copytree(os.path.join(suite, "tests"), os.path.join(self.root, "tests"), symlinks=True)
        shutil.copytree(os.path.join(suite, "utils"), os.path.join(self.root, "utils"), symlinks=True)
        shutil.copy(os.path.join(suite, "redis.conf"), self.root)
        self._wrap_binaries(os.path.abspath(server), extra_args)
        self._make_durable()

    def _wrap_binaries(self, server, extra_args):
        src = os.path.join(self.root, "src")
        os.mkdir(src)
        # A start without a config file is a test of the command line itself: it gets no extra arguments.
        plain = f'exec "{server}" "$@"'
        wrappers = {"redis-server": f'case "${{1-}}" in --*|"") {plain};; esac\n{plain} {extra_args}'}
        for tool in ("redis-cli", "redis-benchmark"):
            wrappers[tool] = f'exec "{shutil.which(tool)}" "$@"'
        for name, command in wrappers.items():
            path = os.path.join(src, name)
            with open(path, "w") as f:
                f.write(f"#!/bin/bash\n{command}\n")
            os.chmod(path, 0o755)

    def _make_durable(self):
        path = os.path.join(self.root, "tests", "test_helper.tcl")
        with open(path) as f:
            text = f.read()
        marker = "# parse arguments\n"
        assert text.count(marker) == 1, "test_helper.tcl has changed its shape"
        with open(path, "w") as f:
            f.write(text.replace(marker, f"source {{{HERE}/durable.tcl}}\n{marker}"))

    def remove(self):
        shutil.rmtree(self.root, ignore_errors=True)


class Runner:
    """Runs units in `jobs` private copies at once; ends every process group it started."""

    def __init__(self, suite, server, extra_args="", jobs=2, hang_s=60):
        self.hang_s = hang_s
        self.groups = set()
        self.copies = [Suite(suite, server, extra_args) for _ in range(jobs)]
        self.free = list(range(jobs))
        self.lock = threading.Lock()

    def __enter__(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: (self.close(), os._exit(130)))
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for group in list(self.groups):
            kill_group(group)
        for copy in self.copies:
            copy.remove()

    def run(self, units, skip=None, only=(), denied_tags=()):
        """Yield a UnitResult per unit, in order; skip maps a unit to the names of tests to leave out."""
        def one(unit):
            with self.lock:
                slot = self.free.pop()
            try:
                return self.run_unit(slot, unit, list((skip or {}).get(unit, ())), only, denied_tags)
            finally:
                self.free.append(slot)
        with concurrent.futures.ThreadPoolExecutor(len(self.copies)) as pool:
            yield from pool.map(one, units)

    def run_unit(self, slot, unit, skipped_names, only, denied_tags):
        hung = []
        while True:
            text = self.run_once(slot, unit, skipped_names + hung, only, denied_tags)
            stuck = IN_PROGRESS.findall(text)
            if not stuck or len(hung) == MAX_HANGS:
                break
            hung += stuck
        result = parse(unit, text)
        result.skipped = [name for name in result.skipped if name not in hung]
        result.failed += [f"{name} [hangs]" for name in hung]
        if not result.passed and not result.failed and not result.skipped:
            result.failed += STUCK.findall(text) or ["the unit printed no result"]
            result.details.append(text[-2000:])
        return result

    def run_once(self, slot, unit, skipped_names, only, denied_tags):
        root = self.copies[slot].root
        skip_file = os.path.join(root, "skipped")
        with open(skip_file, "w") as f:
            f.write("\n".join(skipped_names))
        command = ["tclsh", "tests/test_helper.tcl", "--single", unit, "--clients", "1", "--durable",
                   "--skipfile", skip_file, "--timeout", str(self.hang_s)]
        command += list(itertools.chain.from_iterable(["--only", name] for name in only))
        if denied_tags:
            command += ["--tags", " ".join(f"-{tag}" for tag in denied_tags)]
        with base_port() as port:
            return self.output_of(command + ["--baseport", str(port), "--portcount", "900"], root)

    def output_of(self, command, root):
        process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   start_new_session=True)
        self.groups.add(process.pid)
        try:
            output, _ = process.communicate()
        finally:
            kill_group(process.pid)
            self.groups.discard(process.pid)
        return ANSI.sub("", output.decode("utf-8", "replace"))


@contextlib.contextmanager
def base_port():
    """A base port below the ephemeral range that no other run uses, in this checkout or another: whoever listens
    on the port below the suite's control port (base - 32) has it, until its unit has ended."""
    while True:
        port = random.randrange(11, 31) * 1000 + 100
        with socket.socket() as claim:
            try:
                claim.bind(("127.0.0.1", port - 33))
                claim.listen()
            except OSError:
                continue
            if is_free(port - 32):
                yield port
                return


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def kill_group(group):
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def parse(unit, text):
    """The suite's output -> results by name; what it printed below a failure goes into the details."""
    result = UnitResult(unit, [], [], [], [])
    failing = False
    for line in text.splitlines():
        found = RESULT.match(line)
        if found:
            failing = record(result, found.group(1), found.group(2))
        if line.startswith("[") and not found or line.startswith("!!! WARNING"):
            failing = False
        if failing and len(result.details) < DETAIL_LINES:
            result.details.append(line)
    return result


def record(result, kind, rest):
    """File one result under its name; True if it is a failure."""
    if kind == "ok":
        result.passed.append(TOOK.sub("", rest))
    elif kind == "skip":
        result.skipped.append(rest)
    elif kind == "err":
        result.failed.append(WHERE.sub("", rest))
    elif kind == "exception":
        result.failed.append(f"exception: {rest}")
    return kind in ("err", "exception")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--suite", required=True, help="the unpacked source tree (holds tests/)")
    ap.add_argument("--server", required=True, help="the server binary")
    ap.add_argument("--args", default="", help="directives added to every start")
    ap.add_argument("--units", required=True, help="comma-separated, for example unit/type/string,unit/expire")
    ap.add_argument("--only", action="append", default=[], help="run this test only (name, or /regexp); repeatable")
    ap.add_argument("--jobs", type=int, default=2)
    ap.add_argument("--hang", type=int, default=60, help="seconds without progress after which a test counts as hung")
    ap.add_argument("--details", action="store_true", help="print what failed, not only its name")
    a = ap.parse_args()
    passed = failed = 0
    with Runner(a.suite, a.server, a.args, a.jobs, a.hang) as runner:
        for result in runner.run(a.units.split(","), only=a.only):
            passed += len(result.passed)
            failed += len(result.failed)
            print(result.summary(), flush=True)
            for name in result.failed:
                print(f"    err: {name}")
            if a.details:
                print("\n".join(result.details))
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
