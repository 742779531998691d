"""Templates for diff_fuzz.py: commands on keys of any type, and what is said out of place in transactions, whose frame
diff_commands.Generator draws."""
from diff_commands import DOMAINS, KEYS_PER_FAMILY

# Not the places of diff_geo.py nor the sets ordered by text: no other sorted set may get among them, whose members are equally
# far away, or not equally high.
FAMILIES = "snblpthz"


def other(r):
    return "%s%d" % (r.choice(FAMILIES), r.randrange(KEYS_PER_FAMILY))


DOMAINS.update({"other": other})

TEMPLATES = [
    (2, "RENAME %other %other"), (1, "RENAMENX %other %other"), (2, "COPY %other %other REPLACE"), (1, "COPY %other %other DB %db"), (1, "MOVE %other %db"),
    (3, "DEL %other+"), (1, "UNLINK %other+"), (2, "TYPE %other"), (2, "OBJECT ENCODING %other"), (2, "EXPIRE %other %s %flags"), (1, "PEXPIREAT %other %atms"), (1, "PERSIST %other"), (1, "PTTL %other"),
    (0.5, "BITCOUNT %other"), (0.5, "GET %other"), (0.5, "APPEND %other x"), (0.5, "LLEN %other"), (0.5, "ZCARD %other"), (0.5, "PFCOUNT %other"), (0.5, "SETNX %other %value"), (0.5, "GETSET %other %value"),
    (1, "SORT %other BY nosort"), (1, "TOUCH %other+"), (1, "EXISTS %other+"),
    (0.5, "EXEC"), (0.5, "DISCARD"), (1, "WATCH %other+"), (1, "UNWATCH"),
]
