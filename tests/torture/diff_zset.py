"""Templates for diff_fuzz.py: sorted sets, in both encodings (a member of 70 bytes makes a set large)."""
from diff_commands import DOMAINS, keys, word

SCORES = ["0", "1", "1", "2", "2.5", "-3", "10", "0.1", "3.14", "-0.5", "1e3", "1e17", "123456789012", "9007199254740993", "1e-7", "inf", "-inf", "0x10"]
MEMBERS = ["a", "b", "c", "d", "dd", "e" * 40, "1", "2", "10", "-5", "3.5", "", "y\x00\xff", "Z", "ab", "abc"]
LONG = "x" * 70


def score(r):
    return r.choice(SCORES) if r.random() < 0.97 else r.choice(["nan", "x", "", "1e400", " 1", "1 ", "--1"])


def member(r):
    return r.choice(MEMBERS) if r.random() < 0.98 else LONG


def score_members(r):
    return sum([[score(r), member(r)] for _ in range(r.choice([1, 1, 2, 4]))], [])


def many_members(r):
    """Enough to outgrow the packed form, at times."""
    return sum([[str(r.randrange(50)), "m%d" % r.randrange(300)] for _ in range(r.choice([20, 60, 150]))], [])


def equal_members(r):
    return sum([["0", member(r)] for _ in range(r.choice([1, 3, 6]))], [])


def add_options(r):
    pool = [["NX"], ["XX"], ["GT"], ["LT"], ["CH"], ["INCR"], ["ch"], ["gt"]]
    return sum(r.sample(pool, r.choice([0, 0, 0, 1, 1, 2, 3])), [])


def score_end(r):
    return r.choice(["-inf", "+inf", "(1", "1", "(2.5", "2", "0", "-3", "(-inf", "3", "100"]) if r.random() < 0.96 else r.choice(["x", "", "(", "nan", "(x"])


def lex_end(r):
    return r.choice(["-", "+", "[a", "(a", "[d", "(dd", "[1", "(", "[", "[Z", "[abc"]) if r.random() < 0.96 else r.choice(["a", "", "--", "+1"])


def limit(r):
    """No negative offsets: Valkey counts them from the end where a sorted set is large, Redis 7.0 finds nothing."""
    return r.choice([[], [], ["LIMIT", r.choice(["0", "1", "3"]), r.choice(["0", "1", "5", "-1"])], ["limit", "0", "x"], ["LIMIT", "1"]] if r.random() < 0.3 else [[], ["LIMIT", "1", "2"]])


def with_scores(r):
    return r.choice([[], ["WITHSCORES"], ["withscores"]])


def range_query(r, stores=False):
    """What follows the key of ZRANGE."""
    by = r.choice(["", "", "BYSCORE", "BYSCORE", "BYLEX"])
    end = {"": DOMAINS["index"], "BYSCORE": score_end, "BYLEX": lex_end}[by]
    options = [x for x in [[by], r.choice([[], ["REV"]]), limit(r) if by or r.random() < 0.05 else [], [] if stores and r.random() < 0.95 else with_scores(r)] if x and x != [""]]
    r.shuffle(options)
    return [end(r), end(r)] + sum(options, [])


def sources(r):
    count = r.choice([1, 2, 2, 3])
    names = [keys(r.choice("zzzzzwt" + ("s" if r.random() < 0.1 else "")))(r) for _ in range(count)]
    return [str(count) if r.random() < 0.97 else r.choice(["0", "-1", "x", "9"])] + names


def combined(r, stores=False):
    count, *names = sources(r)
    weights = ["WEIGHTS"] + [r.choice(["1", "2", "0.5", "-1", "0", "inf"] if r.random() < 0.97 else ["x", "nan"]) for _ in names]
    aggregate = ["AGGREGATE", r.choice(["SUM", "MIN", "MAX", "sum"] if r.random() < 0.97 else ["AVG"])]
    options = [x for x in (weights, aggregate) if r.random() < 0.4] + ([] if stores and r.random() < 0.97 else [with_scores(r)])
    r.shuffle(options)
    return [count] + names + sum(options, [])


def pop_count(r):
    return r.choice([[], [], ["1"], ["2"], ["10"], ["0"]]) if r.random() < 0.96 else r.choice([["-1"], ["x"], ["1", "2"]])


def pop_many(r):
    return sources(r) + [r.choice(["MIN", "MAX", "min"])] + r.choice([[], ["COUNT", r.choice(["1", "3", "0", "x"])], ["COUNT", "2"]])


def scan_options(r):
    return sum(r.sample([["MATCH", "*a*"], ["COUNT", "2000000"], ["MATCH", "[0-9]*"]], r.choice([0, 1, 2])), []) + (["BOGUS"] if r.random() < 0.03 else [])


DOMAINS.update({
    "z": keys("z"), "zplain": keys("t"), "zlex": keys("w"), "zscore": score, "zmember": member, "zpairs": score_members, "zmany": many_members, "zequal": equal_members,
    "zaddopts": add_options, "zscores": with_scores, "zend": score_end, "zlexend": lex_end, "zlimit": limit, "zquery": range_query,
    "zstored": lambda r: range_query(r, True), "zsources": sources, "zcombined": combined, "zcombinedstore": lambda r: combined(r, True),
    "zpopcount": pop_count, "zpopmany": pop_many, "zscan": scan_options, "zcursor": word("0", "x", "1x"), "zall": word("1000", "5000"),
})

TEMPLATES = [
    (12, "ZADD %z %zaddopts %zpairs"), (1, "ZADD %any %zpairs"), (2, "ZADD %z %zmany"), (4, "ZADD %zlex %zequal"), (4, "ZINCRBY %z %zscore %zmember"),
    (4, "ZREM %z %zmember+"), (3, "ZSCORE %z %zmember"), (2, "ZMSCORE %z %zmember+"), (1, "ZSCORE %any %zmember"), (2, "ZCARD %z"), (1, "ZCARD %any"),
    (3, "ZCOUNT %z %zend %zend"), (3, "ZLEXCOUNT %zlex %zlexend %zlexend"), (3, "ZRANK %z %zmember"), (3, "ZREVRANK %z %zmember"),
    (2, "ZRANK %z %zmember WITHSCORE"), (1, "ZREVRANK %z %zmember withscore"), (4, "ZRANGE %z %index %index %zscores"), (3, "ZREVRANGE %z %index %index %zscores"),
    (4, "ZRANGE %zlex %zquery"), (3, "ZRANGEBYSCORE %z %zend %zend %zscores %zlimit"), (3, "ZREVRANGEBYSCORE %z %zend %zend %zlimit %zscores"),
    (3, "ZRANGEBYLEX %zlex %zlexend %zlexend %zlimit"), (3, "ZREVRANGEBYLEX %zlex %zlexend %zlexend %zlimit"), (2, "ZRANGESTORE %z %zlex %zstored"),
    (2, "ZRANGESTORE %z %z %index %index"), (1, "ZREMRANGEBYRANK %z %index %index"), (1, "ZREMRANGEBYSCORE %z %zend %zend"), (1, "ZREMRANGEBYLEX %zlex %zlexend %zlexend"),
    (2, "ZPOPMIN %z %zpopcount"), (2, "ZPOPMAX %z %zpopcount"), (2, "ZMPOP %zpopmany"), (1, "BZMPOP 0.01 %zpopmany"), (1, "BZPOPMIN %z %z 0.01"), (1, "BZPOPMAX %z %z 0.01"),
    (3, "ZUNION %zcombined"), (3, "ZINTER %zcombined"), (2, "ZDIFF %zsources %zscores"), (2, "ZUNIONSTORE %z %zcombinedstore"), (2, "ZINTERSTORE %z %zcombinedstore"),
    (2, "ZDIFFSTORE %z %zsources"), (2, "ZINTERCARD %zsources"), (1, "ZINTERCARD %zsources LIMIT %int"),
    (1, "ZRANDMEMBER %z %zall %zscores"), (1, "ZRANDMEMBER nokey %int"), (2, "ZSCAN %z 0 COUNT 1000000 %zscan"), (0.5, "ZSCAN %any %zcursor"),
    (1, "SADD %zplain %zmember+"), (0.5, "SREM %zplain %zmember+"),
    (2, "OBJECT ENCODING %z"), (1, "COPY %z %z REPLACE"), (1, "DEL %z"), (0.5, "DEL %zlex"), (1, "RENAME %z %z"), (1, "TYPE %z"), (0.5, "SET %z %value"), (1, "EXPIRE %z %s"),
]
