#!/usr/bin/env python3
"""Load harness: ours and stock peers, started here, measured in turn; prints markdown tables.

  load.py get-set                        GET and SET of 64 B, 1/16/100 pipelined
  load.py --rounds 5 one-kib two-shards  several, in this order
  load.py all

Servers run on core 0, the generator on core 1 (two-shards: both on both). Every figure is server CPU time per
operation as the scheduler counts it, medians over rounds A B C A B C; a sample during which somebody else used the
cores is taken again, and marked `disturbed` if that did not help. --scale N divides the counts of keys by N, to try
the harness; such figures mean nothing. Build the server with `cargo build --release` first.
"""
import argparse
import os

import connections
import expiry
import generator
import memory
import pauses
import peers
import throughput
import types_of_values

COMMANDS = {
    "get-set": (lambda args: throughput.single_shard(args, 64), "64-byte values in 1 M keys, 1 shard on 1 core"),
    "one-kib": (lambda args: throughput.single_shard(args, 1024), "1 KiB values"),
    "two-shards": (throughput.two_shards, "2 shards on 2 cores against 1, and whether an idle shard is woken"),
    "types": (types_of_values.operations, "commands on lists, sets, sorted sets, hashes, transactions"),
    "types-many": (types_of_values.of_many, "commands that name 20 keys or elements"),
    "types-memory": (types_of_values.memory, "bytes per element of large collections"),
    "types-heavy": (types_of_values.heavy, "worst GET of another client during heavy commands on 1 M elements"),
    "types-growth": (types_of_values.growing_set, "worst GET while a set grows to 10 M members, and during its DEL"),
    "memory": (memory.at_five_million, "bytes per key at 5 M keys, without and with TTL"),
    "memory-curve": (memory.curve, "bytes per key from 1 M to 16 M keys"),
    "growth": (pauses.growth, "worst GET while growing from 4 M to 16 M keys"),
    "keys": (pauses.all_keys, "worst GET during KEYS * and one SCAN on 5 M keys"),
    "storm": (pauses.storm, "worst GET while 1 M keys expire in one second"),
    "deadline": (expiry.punctuality, "lag of 1000 keys with one deadline among 1 M; idle CPU"),
    "connections": (connections.idle, "memory of 10,000 idle connections"),
}


def main():
    described = "\n".join("  %-14s%s" % (name, text) for name, (_, text) in COMMANDS.items())
    ap = argparse.ArgumentParser(description=__doc__ + "\ncommands:\n" + described, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("command", nargs="+", choices=[*COMMANDS, "all"], metavar="command")
    ap.add_argument("--ours", default=os.path.join(peers.ROOT, "target", "release", "ostraka"), help="our binary")
    ap.add_argument("--peers", default=",".join(peers.STOCK.values()), help="stock peers, of: %(default)s; '' for none")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--secs", type=float, default=1.0, help="length of a sample")
    ap.add_argument("--keys", type=int, default=1000000, help="keys of the throughput loads")
    ap.add_argument("--load-s", type=int, default=12, help="seconds given to loading the keys of the storm")
    ap.add_argument("--scale", type=int, default=1, help="divide counts by this, to try the harness")
    ap.add_argument("--only", default="", help="rows of types-heavy whose name has this in it")
    args = ap.parse_args()
    args.keys //= args.scale
    generator.build()
    for name in COMMANDS if "all" in args.command else args.command:
        with peers.machine():
            COMMANDS[name][0](args)


if __name__ == "__main__":
    main()
