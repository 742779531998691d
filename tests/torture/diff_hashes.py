"""Templates for diff_fuzz.py: hashes in both encodings.

Left out, because Valkey 8.0 has no such commands: HEXPIRE, HPEXPIRE, HEXPIREAT, HPEXPIREAT, HPERSIST, HTTL, HPTTL,
HEXPIRETIME, HPEXPIRETIME, HGETDEL, HGETEX, HSETEX.
"""
from diff_commands import DOMAINS, keys, word
from diff_commands import value as any_value

FIELDS = ["f1", "f2", "f3", "f4", "n1", "n2", "", "\x00\xff", "7"]


def field(r):
    return r.choice(FIELDS) if r.random() < 0.98 else "x" * 70


def value(r):
    x = r.random()
    if x < 0.6:
        return r.choice(["a", "", "10", "-5", "3.5", "\x00\xff", "1e3", "9223372036854775807", "0x10", " 1"])
    return any_value(r) if x < 0.7 else str(r.randrange(-1000, 1000))


def pairs(r):
    return sum([[field(r), value(r)] for _ in range(r.choice([1, 1, 2, 4]))], [])


def many_pairs(r):
    """Crosses, in a few of them, the limit of small hashes."""
    first = r.randrange(500)
    return sum([["m%d" % n, "v%d" % n] for n in range(first, first + r.choice([20, 100, 300]))], [])


def random_count(r):
    return r.choice([["1"], ["3"], ["-3"], ["0"], ["1000"]]) if r.random() < 0.95 else [r.choice(["x", "", "9223372036854775808"])]


DOMAINS.update({
    "hash": keys("h"), "field": field, "hvalue": value, "hpairs": pairs, "hmany": many_pairs, "hcount": random_count,
    "hvalues": word([], ["WITHVALUES"], ["withvalues"], ["BOGUS"]), "hscan": word([], ["MATCH", "*1*"], ["NOVALUES"], ["match", "f?", "novalues"]),
})

TEMPLATES = [
    (10, "HSET %hash %hpairs"), (2, "HSET %hash %hmany"), (0.5, "HSET %any %hpairs"), (2, "HMSET %hash %hpairs"), (3, "HSETNX %hash %field %hvalue"),
    (4, "HGET %hash %field"), (3, "HMGET %hash %field+"), (0.5, "HGET %other %field"), (3, "HGETALL %hash"), (1, "HKEYS %hash"), (1, "HVALS %hash"), (0.5, "HGETALL %other"),
    (4, "HDEL %hash %field+"), (0.5, "HDEL %other %field"), (2, "HLEN %hash"), (0.5, "HLEN %other"), (2, "HEXISTS %hash %field"), (2, "HSTRLEN %hash %field"),
    (4, "HINCRBY %hash %field %int"), (4, "HINCRBYFLOAT %hash %field %decimal"), (2, "HRANDFIELD %hash"), (3, "HRANDFIELD %hash %hcount %hvalues"), (0.5, "HRANDFIELD %other 2"),
    (2, "HSCAN %hash 0 COUNT 100000 %hscan"), (0.5, "HSCAN %hash 0 COUNT %wrong"), (0.3, "HSCAN %hash x"),
    (2, "OBJECT ENCODING %hash"), (1, "DEL %hash"), (1, "COPY %hash %hash REPLACE"), (1, "RENAME %hash %hash"), (1, "EXPIRE %hash %s"), (0.5, "SET %hash %value"),
    (2, "SORT %list BY h*->f1"), (2, "SORT %list BY nosort GET h*->f1 GET # GET h*->n1"), (1, "SORT %list BY h*->f2 GET h*->f1 STORE %list"),
]
