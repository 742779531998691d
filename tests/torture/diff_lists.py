"""Templates for diff_fuzz.py: lists in both forms, and SORT over them and over strings as weights."""
from diff_commands import DOMAINS, EXTREMES, index, keys, word

# No zero byte: Redis compares as C strings, up to it, what ALPHA sorts. No empty text: Redis sorts it as 0, Valkey refuses it.
SHORT = ["a", "b", "c", "dd", "1", "2", "10", "-5", "3.5", "\x01\xff", "01", "1e2", "0x10", "127", "128", "-129", "9223372036854775807", "9223372036854775808"]


def member(r):
    """Mostly short; sometimes so long that a few fill a block, or one does not fit."""
    x = r.random()
    if x < 0.9:
        return r.choice(SHORT)
    if x < 0.98:
        return r.choice("xyz") * r.choice([63, 64, 300, 1000])
    return r.choice("xyz") * r.choice([2500, 5000, 9000])


def count(r):
    return r.choice(["0", "1", "-1", "2", "-2", "5", "-100", "100", "x", ""] + EXTREMES[:2])


def ends(r):
    return [r.choice(["LEFT", "RIGHT", "left", "Right"]) if r.random() < 0.97 else r.choice(["UP", ""]) for _ in "ab"]


def list_index(r):
    """LSET of Redis and Valkey wraps an index around at 32 bits."""
    return r.choice(["0", "1", "-1", "3", "-3", "10", "-100", "100", "x", "", "2147483647"])


def pos_options(r):
    pool = [["RANK", count(r)], ["COUNT", count(r)], ["MAXLEN", count(r)], ["rank", "1"], ["COUNT", "0"], ["RANK"], ["BOGUS", "1"]]
    return sum(r.choices(pool, [5, 4, 4, 2, 4, 0.3, 0.3], k=r.choice([0, 1, 1, 2, 3])), [])


def counted_lists(r):
    n = r.randint(1, 3)
    named = str(n) if r.random() < 0.93 else r.choice(["0", "-1", "x", str(n + 1), EXTREMES[0]])
    return [named] + [keys("l")(r) for _ in range(n)]


def pop_options(r):
    return ends(r)[:1] + r.choice([[], [], ["COUNT", count(r)], ["count", "2"], ["COUNT"], ["COUNT", "1", "COUNT", "1"], ["BOGUS", "1"]])


def sort_options(r):
    pool = [["ALPHA"], ["DESC"], ["ASC"], ["LIMIT", index(r), index(r)], ["BY", "nosort"], ["BY", "n*"], ["BY", "s*"], ["GET", "#"], ["GET", "n*"], ["GET", "s*"], ["GET", "h*->f1"], ["BY", "h*->f2"],
            ["GET", "fixed"], ["alpha"], ["LIMIT", "0"], ["BY"], ["BOGUS"], ["BY", "*->f"], ["STORE", keys("l")(r)]]
    weights = [9, 3, 2, 4, 2, 2, 1, 2, 2, 1, 1, 1, 1, 3, 0.2, 0.2, 0.2, 0.5, 2]
    chosen = r.choices(pool, weights, k=r.choice([0, 1, 1, 2, 3, 4]))
    if any(option[0].upper() == "ALPHA" for option in chosen):
        # Elements whose weights are the same text, or missing, come in any order.
        chosen = [option for option in chosen if option[0] != "BY" or option == ["BY", "nosort"]]
    return sum(chosen, [])


DOMAINS.update({
    "list": keys("l"), "listmember": member, "listcount": count, "listindex": list_index, "ends": ends, "posopts": pos_options, "lists": counted_lists, "popopts": pop_options, "sortopts": sort_options,
    "where": word("BEFORE", "AFTER", "before", "after", "BESIDE"), "soon": word("0.001", "0.01", "-1", "x", "inf", "1e300", ""),
})

TEMPLATES = [
    (6, "LPUSH %list %listmember+"), (8, "RPUSH %list %listmember+"), (2, "LPUSHX %list %listmember+"), (2, "RPUSHX %list %listmember+"), (0.5, "RPUSH %any %listmember"),
    (3, "LPOP %list"), (3, "RPOP %list"), (2, "LPOP %list %listcount"), (2, "RPOP %list %listcount"), (0.3, "LPOP %any"), (3, "LMPOP %lists %popopts"),
    (2, "LLEN %list"), (0.5, "LLEN %any"), (5, "LRANGE %list %index %index"), (0.5, "LRANGE %any %index %index"), (3, "LINDEX %list %index"),
    (4, "LSET %list %listindex %listmember"), (4, "LINSERT %list %where %listmember %listmember"), (3, "LREM %list %listcount %listmember"), (2, "LTRIM %list %index %index"),
    (5, "LPOS %list %listmember %posopts"), (4, "LMOVE %list %list %ends"), (2, "RPOPLPUSH %list %list"), (0.5, "LMOVE %any %any %ends"),
    (1, "BLPOP %list %list %soon"), (1, "BRPOP %list %soon"), (1, "BLMOVE %list %list %ends %soon"), (0.5, "BRPOPLPUSH %list %list %soon"), (1, "BLMPOP %soon %lists %popopts"),
    (5, "SORT %list %sortopts"), (1, "SORT_RO %list %sortopts"), (0.5, "SORT %any %sortopts"),
    (2, "OBJECT ENCODING %list"), (1, "TYPE %list"), (1, "DEL %list"), (1, "COPY %list %list REPLACE"), (1, "RENAME %list %list"), (1, "EXPIRE %list %s"), (0.5, "SET %list %value"),
]
