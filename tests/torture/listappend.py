#!/usr/bin/env python3
"""List-append transactions, checked for strict serializability the way Elle does it (linear time,
so it takes millions of transactions where linz.py takes dozens per round).

Each transaction is MULTI [RPUSH k unique | LRANGE k 0 -1]... EXEC over keys without hash tags.
RPUSH makes the version order of a key readable from any later LRANGE, so the ww, wr and rw
dependencies follow; with the real-time order they must have no cycle.

  listappend.py --server '/path/server --port {port} --dir {dir}' --secs 20
  listappend.py --selftest
"""
import random, sys, threading, time
from tlib import *


class Txn:
    __slots__ = ("id", "cid", "ops", "call", "ret", "ok")

    def __init__(self, cid, ops, call):
        self.cid, self.ops, self.call, self.ret, self.ok = cid, ops, call, None, None  # ok: True/False(refused)/None(unknown)


def analyse(txns, limit=5):
    """-> (list of anomalies, figures)"""
    bad = []
    T = [t for t in txns if t.ok is not False]
    for i, t in enumerate(T):
        t.id = i
    writer, aborted = {}, set()
    for t in txns:
        for f, k, v in t.ops:
            if f == "w":
                if t.ok is False:
                    aborted.add((k, v))
                else:
                    writer[(k, v)] = t
    longest, reads = {}, []
    for t in T:
        if not t.ok:
            continue
        own, known = {}, {}
        for f, k, v in t.ops:
            if f == "w":
                own.setdefault(k, []).append(v)
            else:
                o = own.get(k, [])
                if o and v[-len(o):] != o:
                    bad.append("internal: txn %d appended %r to %s, then read ...%r" % (t.id, o, k, v[-3:]))
                base = v[:len(v) - len(o)] if o else v
                if k in known and known[k] != base:
                    bad.append("non-repeatable read inside txn %d of %s" % (t.id, k))
                known[k] = base
                reads.append((t, k, base))
                if len(v) > len(longest.get(k, ())):
                    longest[k] = v
                if len(set(v)) != len(v):
                    bad.append("duplicate element in a read of %s" % k)
    pos = {k: {v: i for i, v in enumerate(o)} for k, o in longest.items()}
    edges = {}

    def edge(a, b, kind):
        if a is not b:
            edges.setdefault(a, {}).setdefault(b, kind)
    nread = 0
    for t, k, base in reads:
        nread += 1
        o = longest[k] if k in longest else []
        if o[:len(base)] != base:
            bad.append("incompatible orders of %s: %r is no prefix of the longest read" % (k, base[-3:]))
            continue
        if base:
            w = writer.get((k, base[-1]))
            if w is None:
                bad.append("%s: read %r which %s" % (k, base[-1], "a refused transaction wrote" if (k, base[-1]) in aborted else "nobody wrote"))
            else:
                edge(w.id, t.id, "wr")
        if len(base) < len(o):
            w = writer.get((k, o[len(base)]))
            if w is not None:
                edge(t.id, w.id, "rw")
    for k, o in longest.items():
        for a, b in zip(o, o[1:]):
            wa, wb = writer.get((k, a)), writer.get((k, b))
            if wa is not None and wb is not None:
                edge(wa.id, wb.id, "ww")
            elif wa is None:
                bad.append("%s: element %r nobody wrote" % (k, a))
    # real time through a chain of virtual nodes, one per completion
    ev = [(t.ret, 0, t) for t in T if t.ok] + [(t.call, 1, t) for t in T]
    ev.sort(key=lambda e: (e[0], e[1]))
    N = len(T)
    last = None
    for tm, kind, t in ev:
        if kind == 0:
            v = N
            N += 1
            edge(t.id, v, "rt")
            if last is not None:
                edge(last, v, "rt")
            last = v
        elif last is not None:
            edge(last, t.id, "rt")
    # Tarjan, iterative
    idx, low, onst, st, order, cyc = {}, {}, set(), [], 0, []
    for root in range(N):
        if root in idx:
            continue
        work = [(root, iter(edges.get(root, ())))]
        idx[root] = low[root] = order
        order += 1
        st.append(root)
        onst.add(root)
        while work:
            v, it = work[-1]
            for w in it:
                if w not in idx:
                    idx[w] = low[w] = order
                    order += 1
                    st.append(w)
                    onst.add(w)
                    work.append((w, iter(edges.get(w, ()))))
                    break
                if w in onst:
                    low[v] = min(low[v], idx[w])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[v])
                if low[v] == idx[v]:
                    comp = []
                    while True:
                        w = st.pop()
                        onst.discard(w)
                        comp.append(w)
                        if w == v:
                            break
                    if len(comp) > 1:
                        cyc.append(comp)
    for comp in cyc[:limit]:
        cs = set(comp)
        kinds = sorted({k for a in comp for b, k in edges.get(a, {}).items() if b in cs})
        ts = [T[i] for i in comp if i < len(T)]
        bad.append("cycle over %d transactions via %s, e.g. %s" % (len(ts), "+".join(kinds), [(t.cid, t.ops) for t in ts[:2]]))
    # acknowledged appends that the longest (final) read lacks
    lost = 0
    for (k, v), t in writer.items():
        if t.ok and k in pos and v not in pos[k] and k in FINAL:
            lost += 1
    if lost:
        bad.append("%d acknowledged appends are missing from the final reads" % lost)
    return bad, {"txns": len(T), "reads": nread, "edges": sum(len(x) for x in edges.values()), "cycles": len(cyc), "lost_appends": lost}


FINAL = set()


class C(threading.Thread):
    def __init__(self, cid, connect, seed, keys, ctr, lock, stop, maxlen):
        super().__init__(daemon=True)
        self.cid, self.connect, self.r, self.keys, self.ctr, self.lock, self.stopf, self.maxlen = cid, connect, random.Random(seed), keys, ctr, lock, stop, maxlen
        self.tx, self.fault = [], None

    def run(self):
        c = None
        while not self.stopf():
            try:
                if c is None:
                    c = self.connect()
                ops = []
                for _ in range(self.r.randint(1, self.maxlen)):
                    k = self.keys[min(int(self.r.expovariate(0.5)), len(self.keys) - 1)]
                    if self.r.random() < 0.5:
                        with self.lock:
                            self.ctr[0] += 1
                            v = self.ctr[0]
                        ops.append(("w", k, v))
                    else:
                        ops.append(("r", k, None))
                t = Txn(self.cid, ops, time.perf_counter())
                self.tx.append(t)
                cm = [("MULTI",)] + [("RPUSH", k, v) if f == "w" else ("LRANGE", k, 0, -1) for f, k, v in ops] + [("EXEC",)]
                r = c.pipe(cm)[-1]
                t.ret = time.perf_counter()
                if isinstance(r, RespError):
                    if str(r).split(" ")[0] in ("CROSSSLOT", "EXECABORT", "LOADING", "READONLY", "NOREPLICAS"):
                        t.ok = False
                    else:
                        self.fault = str(r)
                        return
                else:
                    t.ops = [(f, k, v if f == "w" else [int(x) for x in q]) for (f, k, v), q in zip(ops, r)]
                    t.ok = True
            except (Closed, Timeout):
                if c:
                    c.close()
                c = None
            except Exception as e:
                self.fault = repr(e)
                return


def selftest():
    def t(cid, ops, a, b, ok=True):
        x = Txn(cid, ops, a)
        x.ret, x.ok = b, ok
        return x
    g, _ = analyse([t(0, [("w", "x", 1)], 0, 1), t(1, [("r", "x", [1]), ("w", "y", 2)], 2, 3), t(2, [("r", "y", [2]), ("r", "x", [1])], 4, 5)])
    fails = [] if not g else ["good history rejected: %r" % g]
    B = {
        "G1c": [t(0, [("w", "x", 1), ("r", "y", [2])], 0, 9), t(1, [("w", "y", 2), ("r", "x", [1])], 0, 9)],
        "G2 write skew": [t(0, [("r", "x", []), ("w", "y", 2)], 0, 9), t(1, [("r", "y", []), ("w", "x", 1)], 0, 9), t(2, [("r", "x", [1]), ("r", "y", [2])], 10, 11)],
        "stale read in real time": [t(0, [("w", "x", 1)], 0, 1), t(1, [("r", "x", [])], 2, 3), t(2, [("r", "x", [1])], 4, 5)],
        "lost prefix": [t(0, [("r", "x", [1, 2])], 0, 1), t(1, [("r", "x", [2])], 2, 3), t(2, [("w", "x", 1)], 0, 1), t(2, [("w", "x", 2)], 0, 1)],
        "aborted read": [t(0, [("w", "x", 1)], 0, 1, False), t(1, [("r", "x", [1])], 2, 3)],
        "internal": [t(0, [("w", "x", 1), ("r", "x", [])], 0, 1)],
        "fractured": [t(0, [("w", "x", 1), ("w", "y", 2)], 0, 9), t(1, [("r", "x", [1]), ("r", "y", [])], 0, 9), t(2, [("r", "y", [2])], 10, 11)],
    }
    fails += ["%s accepted" % k for k, h in B.items() if not analyse(h)[0]]
    finish("listappend_selftest", fails, {"bad_histories": len(B)})


def main():
    ap = base_args(__doc__)
    ap.add_argument("--selftest", action="store_true")
    ap.add_argument("--secs", type=float, default=10)
    ap.add_argument("--clients", type=int, default=8)
    ap.add_argument("--keys", type=int, default=12)
    ap.add_argument("--rotate", type=float, default=0.25, help="seconds before a fresh set of keys (keeps lists short)")
    ap.add_argument("--max-txn", type=int, default=5)
    ap.add_argument("--kill-every", type=float, default=0, help="with --server: SIGKILL + restart every N s (appendfsync always)")
    args = ap.parse_args()
    if args.selftest:
        selftest()
    opts = args.opts + (" --appendonly yes --appendfsync always" if args.kill_every else "")
    srv = Server(args.server, opts).start() if args.server else Remote(args.host, args.port)
    rnd = random.Random(args.seed)
    ctr, lock = [0], threading.Lock()
    stop_at = time.time() + args.secs
    up = threading.Event()
    up.set()

    def connect():
        end = time.time() + 20
        while True:
            up.wait(20)
            try:
                c = Conn(srv.host, srv.port, 10)
                if c.cmd("PING") == "PONG":
                    return c
            except (Closed, Timeout):
                pass
            if time.time() > end:
                raise Closed("gone")
            time.sleep(0.01)
    fails, fig = [], {"txns": 0, "reads": 0, "edges": 0, "cycles": 0, "lost_appends": 0}
    epoch = kills = unknown = 0
    t0 = time.time()
    nextkill = t0 + args.kill_every if args.kill_every else 1e18
    try:
        while time.time() < stop_at and not fails:
            keys = ["la%d:%d" % (epoch, i) for i in range(args.keys)]
            end = time.time() + args.rotate
            cs = [C(i, connect, rnd.getrandbits(32), keys, ctr, lock, lambda: time.time() > end, args.max_txn) for i in range(args.clients)]
            for c in cs:
                c.start()
            if time.time() > nextkill:
                time.sleep(rnd.uniform(0.02, args.rotate * 0.8))
                up.clear()
                srv.kill9()
                srv.start()
                up.set()
                kills += 1
                nextkill = time.time() + args.kill_every
            for c in cs:
                c.join(60)
                if c.fault:
                    fails.append("client %d: %s" % (c.cid, c.fault))
            tx = [t for c in cs for t in c.tx]
            unknown += sum(1 for t in tx if t.ok is None)
            f = Txn(99, [("r", k, None) for k in keys], time.perf_counter())
            c = connect()
            f.ops = [("r", k, [int(x) for x in c.ok("LRANGE", k, 0, -1)]) for k in keys]
            c.ok("DEL", *keys)
            c.close()
            f.ret, f.ok = time.perf_counter(), True
            FINAL.clear()
            FINAL.update(keys)
            # the final reads are separate commands: one transaction each
            fin = []
            for o in f.ops:
                x = Txn(99, [o], f.call)
                x.ret, x.ok = f.ret, True
                fin.append(x)
            bad, g = analyse(tx + fin)
            fails += ["epoch %d: %s" % (epoch, b) for b in bad]
            for k in fig:
                fig[k] += g[k]
            epoch += 1
    except RuntimeError as e:
        fails.append(str(e))
    finally:
        srv.cleanup()
    fig.update({"epochs": epoch, "kills": kills, "unknown": unknown, "secs": time.time() - t0, "seed": args.seed})
    finish("listappend", fails, fig)


if __name__ == "__main__":
    main()
