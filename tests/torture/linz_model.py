"""The sequential model of the operations that linz.py sends, and the search for a linearization.

Wing & Gong's search over histories, with Lowe's memo of visited (set of linearized operations, state) pairs; small
independent groups of keys keep each search short. Program order inside one connection is part of what is checked.
"""
INF = float("inf")


class Op:
    """One operation of one client: when it was called, when it returned (INF: never), what it gave."""
    __slots__ = ("op", "call", "ret", "res", "pred", "cid")

    def __init__(self, cid, op, call, pred=None):
        self.cid, self.op, self.call, self.pred = cid, op, call, pred
        self.ret, self.res = INF, None

    def __repr__(self):
        return "c%d %s -> %r [%.6f, %.6f]" % (self.cid, self.op, self.res if self.ret < INF else "?", self.call, self.ret)


# ---- the model: every function takes a state (never changed) and arguments, gives (result, new state)

def put(st, key, value):
    n = dict(st)
    n[key] = value
    return n


def without(st, *keys):
    return {k: v for k, v in st.items() if k not in keys}


def incr(st, key):
    v = int(st.get(key) or 0) + 1
    return v, put(st, key, b"%d" % v)


def rename(st, a, b):
    if a not in st:
        return "ERR", st
    return "OK", put(without(st, a), b, st[a])


def copy(st, a, b, replace):
    if a not in st or (b in st and not replace):
        return 0, st
    return 1, put(st, b, st[a])


def take_first(st, key):
    """The first element of a list, and the state without it."""
    first, rest = st[key][0], st[key][1:]
    return first, put(st, key, rest) if rest else without(st, key)


def lpop(st, key):
    return take_first(st, key) if st.get(key) else (None, st)


def lmove(st, a, b):
    if not st.get(a):
        return None, st
    first, rest = take_first(st, a)
    return first, put(rest, b, rest.get(b, ()) + (first,))


def rpush(st, key, value):
    items = st.get(key, ()) + (value,)
    return len(items), put(st, key, items)


def multi(st, ops):
    out = []
    for op in ops:
        r, st = apply(st, op)
        out.append(r)
    return out, st


def swap_all(st, keys, value):
    """The script: reads every key, then writes the value to every key."""
    return [st.get(k) for k in keys], {**st, **{k: value for k in keys}}


def watched_set(st, key, seen, value, succeeded):
    """EXEC of SET after WATCH and GET gave `seen`: if it succeeded, the key must still hold that."""
    if not succeeded:
        return "EXECUTED", st
    return ("EXECUTED", put(st, key, value)) if st.get(key) == seen else ("MISMATCH", st)


MODEL = {
    "get": lambda st, k: (st.get(k), st),
    "mget": lambda st, ks: ([st.get(k) for k in ks], st),
    "set": lambda st, k, v: ("OK", put(st, k, v)),
    "setget": lambda st, k, v: (st.get(k), put(st, k, v)),
    "getset": lambda st, k, v: (st.get(k), put(st, k, v)),
    "getdel": lambda st, k: (st.get(k), without(st, k)),
    "mset": lambda st, kv: ("OK", {**st, **dict(kv)}),
    "msetnx": lambda st, kv: (0, st) if any(k in st for k, _ in kv) else (1, {**st, **dict(kv)}),
    "incr": incr,
    "del": lambda st, ks: (sum(1 for k in ks if k in st), without(st, *ks)),
    "exists": lambda st, ks: (sum(1 for k in ks if k in st), st),
    "rename": rename, "copy": copy,
    "rpush": rpush, "lpop": lpop, "lmove": lmove,
    "lrange": lambda st, k: (list(st.get(k, ())), st),
    "multi": multi, "eval": swap_all, "wexec": watched_set,
}


def apply(st, op):
    return MODEL[op[0]](st, *op[1:])


def freeze(st):
    return tuple(sorted(st.items()))


class Search:
    """Is there an order of the operations that respects real time and program order, and explains every result?"""

    def __init__(self, ops, budget):
        self.ops = sorted(ops, key=lambda o: o.call)
        at = {id(o): i for i, o in enumerate(self.ops)}
        self.pred = [at.get(id(o.pred), -1) for o in self.ops]
        self.need = sum(1 << i for i, o in enumerate(self.ops) if o.ret < INF)
        self.budget = budget

    def run(self):
        """True, False, or None if the budget of steps did not suffice."""
        seen, stack, steps = set(), [(0, {})], 0
        while stack:
            mask, st = stack.pop()
            if mask & self.need == self.need:
                return True
            key = (mask, freeze(st))
            if key in seen:
                continue
            seen.add(key)
            steps += 1
            if steps > self.budget:
                return None
            stack.extend(self.successors(mask, st))
        return False

    def successors(self, mask, st):
        """States after one more operation, the one that returns first at the end."""
        candidates, first_return = self.open_ops(mask)
        out = []
        for i in candidates:
            o = self.ops[i]
            if o.call > first_return or (self.pred[i] >= 0 and not mask >> self.pred[i] & 1):
                continue
            result, after = apply(st, o.op)
            if o.ret == INF or result == o.res:
                out.append((o.ret, (mask | 1 << i, after)))
        out.sort(key=lambda x: -x[0])
        return [state for _, state in out]

    def open_ops(self, mask):
        """Operations that are not done and called before any of them returned; in call order, so that a later
        caller cannot lower the minimum of the returns below its own call."""
        candidates, first_return = [], INF
        i = (~mask & (mask + 1)).bit_length() - 1
        while i < len(self.ops) and self.ops[i].call <= first_return:
            if not mask >> i & 1:
                candidates.append(i)
                first_return = min(first_return, self.ops[i].ret)
            i += 1
        return candidates, first_return


def check(ops, budget=150000):
    return Search(ops, budget).run()


# ---- negative controls of the checker itself

def done(cid, op, call, ret, res, pred=None):
    o = Op(cid, op, call, pred)
    o.ret, o.res = ret, res
    return o


def good_histories():
    return [
        [done(0, ("set", "k", b"1"), 0, 10, "OK"), done(1, ("get", "k"), 1, 2, None), done(1, ("get", "k"), 3, 4, b"1")],
        [done(0, ("set", "k", b"1"), 0, INF, None), done(1, ("get", "k"), 5, 6, b"1")],
        [done(0, ("set", "k", b"1"), 0, INF, None), done(1, ("get", "k"), 5, 6, None), done(1, ("get", "k"), 7, 8, b"1")],
        [done(0, ("incr", "c"), 0, 5, 2), done(1, ("incr", "c"), 1, 6, 1)],
        [done(0, ("set", "a", b"1"), 0, 1, "OK"), done(0, ("rename", "a", "b"), 2, 9, "OK"), done(1, ("mget", ("a", "b")), 3, 4, [b"1", None]),
         done(1, ("mget", ("a", "b")), 5, 6, [None, b"1"])],
        [done(0, ("multi", [("set", "a", b"1"), ("set", "b", b"1")]), 0, 9, ["OK", "OK"]), done(1, ("mget", ("a", "b")), 1, 2, [None, None]),
         done(1, ("mget", ("a", "b")), 3, 4, [b"1", b"1"])],
    ]


def bad_histories():
    first = done(0, ("set", "k", b"1"), 0, 10, "OK")
    both = (("a", b"1"), ("b", b"1"))
    return {
        "stale read": [done(0, ("set", "k", b"1"), 0, 1, "OK"), done(1, ("get", "k"), 2, 3, None)],
        "value from nowhere": [done(0, ("set", "k", b"1"), 0, 1, "OK"), done(1, ("get", "k"), 2, 3, b"7")],
        "going back in time": [done(0, ("set", "k", b"1"), 0, 10, "OK"), done(1, ("get", "k"), 1, 2, b"1"), done(2, ("get", "k"), 3, 4, None)],
        "lost update": [done(0, ("incr", "c"), 0, 5, 1), done(1, ("incr", "c"), 1, 6, 1)],
        "torn MSET": [done(0, ("mset", both), 0, 9, "OK"), done(1, ("mget", ("a", "b")), 1, 2, [None, b"1"]), done(1, ("mget", ("a", "b")), 3, 4, [b"1", None])],
        "half an MSET": [done(0, ("mset", both), 0, 9, "OK"), done(1, ("mget", ("a", "b")), 1, 2, [None, b"1"])],
        "MSETNX over a key": [done(0, ("set", "a", b"0"), 0, 1, "OK"), done(0, ("msetnx", both), 2, 3, 1)],
        "pipeline reordered": [first, done(0, ("get", "k"), 0, 10, None, first)],
        "RENAME destroyed the value": [done(0, ("set", "a", b"1"), 0, 1, "OK"), done(0, ("rename", "a", "b"), 2, 3, "OK"), done(0, ("get", "b"), 4, 5, None)],
        "RENAME seen twice": [done(0, ("set", "a", b"1"), 0, 1, "OK"), done(0, ("rename", "a", "b"), 2, 9, "OK"), done(1, ("mget", ("a", "b")), 3, 4, [b"1", b"1"])],
        "COPY of an absent key": [done(0, ("copy", "a", "b", True), 0, 1, 1)],
        "torn MULTI": [done(0, ("multi", [("set", "a", b"1"), ("set", "b", b"1")]), 0, 9, ["OK", "OK"]), done(1, ("mget", ("a", "b")), 1, 2, [b"1", None])],
        "LMOVE lost the element": [done(0, ("rpush", "x", b"e"), 0, 1, 1), done(0, ("lmove", "x", "y"), 2, 3, b"e"), done(0, ("lrange", "y"), 4, 5, [])],
        "WATCH missed a write": [done(0, ("get", "k"), 0, 1, None), done(1, ("set", "k", b"9"), 2, 3, "OK"), done(0, ("wexec", "k", None, b"1", True), 4, 5, "EXECUTED")],
        "write skew": [done(0, ("eval", ("a", "b"), b"1"), 0, 9, [None, None]), done(1, ("eval", ("a", "b"), b"2"), 0, 9, [None, None])],
    }


def selftest():
    """Faults of the checker, none if it accepts every good history and refuses every bad one."""
    faults = ["good history %d refused" % i for i, h in enumerate(good_histories()) if check(h) is not True]
    return faults + ["%s accepted" % name for name, h in bad_histories().items() if check(h) is not False]
