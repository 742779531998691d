"""Templates for diff_fuzz.py: sets in their three encodings, random members among the replies."""
from diff_commands import DOMAINS, keys, word

# No two of them are the same up to a zero byte, where Redis ends what ALPHA compares.
MEMBERS = ["a", "b", "c", "dd", "e" * 40, "1", "2", "10", "-5", "3.5", "", "y\x00\xff"]


def integers(r):
    """Runs that cross the limit of sets of integers."""
    step = r.choice([1, 1, 70000, 10**12])
    return [str(step * n) for n in range(r.randrange(50), r.randrange(51, 700))]


def texts(r):
    """Runs that cross the limits of small sets, by their number and by their length."""
    length = r.choice([1, 1, 20])
    return ["t%d" % n * length for n in range(r.randrange(50), r.randrange(51, 180))]


def sets(r):
    return [keys("t")(r) for _ in range(r.choice([1, 2, 2, 3]))]


def counted(r):
    names = sets(r)
    return [str(len(names)) if r.random() < 0.95 else r.choice(["0", "-1", "x", "9"])] + names


def cardinality_limit(r):
    return r.choice([[], [], ["LIMIT", "0"], ["LIMIT", "3"], ["limit", "1"], ["LIMIT", "-1"], ["LIMIT"], ["BOGUS", "1"]])


def random_count(r):
    return r.choice(["0", "1", "3", "-3", "20", "-20", "100000"]) if r.random() < 0.95 else r.choice(["x", "", "9223372036854775808"])


def pop_count(r):
    return r.choice(["0", "1", "2", "10", "100", "100000"]) if r.random() < 0.95 else r.choice(["-1", "x", ""])


DOMAINS.update({
    "set": keys("t"), "smember": word(*MEMBERS), "integers": integers, "texts": texts, "sets": sets, "countedsets": counted, "cardlimit": cardinality_limit,
    "randcount": random_count, "popcount": pop_count, "sscan": word([], ["MATCH", "*1*"], ["match", "[a-c]"]), "wrong": word("x", "-1", "", "0", "9223372036854775808"),
})

TEMPLATES = [
    (8, "SADD %set %smember+"), (3, "SADD %set %integers"), (2, "SADD %set %texts"), (0.5, "SADD %any %smember"), (4, "SREM %set %smember+"), (1, "SREM %set %integers"), (1, "SREM %set %texts"),
    (3, "SMEMBERS %set"), (3, "SISMEMBER %set %smember"), (3, "SMISMEMBER %set %smember+"), (3, "SCARD %set"), (0.5, "SCARD %other"), (3, "SMOVE %set %set %smember"), (0.5, "SMOVE %set %other %smember"),
    (3, "SPOP %set"), (3, "SPOP %set %popcount"), (2, "SRANDMEMBER %set"), (3, "SRANDMEMBER %set %randcount"), (0.5, "SPOP %other"), (0.5, "SRANDMEMBER %other 2"),
    (2, "SSCAN %set 0 COUNT 100000 %sscan"), (0.5, "SSCAN %set 0 COUNT %wrong"), (0.3, "SSCAN %set x"),
    (3, "SINTER %sets"), (3, "SUNION %sets"), (3, "SDIFF %sets"), (2, "SINTERSTORE %set %sets"), (2, "SUNIONSTORE %set %sets"), (2, "SDIFFSTORE %set %sets"),
    (3, "SINTERCARD %countedsets %cardlimit"), (1, "SUNION %set %other"), (1, "SDIFFSTORE %other %sets"), (1, "SINTERSTORE %other %sets"), (1, "SINTERCARD 2 %set %other"),
    (2, "OBJECT ENCODING %set"), (1, "DEL %set"), (1, "COPY %set %set REPLACE"), (1, "RENAME %set %set"), (1, "EXPIRE %set %s"), (0.5, "SET %set %value"),
    (2, "SORT %set ALPHA LIMIT 0 5"), (1, "SORT %set ALPHA DESC STORE %list"), (1, "SORT_RO %set BY s* GET # LIMIT 0 0"),
]
