#!/usr/bin/env python3
"""The conformance ratchet: a test of Redis' suite that passed once must keep passing.

    ratchet.py --server BIN [--suite DIR] [--units unit/expire,...] [--update] [--strict]

units.txt    the units and the shard counts each runs at
waived.txt   tests left out, each with its reason
passing.txt  tests that passed at every shard count of their unit, and must from now on

A test listed in passing.txt that fails or has vanished fails the run; with --strict, so does any other failure.
--update adds what passes now to passing.txt and drops what is waived; it never drops a test that fails.
"""
import argparse
import collections
import os
import sys

import tcl_suite

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT_SUITE = os.path.expanduser("~/.cache/peer-suites/redis-7.0.15")
EVERYWHERE = "*"
TAG = "tag:"


def rows(name):
    """The tab-separated rows of a list beside this file, without comments."""
    with open(os.path.join(HERE, name)) as f:
        return [line.rstrip("\n").split("\t") for line in f if line.strip() and not line.startswith("#")]


def read_units():
    """-> {shard count: [unit, ...]}"""
    by_shards = collections.defaultdict(list)
    for (row,) in rows("units.txt"):
        unit, *counts = row.split()
        for count in counts:
            by_shards[int(count)].append(unit)
    return dict(sorted(by_shards.items()))


def read_waived(shards):
    """What is left out at this shard count -> ({unit: [test, ...]}, [tag, ...])"""
    waived, tags = collections.defaultdict(list), []
    for place, test, _reason in rows("waived.txt"):
        unit, _, fewer = place.partition(" shards>")
        if unit == EVERYWHERE and test.startswith(TAG):
            tags.append(test[len(TAG):])
        elif shards > int(fewer or 0):
            waived[unit].append(test)
    return waived, tags


def read_passing():
    return {tuple(row) for row in rows("passing.txt")}


def write_passing(passing):
    with open(os.path.join(HERE, "passing.txt"), "w") as f:
        f.write("# Written by ratchet.py --update: unit <TAB> test of Redis' suite that passes at every shard count of its unit.\n")
        f.writelines(f"{unit}\t{test}\n" for unit, test in sorted(passing))


class Outcome:
    """What happened to every test over all shard counts."""

    def __init__(self):
        self.good = {}  # unit -> the tests that passed in each of its runs
        self.failed = set()
        self.runs = 0

    def add(self, result, waived):
        self.runs += len(result.passed)
        passed = set(result.passed) - set(result.failed)
        # What is left out at this shard count only is judged by the others.
        self.good[result.unit] = self.good.get(result.unit, passed) & (passed | set(waived))
        self.failed |= {(result.unit, test) for test in result.failed}

    def passed(self):
        return {(unit, test) for unit, tests in self.good.items() for test in tests}

    def lost(self, passing):
        """Tests that must pass and did not, of the units that were run."""
        return sorted(row for row in passing - self.passed() if row[0] in self.good)


def run_suite(args, by_shards):
    outcome = Outcome()
    for shards, units in by_shards.items():
        waived, denied_tags = read_waived(shards)
        extra = args.shards_arg.replace("{n}", str(shards))
        with tcl_suite.Runner(args.suite, args.server, extra, args.jobs, args.hang) as runner:
            for result in runner.run(units, skip=waived, denied_tags=denied_tags):
                outcome.add(result, waived[result.unit])
                print(f"shards {shards:3}  {result.summary()}", flush=True)
                for test in result.failed:
                    print(f"    err: {test}")
                if args.details:
                    print("\n".join(result.details))
    return outcome


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--server", required=True, help="the server binary")
    ap.add_argument("--suite", default=DEFAULT_SUITE)
    ap.add_argument("--shards-arg", default="--shards {n}", help="what sets the shard count ('' for a stock peer)")
    ap.add_argument("--units", help="only these, comma-separated")
    ap.add_argument("--jobs", type=int, default=2)
    ap.add_argument("--hang", type=int, default=60, help="seconds without progress after which a test counts as hung")
    ap.add_argument("--update", action="store_true", help="add newly passing tests to passing.txt")
    ap.add_argument("--strict", action="store_true", help="any failure fails the run, listed or not")
    ap.add_argument("--details", action="store_true", help="print what failed, not only its name")
    args = ap.parse_args()
    by_shards = read_units()
    if args.units:
        wanted = args.units.split(",")
        by_shards = {n: [u for u in units if u in wanted] for n, units in by_shards.items()}
    outcome = run_suite(args, by_shards)
    passing = read_passing()
    lost = outcome.lost(passing)
    for unit, test in lost:
        print(f"no longer passes: {unit}: {test}")
    pending = sorted(outcome.failed - set(lost))
    for unit, test in pending:
        print(f"does not pass yet: {unit}: {test}")
    if args.update:
        waived, _ = read_waived(shards=1)
        kept = {row for row in passing if row[1] not in waived.get(row[0], ())}
        write_passing(kept | outcome.passed())
    failures = len(lost) + (len(pending) if args.strict else 0)
    print(f"{outcome.runs} passed, {failures} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
