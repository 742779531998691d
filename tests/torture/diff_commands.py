"""Random commands for diff_fuzz.py.

A command is a template: words that stand for themselves, and %names that are drawn from the domain of that name.
A domain gives one argument, or a list of arguments (options, possibly none). "%any+" repeats a domain 1 to 4 times.

Left out: an AUTH that names a user, whose refusal Valkey 8.0 does not send when it is pipelined behind other commands.

Deadlines are drawn so that two servers agree although their clocks are read microseconds apart: relative ones are
multiples of 100 s that hardly ever repeat, absolute ones are in 2100 or in the past.
"""
import random

YEAR_2100_S = 4102444800
KEYS_PER_FAMILY = 8
ODD_KEYS = ["", "{t}a", "{t}b", "{}", "k with spaces", "k\r\nx", "\x00\xff", "x" * 300]
WRONG_INTEGERS = ["x", "", " 1", "1.0", "0x10", "9223372036854775808", "-9223372036854775809", "+1", "01", "-0"]
# Commands of one transaction and before it, at most.
MAX_TRANSACTION = 16
EXTREMES = ["9223372036854775807", "-9223372036854775808", "9223372036854775806", "4294967296", "2147483648"]
# Just below and above: inline to out-of-line values, embstr to raw, a one-byte to a two-byte length.
LENGTHS = [0, 1, 20, 43, 44, 45, 63, 64, 255, 256, 1000, 16383, 16384, 20000]


def keys(prefix):
    return lambda r: "%s%d" % (prefix, r.randrange(KEYS_PER_FAMILY))


def any_key(r):
    return r.choice(ODD_KEYS) if r.random() < 0.08 else "%s%d" % (r.choice("nnsss"), r.randrange(KEYS_PER_FAMILY))


def value(r):
    if r.random() < 0.4:
        return r.choice(["a", "", "10", "-5", "3.5", "\x00\xff", "1e3", "0", "00", "nan"] + EXTREMES)
    length = r.choice(LENGTHS if r.random() < 0.15 else LENGTHS[:9])
    return (r.choice("abc") * length)[:length]


def integer(r):
    x = r.random()
    if x < 0.8:
        return str(r.choice([0, 1, -1, 2, 7, 100, -100, r.randrange(-10**6, 10**6)]))
    return r.choice(EXTREMES if x < 0.93 else WRONG_INTEGERS)


def decimal(r):
    if r.random() < 0.85:
        return r.choice(["%d" % r.randrange(-100, 100), "%.1f" % r.uniform(-10, 10), "%.5f" % r.uniform(-1e3, 1e3),
                         "%.15g" % r.uniform(-1, 1), "1e%d" % r.randrange(-10, 18), "0.1", "-0.0", "3.0e3"])
    return r.choice(["nan", "inf", "-inf", "infinity", "1e400", "-1e400", "0x1p3", "0x10", "", " 1", "1 ", "1x", ".5", "5.",
                     "1e4932", "1e-4940", "123456789012345678901234567890"])


def offset(r):
    return r.choice(["0", "1", "5", "60", "3", "0", "20000", "-1", "536870912", "4294967296", "x"] + EXTREMES[:2])


def index(r):
    return r.choice(["0", "1", "-1", "3", "-3", "10", "-100", "100", "0", "-1", "x"] + EXTREMES)


def relative_s(r):
    return str(100 * r.randrange(10, 10**7)) if r.random() < 0.85 else bad_expiry(r)


def relative_ms(r):
    return str(100000 * r.randrange(10, 10**7)) if r.random() < 0.85 else bad_expiry(r)


def bad_expiry(r):
    return r.choice(["0", "-1", "9223372036854775", "9223372036854776", "-9223372036854776"] + EXTREMES[:3] + WRONG_INTEGERS)


def absolute_s(r):
    return str(YEAR_2100_S + r.randrange(10**6)) if r.random() < 0.85 else bad_expiry(r)


def absolute_ms(r):
    return str(YEAR_2100_S * 1000 + r.randrange(10**9)) if r.random() < 0.85 else bad_expiry(r)


def or_past(domain):
    """Past deadlines too, for commands that delete at once (SET leaves the key for DBSIZE to count, until found)."""
    return lambda r: r.choice(["1", "1000000000", "0", "-1"]) if r.random() < 0.15 else domain(r)


def word(*choices):
    return lambda r: r.choice(choices)


def any_case(text):
    return lambda r: "".join(r.choice((c.lower(), c.upper())) for c in text)


def deadline_option(r):
    name, draw = r.choice([("EX", relative_s), ("PX", relative_ms), ("EXAT", absolute_s), ("PXAT", absolute_ms)])
    return [any_case(name)(r), draw(r)]


def set_options(r):
    """Mostly none or one, sometimes every conflict there is."""
    pool = [["NX"], ["XX"], ["GET"], ["KEEPTTL"], deadline_option(r), deadline_option(r), ["EX"], ["BOGUS"], ["get"], ["nx"], ["PERSIST"]]
    weights = [4, 4, 4, 4, 8, 1, 0.5, 0.3, 1, 1, 0.3]
    count = r.choice([0, 0, 1, 1, 1, 2, 2, 3])
    return sum(r.choices(pool, weights, k=count), [])


def getex_options(r):
    return r.choice([[], ["PERSIST"], ["persist"], deadline_option(r), deadline_option(r), deadline_option(r) + ["PERSIST"], getex_past(r), ["EX"], ["KEEPTTL"]])


def getex_past(r):
    return r.choice([["EXAT", "1"], ["PXAT", "1000"], ["exat", "1000000000"]])


def expire_flags(r):
    return r.choice([[], [], ["NX"], ["XX"], ["GT"], ["LT"], ["XX", "GT"], ["xx", "lt"], ["NX", "XX"], ["GT", "LT"], ["NX", "GT"], ["BOGUS"]])


def copy_options(r):
    return r.choice([[], [], ["REPLACE"], ["DB", db(r)], ["DB", db(r), "REPLACE"], ["replace", "db", db(r)], ["DB"], ["BOGUS"]])


def lcs_options(r):
    return r.choice([[], [], ["LEN"], ["IDX"], ["IDX", "WITHMATCHLEN"], ["IDX", "MINMATCHLEN", integer(r)], ["LEN", "IDX"], ["MINMATCHLEN"], ["BOGUS"],
                     ["IDX", "MINMATCHLEN", "2", "WITHMATCHLEN"]])


def lcs_value(r):
    return "".join(r.choice("abcd") for _ in range(r.choice([0, 1, 5, 20, 60])))


def db(r):
    return r.choice(["0", "1", "2", "3", "0", "1"]) if r.random() < 0.93 else r.choice(["16", "-1", "x", "", "4294967296", "1.5"])


def pattern(r):
    return r.choice(["*", "s*", "[ns]?", "nokey", "s[0-3]", "s[^0-3]", "*1", "\\s1", "s\\1", "[", "?", "", "s[1-", "*[", "**1", "{t}*", "s[3-0]", "n0"])


def scan_error(r):
    return r.choice([["x"], ["-1"], ["0", "COUNT", "0"], ["0", "COUNT", "x"], ["0", "COUNT", "-5"], ["0", "MATCH"], ["0", "BOGUS", "1"], ["18446744073709551616"], [""], ["0", "COUNT"],
                     ["1x"], ["0", "TYPE"]])


def swap_dbs(r):
    return r.choice([["0", "1"], ["1", "2"], ["2", "2"], ["0", "3"], ["0", "16"], ["x", "1"], ["0", "x"], ["-1", "0"]])


def pairs(names):
    return lambda r: sum([[names(r), value(r)] for _ in range(r.randint(1, 4))], [])


def bit_offset(r):
    if r.random() < 0.9:
        return str(r.choice([0, 1, 7, 8, r.randrange(100), r.randrange(3000), 131071, 131072, r.randrange(200000)]))
    return r.choice(["-1", "4294967296", "x", "#1"] + EXTREMES[:3])


def bit_window(r):
    unit = r.choice([[], [], ["BIT"], ["BYTE"], ["bit"], ["BOGUS"]] if r.random() < 0.3 else [[], ["BIT"], ["BYTE"]])
    ends = [r.choice(["0", "1", "-1", "3", "-3", "20", "-20", "1000", "-100", "131000"] if r.random() < 0.95 else EXTREMES + ["x"]) for _ in "ab"]
    return r.choice([[], ends, ends, ends + unit])


def bit_sources(r):
    name = r.choice(["AND", "OR", "XOR", "NOT", "and", "xor"] if r.random() < 0.97 else ["NAND", ""])
    sources = r.choice([1, 1, 2, 3, 5]) if name != "NOT" or r.random() < 0.1 else 1
    return [name, keys("b")(r)] + [keys(r.choice("bbbbsn"))(r) for _ in range(sources)]


def field_steps(r):
    return sum([field_step(r) for _ in range(r.randint(1, 4))], [])


def field_step(r, words=("GET", "SET", "SET", "INCRBY", "INCRBY", "OVERFLOW", "set")):
    word_ = r.choice(words)
    if word_ == "OVERFLOW":
        return [word_, r.choice(["WRAP", "SAT", "FAIL", "sat", "fail"] if r.random() < 0.97 else ["BOGUS"])]
    kind = r.choice("iu") + str(r.choice([1, 2, 5, 7, 8, 16, 31, 32, 33, 63, 64, r.randint(1, 64)]))
    at = r.choice(["%d", "#%d"]) % r.choice([0, 1, 7, 8, r.randrange(300), 30]) if r.random() < 0.95 else bit_offset(r)
    return [word_, kind, at] + ([] if word_ == "GET" else [integer(r) if r.random() < 0.7 else r.choice(EXTREMES)])


def field_reads(r):
    return sum([field_step(r, ("GET",) * 20 + ("SET",)) for _ in range(r.randint(0, 3))], [])


def elements(r):
    """A few, or enough to fill registers in a hurry."""
    return ["e%d" % r.randrange(10**6) for _ in range(r.choice([0, 1, 1, 2, 5, 100 if r.random() < 0.3 else 3]))]


DOMAINS = {
    "hll": keys("p"), "elements": elements, "pfdebug": word("ENCODING", "DECODE", "TODENSE", "GETREG", "encoding", "BOGUS"),
    "bits": keys("b"), "bit": word("0", "1", "0", "1", "0", "1", "0", "1", "2", "x", "-1"), "bitoffset": bit_offset,
    "bitwindow": bit_window, "bitop": bit_sources, "fields": field_steps, "fieldreads": field_reads,
    "str": keys("s"), "num": keys("n"), "lcs": keys("c"), "any": any_key, "value": value, "lcsvalue": lcs_value,
    "int": integer, "decimal": decimal, "offset": offset, "index": index,
    "s": relative_s, "ms": relative_ms, "at": or_past(absolute_s), "atms": or_past(absolute_ms),
    "setopts": set_options, "getexopts": getex_options, "flags": expire_flags, "copyopts": copy_options, "lcsopts": lcs_options,
    "db": db, "pattern": pattern, "scanerror": scan_error, "swap": swap_dbs, "pairs": pairs(any_key), "numpairs": pairs(keys("n")),
    "sync": word([], ["ASYNC"], ["SYNC"], ["async"], ["BOGUS"]),
    "hello": word(["4"], ["1"], ["x"], ["2", "AUTH"], ["2", "AUTH", "a"], ["2", "SETNAME"], ["2", "SETNAME", "a b"], ["2", "BOGUS"]),
    "name": word("me", "", "a b", "\n", "x" * 40),
    "onoff": word("ON", "OFF", "on", "BOGUS"),
}

# (weight, template)
FOUNDATION = [
    (8, "SET %any %value %setopts"), (4, "SET %num %int %setopts"), (3, "SET %lcs %lcsvalue"), (6, "GET %any"),
    (2, "SETNX %any %value"), (2, "SETEX %any %s %value"), (2, "PSETEX %any %ms %value"), (4, "GETEX %any %getexopts"),
    (2, "GETDEL %any"), (2, "GETSET %any %value"), (3, "MGET %any+"), (3, "MSET %pairs"), (2, "MSET %numpairs"), (2, "MSETNX %pairs"),
    (1, "MSET %pairs %any"), (4, "APPEND %any %value"), (3, "STRLEN %any"),
    (3, "INCR %num"), (2, "DECR %num"), (4, "INCRBY %num %int"), (3, "DECRBY %num %int"), (1, "INCR %any"), (6, "INCRBYFLOAT %num %decimal"), (1, "INCRBYFLOAT %any %decimal"),
    (4, "SETRANGE %any %offset %value"), (4, "GETRANGE %any %index %index"), (2, "SUBSTR %any %index %index"), (4, "LCS %lcs %lcs %lcsopts"), (1, "LCS %num %lcs %lcsopts"),
    (6, "SETBIT %bits %bitoffset %bit"), (1, "SETBIT %any %bitoffset %bit"), (2, "GETBIT %bits %bitoffset"), (1, "GETBIT %any %bitoffset"),
    (3, "BITCOUNT %bits %bitwindow"), (1, "BITCOUNT %any %bitwindow"), (4, "BITPOS %bits %bit %bitwindow"), (1, "BITPOS %any %bit %bitwindow"),
    (5, "BITOP %bitop"), (6, "BITFIELD %bits %fields"), (1, "BITFIELD %any %fields"), (1, "BITFIELD_RO %bits %fieldreads"),
    (5, "PFADD %hll %elements"), (0.5, "PFADD %any %elements"), (3, "PFCOUNT %hll"), (2, "PFCOUNT %hll+"), (0.5, "PFCOUNT %any+"), (2, "PFMERGE %hll %hll+"), (0.5, "PFMERGE %hll %any"),
    (1, "PFDEBUG %pfdebug %hll"), (2, "GET %hll"), (1, "COPY %hll %hll REPLACE"), (1, "DEL %hll"), (0.3, "SETRANGE %hll %offset %value"),
    (1, "OBJECT ENCODING %bits"), (1, "DEL %bits"), (1, "COPY %bits %bits REPLACE"), (1, "SET %bits %value"), (1, "SET %bits %int"),
    (4, "DEL %any+"), (2, "UNLINK %any+"), (2, "EXISTS %any+"), (1, "TOUCH %any+"), (3, "TYPE %any"), (5, "OBJECT ENCODING %any"), (1, "OBJECT FREQ %any"), (0.3, "OBJECT BOGUS %any"), (0.3, "OBJECT"),
    (4, "RENAME %any %any"), (3, "RENAMENX %any %any"), (5, "COPY %any %any %copyopts"), (3, "MOVE %any %db"),
    (4, "EXPIRE %any %s %flags"), (3, "PEXPIRE %any %ms %flags"), (3, "EXPIREAT %any %at %flags"), (3, "PEXPIREAT %any %atms %flags"), (3, "PERSIST %any"),
    (2, "TTL %any"), (2, "PTTL %any"), (3, "EXPIRETIME %any"), (3, "PEXPIRETIME %any"),
    (2, "KEYS %pattern"), (1, "SCAN %scanerror"), (2, "RANDOMKEY"), (2, "DBSIZE"), (2, "SELECT %db"), (0.6, "SWAPDB %swap"), (0.2, "FLUSHDB %sync"), (0.1, "FLUSHALL %sync"),
    (1, "PING"), (1, "PING %value"), (0.3, "PING a b"), (1, "ECHO %value"), (0.3, "AUTH %value"), (0.5, "HELLO %hello"),
    (0.5, "CLIENT SETNAME %name"), (0.5, "CLIENT GETNAME"), (0.3, "CLIENT BOGUS"), (0.3, "CLIENT NO-EVICT %onoff"), (0.3, "CLIENT ID x"), (0.3, "CLIENT REPLY BOGUS"),
    (0.2, "RESET"), (0.5, "NOSUCHCOMMAND %value %value"), (0.2, "nosuch\r\ncommand x"), (0.3, "CONFIG"), (0.3, "CONFIG BOGUS"), (0.3, "CONFIG GET"), (0.3, "CONFIG SET nosuchdirective 1"), (0.3, "DBSIZE x"),
]


def parse(templates):
    return [weight for weight, _ in templates], [text.split(" ") for _, text in templates]


def draw(r, token):
    """The arguments that one token of a template stands for."""
    if not token.startswith("%"):
        return [token]
    repeated = token.endswith("+")
    domain = DOMAINS[token[1:].rstrip("+")]
    out = []
    for _ in range(r.randint(1, 4) if repeated else 1):
        drawn = domain(r)
        out += drawn if isinstance(drawn, list) else [drawn]
    return out


def mutate(r, command):
    """Rarely one argument too many or too few, or the name in other letters."""
    x = r.random()
    if command[0] in ("AUTH", "HELLO"):
        return command
    if x < 0.01 and len(command) > 1:
        return command[:-1]
    if x < 0.02:
        return command + [r.choice(["extra", "", "NX"])]
    if x < 0.05:
        return [any_case(command[0])(r)] + command[1:]
    return command


class Generator:
    """An endless stream of commands from one seed."""

    def __init__(self, seed, templates=FOUNDATION):
        self.r = random.Random(seed)
        self.weights, self.templates = parse(templates)

    def batch(self, count, parts_ways):
        """About `count` commands; none behind one by which the servers `parts_ways`."""
        commands = []
        while len(commands) < count:
            commands += self.transaction(parts_ways) if self.r.random() < 0.03 else [self.command()]
            if any(map(parts_ways, commands[-MAX_TRANSACTION:])):
                break
        return commands

    def command(self):
        (template,) = self.r.choices(self.templates, self.weights)
        return mutate(self.r, sum((draw(self.r, token) for token in template), []))

    def transaction(self, parts_ways):
        """Often behind a WATCH of keys that are about to change, and changed between WATCH and MULTI at times. What
        has the servers go apart comes last. Neither MULTI nor WATCH is queued: Redis 7.0 and we
        refuse them and go on, Valkey spoils the transaction. No BITFIELD between WATCH and MULTI: one that overflows
        makes a string of zeros all the same, and only we tell who watches the key."""
        inner = []
        for command in (self.command() for _ in range(self.r.randrange(8))):
            if command[0].upper() != "WATCH":
                inner.append(command)
            if parts_ways(command):
                break
        watched = [c[1] for c in inner if len(c) > 1 and not parts_ways(c)]
        before = []
        if self.r.random() < 0.6:
            before = [["WATCH", any_key(self.r)] + self.r.sample(watched, min(len(watched), 2))]
            sure = [c for c in inner if not parts_ways(c) and c[0].upper() != "BITFIELD"]
            before += self.r.sample(sure, min(len(sure), self.r.choice([0, 0, 1, 2])))
            before += [["UNWATCH"]] if self.r.random() < 0.05 else []
        return before + [["MULTI"]] + inner + [["EXEC"] if self.r.random() < 0.92 else ["DISCARD"]]
