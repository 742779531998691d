#!/usr/bin/env python3
"""Linearizability: records histories over several connections and searches each for a linearization (linz_model.py).

Every round uses fresh keys without a hash tag, chosen so that they lie in different quarters of the slots and hence
in different shards. Operations go out alone or pipelined; program order inside one connection is part of what is
checked. Strings, lists, LMOVE between lists, MULTI and WATCH; --eval adds scripts, for servers that have them.

  linz.py --server 'target/fast/ostraka --port {port} --dir {dir} --shards 4' --rounds 300
  linz.py --selftest
"""
import binascii
import random
import threading
import time

import linz_model
from linz_model import Op
from tlib import Closed, RespError, Timeout, base_args, enc, finish, server_of

LUA = ("local o={} for i=1,#KEYS do o[i]=redis.call('GET',KEYS[i]) end "
       "for i=1,#KEYS do redis.call('SET',KEYS[i],ARGV[1]) end return o")


def flat(pairs):
    return [x for pair in pairs for x in pair]


# operation -> the commands that it is on the wire; the last one's reply is its result
WIRE = {
    "get": lambda k: [["GET", k]],
    "mget": lambda ks: [["MGET", *ks]],
    "set": lambda k, v: [["SET", k, v]],
    "setget": lambda k, v: [["SET", k, v, "GET"]],
    "getset": lambda k, v: [["GETSET", k, v]],
    "getdel": lambda k: [["GETDEL", k]],
    "mset": lambda kv: [["MSET", *flat(kv)]],
    "msetnx": lambda kv: [["MSETNX", *flat(kv)]],
    "incr": lambda k: [["INCR", k]],
    "del": lambda ks: [["DEL", *ks]],
    "exists": lambda ks: [["EXISTS", *ks]],
    "rename": lambda a, b: [["RENAME", a, b]],
    "copy": lambda a, b, replace: [["COPY", a, b] + (["REPLACE"] if replace else [])],
    "rpush": lambda k, v: [["RPUSH", k, v]],
    "lpop": lambda k: [["LPOP", k]],
    "lrange": lambda k: [["LRANGE", k, 0, -1]],
    "lmove": lambda a, b: [["LMOVE", a, b, "LEFT", "RIGHT"]],
    "multi": lambda ops: [["MULTI"]] + [wire(o)[0] for o in ops] + [["EXEC"]],
    "eval": lambda ks, v: [["EVAL", LUA, len(ks), *ks, v]],
}


def wire(op):
    return WIRE[op[0]](*op[1:])


def result(op, reply):
    """A reply as the model gives it; an error that the model does not know is a fault."""
    if isinstance(reply, RespError):
        if op[0] == "rename" and "no such key" in str(reply).lower():
            return "ERR"
        raise ValueError("error reply to %r: %s" % (op, reply))
    if op[0] == "multi":
        if reply is None:
            raise ValueError("EXEC gave nil without WATCH")
        return [result(o, x) for o, x in zip(op[1], reply)]
    return reply


class RoundKeys:
    """Fresh keys of one round: four for strings, one in each quarter of the slots, a counter, two lists."""

    def __init__(self, n):
        self.strings = [key_in_quarter("lz%d:s" % n, q) for q in range(4)]
        self.counter = "lz%d:c" % n
        self.lists = ["lz%d:la" % n, "lz%d:lb" % n]


def key_in_quarter(prefix, quarter):
    i = 0
    while binascii.crc_hqx(b"%s%d" % (prefix.encode(), i), 0) % 16384 * 4 >> 14 != quarter:
        i += 1
    return "%s%d" % (prefix, i)


class Client(threading.Thread):
    """One connection that sends random operations and records what came back when."""

    def __init__(self, cid, target, keys, args, seed, barrier):
        super().__init__(daemon=True)
        self.cid, self.target, self.keys, self.args, self.barrier = cid, target, keys, args, barrier
        self.r = random.Random(seed)
        self.history, self.fault, self.values, self.last = [], None, 0, None

    def value(self):
        self.values += 1
        return b"%d.%d" % (self.cid, self.values)

    def one_key(self):
        r, s, c = self.r, self.keys.strings, self.keys.counter
        return r.choice([
            lambda: ("get", r.choice(s)), lambda: ("set", r.choice(s), self.value()), lambda: ("set", r.choice(s), self.value()),
            lambda: ("setget", r.choice(s), self.value()), lambda: ("getset", r.choice(s), self.value()),
            lambda: ("getdel", r.choice(s)), lambda: ("incr", c), lambda: ("incr", c),
        ])()

    def many_keys(self):
        r, s, c = self.r, self.keys.strings, self.keys.counter
        two = r.sample(s, 2)
        return r.choice([
            lambda: ("mget", tuple(r.sample(s + [c], 3))), lambda: ("mget", tuple(s)),
            lambda: ("mset", tuple((k, v) for v in [self.value()] for k in two)),
            lambda: ("mset", tuple((k, v) for v in [self.value()] for k in r.sample(s, 3))),
            lambda: ("msetnx", tuple((k, v) for v in [self.value()] for k in two)),
            lambda: ("del", tuple(two)), lambda: ("exists", tuple(s)),
            lambda: ("rename", *two), lambda: ("copy", *two, r.random() < 0.7),
        ])()

    def on_lists(self):
        r, lists = self.r, self.keys.lists
        return r.choice([
            lambda: ("rpush", r.choice(lists), self.value()), lambda: ("rpush", r.choice(lists), self.value()),
            lambda: ("lpop", r.choice(lists)), lambda: ("lrange", r.choice(lists)), lambda: ("lmove", *r.sample(lists, 2)),
        ])()

    def simple(self):
        x = self.r.random()
        if x < 0.25:
            return self.on_lists()
        return self.one_key() if x < 0.6 else self.many_keys()

    def batch(self):
        x = self.r.random()
        if x < 0.18:
            ops = [self.simple() for _ in range(self.r.randint(2, 4))]
            return [("multi", [o for o in ops if o[0] != "rename"] or [("get", self.keys.strings[0])])]
        if self.args.eval and x < 0.24:
            return [("eval", tuple(self.r.sample(self.keys.strings, 2)), self.value())]
        return [self.simple() for _ in range(self.r.randint(2, self.args.pipeline) if x < 0.6 else 1)]

    def run(self):
        try:
            c = self.target.conn(20)
            self.barrier.wait(30)
            left = self.args.ops
            while left > 0:
                if self.r.random() < 0.12:
                    left -= self.watched_set(c)
                else:
                    left -= self.send(c, self.batch())
            c.close()
        except (Closed, Timeout, ValueError, threading.BrokenBarrierError) as e:
            self.fault = "%s: %s" % (type(e).__name__, e)
            self.barrier.abort()

    def record(self, op, at):
        self.last = Op(self.cid, op, at, self.last)
        self.history.append(self.last)
        return self.last

    def send(self, c, ops):
        """A pipeline of operations -> how many."""
        began = time.perf_counter()
        records = [self.record(op, began) for op in ops]
        commands = [wire(op) for op in ops]
        c.send(b"".join(enc(*a) for w in commands for a in w))
        for rec, w in zip(records, commands):
            for _ in w[:-1]:
                c.read()
            reply = c.read()
            rec.res, rec.ret = result(rec.op, reply), time.perf_counter()
        return len(ops)

    def watched_set(self, c):
        key, value = self.r.choice(self.keys.strings), self.value()
        c.ok("WATCH", key)
        read = self.record(("get", key), time.perf_counter())
        read.res, read.ret = c.cmd("GET", key), time.perf_counter()
        write = self.record(("wexec", key, read.res, value, True), time.perf_counter())
        replies = c.pipe([("MULTI",), ("SET", key, value), ("EXEC",)])
        write.op = ("wexec", key, read.res, value, replies[2] is not None)
        write.res, write.ret = "EXECUTED", time.perf_counter()
        return 2


def run_round(target, n, args, seeds):
    keys, barrier = RoundKeys(n), threading.Barrier(args.clients)
    clients = [Client(i, target, keys, args, seeds.getrandbits(32), barrier) for i in range(args.clients)]
    for c in clients:
        c.start()
    for c in clients:
        c.join(60)
    return clients


def overlapping(history):
    return sum(1 for a in history for b in history if a.cid < b.cid and a.call < b.ret and b.call < a.ret)


def run(target, args):
    """All rounds -> (failures, figures)."""
    seeds, failures = random.Random(args.seed), []
    total = overlaps = undecided = 0
    for n in range(args.rounds):
        clients = run_round(target, n, args, seeds)
        history = [o for c in clients for o in c.history]
        failures += ["round %d client %d: %s" % (n, c.cid, c.fault) for c in clients if c.fault]
        total += len(history)
        overlaps += overlapping(history)
        verdict = linz_model.check(history)
        undecided += verdict is None
        if verdict is False:
            failures.append("round %d NOT LINEARIZABLE" % n)
            print("\n".join("   %r" % o for o in sorted(history, key=lambda o: o.call)))
        if len(failures) > 3:
            break
    if undecided > args.rounds // 20:
        failures.append("%d rounds undecided: lower --ops or --clients" % undecided)
    return failures, {"rounds": args.rounds, "ops": total, "overlapping_pairs": overlaps, "undecided": undecided}


def main():
    ap = base_args(__doc__)
    ap.add_argument("--selftest", action="store_true", help="the checker on known histories, no server")
    ap.add_argument("--rounds", type=int, default=200)
    ap.add_argument("--clients", type=int, default=5)
    ap.add_argument("--ops", type=int, default=12, help="operations per client and round")
    ap.add_argument("--pipeline", type=int, default=5)
    ap.add_argument("--eval", action="store_true", help="scripts too")
    args = ap.parse_args()
    if args.selftest:
        finish("linz_selftest", linz_model.selftest(), {"good": len(linz_model.good_histories()), "bad": len(linz_model.bad_histories())})
    began = time.time()
    target = server_of(args)
    try:
        failures, figures = run(target, args)
        if not target.alive():
            failures.append("SERVER DIED " + target.tail())
    finally:
        target.cleanup()
    finish("linz", failures, {**figures, "secs": time.time() - began, "seed": args.seed})


if __name__ == "__main__":
    main()
