"""When two replies to one command count as the same: see diff_fuzz.py.

What may differ is listed in ALLOWED, each with its reason; replies that depend on the moment, on chance or on the
order of a hash table are compared by the rules in RULES. What chance gave is looked at by `follow_up`, and where the
servers went apart, as SPOP has them do, they are brought back into step.
"""
import re

from tlib import Conn

TTL_SLACK_S = 1
TTL_SLACK_MS = 2000

# (command's first words, pattern of our reply, pattern of the reference's reply, reason)
ALLOWED = [
    ("SCAN ", rb"\*2\r\n.*|-ERR syntax error\r\n", rb"-ERR invalid cursor\r\n", "Valkey refuses an empty cursor, Redis reads it as 0"),
    ("SCAN ", rb"\*2\r\n.*", rb"-ERR unknown type name .*\r\n", "Valkey refuses an unknown type, Redis finds no key of it"),
    ("SCAN ", rb"-ERR invalid cursor\r\n", rb"\*2\r\n.*", "Redis wraps a negative cursor around; Valkey and we refuse it"),
    ("SORT", rb"[*:].*", rb"-ERR One or more scores can't be converted into double\r\n", "Valkey refuses an empty text as a number, Redis and we sort it as 0"),
    ("OBJECT ENCODING ", rb"\$8\r\nlistpack\r\n", rb"\$9\r\nquicklist\r\n", "chunks of a list that LSET has made small are joined here; Redis leaves them as they are, and the list long"),
    ("CLIENT ID", rb":\d+\r\n", rb":\d+\r\n", "counts the connections so far"),
]

# Commands whose reply is drawn by lot, and what tells whether the elements of such a reply are there.
RANDOM = {"SPOP": "SMISMEMBER", "SRANDMEMBER": "SMISMEMBER", "ZRANDMEMBER": "ZMSCORE", "HRANDFIELD": "HMGET"}


def parts_ways(command):
    """Whether the servers may go apart by a command, so that `follow_up` has to come before the next one."""
    return command[0].upper() in RANDOM or command[0].upper() in ("SORT", "SORT_RO")


def reply_end(buf, at):
    """Where the reply that starts at `at` ends, or None if it is not complete."""
    open_items = 1
    while open_items:
        eol = buf.find(b"\r\n", at)
        if eol < 0:
            return None
        kind = buf[at]
        after = eol + 2
        if kind in b"$=!":
            length = int(buf[at + 1:eol])
            after += length + 2 if length >= 0 else 0
            if after > len(buf):
                return None
        elif kind in b"*~>%":
            open_items += max(0, int(buf[at + 1:eol])) * (2 if kind == ord("%") else 1)
        open_items -= 1
        at = after
    return at


def items(raw):
    """The raw elements of an array."""
    out, at = [], raw.index(b"\r\n") + 2
    while at < len(raw):
        end = reply_end(raw, at)
        out.append(raw[at:end])
        at = end
    return out


def parsed(raw):
    """The value of a raw reply."""
    reader = Conn.__new__(Conn)
    reader.b = bytearray(raw)
    return reader.read()


def integer(raw):
    return int(raw[1:-2]) if raw[:1] == b":" else None


def is_null(raw):
    return raw in (b"$-1\r\n", b"_\r\n", b"*-1\r\n")


LONG_NUMBER = re.compile(rb"(?:\$\d+\r\n|,)([-+]?(?:\d\.?){16,}(?:e[-+]\d+)?)\r\n")
SCORES = ("Z", "BZ", "GEO", "SORT")


def shortest(number):
    """A double of 16 digits and more in the fewest that tell it: of one such double in 700, the Grisu2 of Redis and Valkey
    writes one digit more, or another last one that reads back the same."""
    return repr(float(number)).encode() if LONG_NUMBER.fullmatch(b",%b\r\n" % number) else number


def with_shortest_scores(command, raw):
    """A reply of a command that shows scores, with these as `shortest` has them."""
    def shorter(found):
        text = shortest(found[1])
        return b",%b\r\n" % text if found[0][:1] == b"," else b"$%d\r\n%b\r\n" % (len(text), text)
    return LONG_NUMBER.sub(shorter, raw) if command[0].upper().startswith(SCORES) else raw


# ---- rules: (command, our reply, the reference's) -> whether they count as the same

def within(slack):
    """Two live deadlines that differ by no more than the clocks were read apart."""
    def same(_command, ours, theirs):
        a, b = integer(ours), integer(theirs)
        return a is not None and b is not None and a >= 0 and b >= 0 and abs(a - b) <= slack
    return same


def same_elements(_command, ours, theirs):
    return ours[:1] == theirs[:1] and sorted(ours.split(b"\r\n")) == sorted(theirs.split(b"\r\n"))


def both_keys(_command, ours, theirs):
    """RANDOMKEY: a key of ours and a key of theirs; that the key exists is checked apart."""
    return not is_null(ours) and not is_null(theirs) and ours[:1] == b"$" and theirs[:1] == b"$"


def both_cursors(_command, ours, theirs):
    """One SCAN call gives what its server likes; whole iterations are compared apart."""
    return ours.startswith(b"*2\r\n") and theirs.startswith(b"*2\r\n")


def same_count(_command, ours, theirs):
    """As many elements."""
    if ours[:1] == b"$":
        return theirs[:1] == b"$" and not is_null(ours) and not is_null(theirs)
    return ours[:1] in b"*~" and ours[:ours.index(b"\r\n")] == theirs[:theirs.index(b"\r\n")]


def same_page(_command, ours, theirs):
    """A whole collection in one page, in the order of its server."""
    return ours[:12] == theirs[:12] == b"*2\r\n$1\r\n0\r\n*" and same_elements(_command, ours[11:], theirs[11:])


def same_scored_page(_command, ours, theirs):
    """The same scores, in other digits: ZSCAN of Redis and Valkey writes 17 of them if the sorted set is large, else as
    few as tell the number; ours always does the latter, as every other command."""
    def page(raw):
        value = parsed(raw)
        return [value[0], sorted(zip(value[1][0::2], map(float, value[1][1::2])))]
    return ours[:3] == theirs[:3] == b"*2\r" and page(ours) == page(theirs)


def same_places(command, ours, theirs):
    """COUNT with ANY takes those that are found first. Nobody says which of equally far ones comes first."""
    return "ANY" in command and same_count(command, ours, theirs) or "COUNT" not in command and same_elements(command, ours, theirs)


def same_opcodes(_command, ours, theirs):
    """PFDEBUG DECODE: of a HyperLogLog that ends within an opcode, Redis reads the byte behind its end as well."""
    mine, others = parsed(ours), parsed(theirs)
    both = isinstance(mine, bytes) and isinstance(others, bytes)
    return both and others.startswith(mine) and others[len(mine):].count(b" ") <= 1


def both_greetings(_command, ours, theirs):
    """HELLO names the server, its version and the connection's id; the rest of its map is the same."""
    own = re.compile(rb"(server|version|id)\r\n(\$\d+\r\n.*?|:\d+)\r\n")
    return ours[:1] in b"*%" and own.sub(b"", ours) == own.sub(b"", theirs)


def same_unsorted(command, ours, theirs):
    """SORT of a set with BY nosort: the elements in the order of its server."""
    return "nosort" in command and "LIMIT" not in command and same_elements(command, ours, theirs)


RULES = {
    "TTL": within(TTL_SLACK_S), "EXPIRETIME": within(TTL_SLACK_S), "PTTL": within(TTL_SLACK_MS), "PEXPIRETIME": within(TTL_SLACK_MS),
    "KEYS": same_elements, "SCAN": both_cursors, "HELLO": both_greetings, "RANDOMKEY": both_keys,
    "SMEMBERS": same_elements, "SINTER": same_elements, "SUNION": same_elements, "SDIFF": same_elements, "SSCAN": same_page, "ZSCAN": same_scored_page, "HSCAN": same_page,
    "HKEYS": same_elements, "HVALS": same_elements, "HGETALL": same_elements,
    "GEOSEARCH": same_places, "GEORADIUS": same_places, "GEORADIUSBYMEMBER": same_places, "GEORADIUS_RO": same_places, "GEORADIUSBYMEMBER_RO": same_places,
    "SORT": same_unsorted, "SORT_RO": same_unsorted, "PFDEBUG": same_opcodes, **{name: same_count for name in RANDOM},
}


def differ(command, ours, theirs):
    """Why two replies to one command are not the same, or None."""
    if ours == theirs:
        return None
    ours, theirs = with_shortest_scores(command, ours), with_shortest_scores(command, theirs)
    if ours == theirs:
        return None
    rule = RULES.get(command[0].upper())
    if rule and rule(command, ours, theirs):
        return None
    line = " ".join(command[:3]).upper()
    for words, mine, other, _reason in ALLOWED:
        if line.startswith(words) and re.fullmatch(mine, ours, re.S) and re.fullmatch(other, theirs, re.S):
            return None
    return "%s -> %s, reference %s" % (shown(command), shown(ours), shown(theirs))


def shown(x):
    text = repr(x)
    return text if len(text) < 300 else text[:200] + "..." + text[-80:]


# ---- chance

def drawn(command, raw):
    """What a random reply consists of -> (elements, what stands beside each, or None)."""
    value = parsed(raw)
    if value is None or raw[:1] not in b"*~":
        return [x for x in [value] if x is not None], None
    if not command[-1].upper().startswith("WITH"):
        return value, None
    if value and not isinstance(value[0], list):
        value = list(zip(value[0::2], value[1::2]))
    return [pair[0] for pair in value], [pair[1] for pair in value]


def follow_up(command, ours, theirs, a, b):
    """Looks at what two servers drew by lot, and brings them back into step -> what is wrong, or None."""
    if len(command) < 2:
        return None
    name, key = command[0].upper(), command[1]
    if name not in RANDOM:
        return sorted_alike(command, key, ours, theirs, a, b)
    if ours[:1] == b"-":
        return None
    mine, beside = drawn(command, ours)
    distinct = len(command) < 3 or not command[2].startswith("-")
    if distinct and len(set(mine)) != len(mine):
        return "%s gave an element twice: %s" % (shown(command), shown(ours))
    if name == "SPOP":
        return popped_apart(command, key, set(mine), set(drawn(command, theirs)[0]), a, b)
    if not mine:
        return None
    there = a.value(RANDOM[name], key, *mine)
    absent = 0 if name == "SRANDMEMBER" else None
    if absent in there or beside is not None and beside != there:
        return "%s gave what is not there: %s" % (shown(command), shown(ours))
    return None


def sorted_alike(command, key, ours, theirs, a, b):
    """Redis and Valkey turn a sorted set that SORT reads into a large one, for good: a copy is stored in its place. What
    only one of them could sort is not kept."""
    for peer in (a, b):
        if peer.value("TYPE", key) == "zset":
            peer.value("ZRANGESTORE", key, key, 0, -1)
        if ours != theirs and "STORE" in command[2:-1]:
            peer.value("DEL", *[into for word, into in zip(command[2:], command[3:]) if word == "STORE"])
    return None


def popped_apart(command, key, mine, others, a, b):
    """Takes from each server what the other one popped; it must have been there."""
    for peer, gone in ((a, others - mine), (b, mine - others)):
        if gone and peer.value("SREM", key, *sorted(gone)) != len(gone):
            return "%s popped what was not there: %s, reference %s" % (shown(command), shown(mine), shown(others))
    return None
