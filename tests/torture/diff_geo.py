"""Templates for diff_fuzz.py: places on the globe. They are drawn anew each time, so that hardly ever two of them are
equally far away: which of those comes first is nobody's promise. Distances are stored to keys of their own (gd), for the
same reason: taken for places, many of them are one."""
from diff_commands import DOMAINS, keys, word

MEMBERS = ["m%d" % n for n in range(12)] + ["", "y\x00\xff"]
UNITS = ["m", "km", "ft", "mi", "KM"]


def longitude(r):
    return "%.6f" % r.uniform(-180, 180) if r.random() < 0.97 else r.choice(["180", "-180", "180.1", "x", "", "nan", "inf"])


def latitude(r):
    return "%.6f" % r.uniform(-85, 85) if r.random() < 0.97 else r.choice(["85.05112878", "-85.05112878", "85.06", "-90", "x", "", "nan"])


def place(r):
    """Half of them near one another, half anywhere."""
    if r.random() < 0.5:
        return ["%.6f" % r.uniform(13, 16), "%.6f" % r.uniform(37, 39)]
    return [longitude(r), latitude(r)]


def member(r):
    return r.choice(MEMBERS)


def places(r):
    return sum([place(r) + [member(r)] for _ in range(r.choice([1, 2, 5]))], [])


def many_places(r):
    """Crosses, in one or two of them, the limit of small sorted sets."""
    return sum([place(r) + ["p%d" % r.randrange(300)] for _ in range(r.choice([20, 100]))], [])


def add_options(r):
    return r.choice([[], [], [], ["NX"], ["XX"], ["CH"], ["XX", "CH"], ["nx", "ch"], ["NX", "XX"], ["GT"]])


def unit(r):
    return r.choice(UNITS) if r.random() < 0.97 else r.choice(["", "yd"])


def length(r):
    return "%.3f" % 10 ** r.uniform(-1, 7.2) if r.random() < 0.95 else r.choice(["0", "-1", "x", "", "nan", "1e400"])


def centre(r):
    return r.choice([["FROMMEMBER", member(r)], ["FROMLONLAT"] + place(r), ["fromlonlat"] + place(r)])


def area(r):
    return r.choice([["BYRADIUS", length(r), unit(r)], ["BYBOX", length(r), length(r), unit(r)], ["bybox", length(r), length(r), unit(r)]])


def limit(r, any_of_them=True):
    return r.choice([[], [], ["COUNT", r.choice(["1", "3", "100"])], ["COUNT", r.choice(["0", "-1", "x"])]] + ([["COUNT", "2", "ANY"], ["ANY"]] if any_of_them else []))


def shown(r):
    return r.sample(["WITHCOORD", "WITHDIST", "WITHHASH", "withdist"], r.choice([0, 0, 1, 2, 3]))


def order(r):
    return r.choice([[], ["ASC"], ["DESC"], ["asc"]])


def shuffled(r, *groups):
    groups = [group for group in groups if group]
    r.shuffle(groups)
    return sum(groups, [])


def search(r):
    spoilt = r.random()
    return shuffled(r, centre(r), area(r), order(r), limit(r), shown(r), centre(r) if spoilt < 0.01 else [], area(r) if spoilt > 0.99 else [])


def search_stored(r):
    return shuffled(r, centre(r), area(r), order(r), limit(r, False), ["WITHDIST"] if r.random() < 0.02 else [])


def search_dist(r):
    return shuffled(r, ["STOREDIST"], centre(r), area(r), order(r), limit(r, False))


def stored(r):
    return r.choice([[], [], [], [], [r.choice(["STORE", "store"]), keys("g")(r)], ["STOREDIST", keys("gd")(r)]])


def radius_options(r):
    into = stored(r)
    return shuffled(r, into, order(r), limit(r, not into), shown(r) if not into or r.random() < 0.05 else [])


DOMAINS.update({
    "geo": keys("g"), "gmember": member, "places": places, "manyplaces": many_places, "place": place, "gaddopts": add_options, "unit": unit, "length": length,
    "unitopt": lambda r: r.choice([[], [unit(r)]]), "search": search, "searchstored": search_stored, "gdist": keys("gd"), "searchdist": search_dist, "radiusopts": radius_options,
    "readopts": lambda r: shuffled(r, order(r), limit(r), shown(r), ["STORE", "g1"] if r.random() < 0.03 else []), "gsearchbad": word(["BOGUS"], ["BYRADIUS", "1", "m"], ["FROMMEMBER", "m1"], []),
})

TEMPLATES = [
    (10, "GEOADD %geo %gaddopts %places"), (2, "GEOADD %geo %manyplaces"), (0.5, "GEOADD %any %places"), (3, "GEOPOS %geo %gmember+"), (3, "GEOHASH %geo %gmember+"), (0.5, "GEOPOS %other %gmember"),
    (4, "GEODIST %geo %gmember %gmember %unitopt"), (0.5, "GEODIST %other m1 m2"), (8, "GEOSEARCH %geo %search"), (0.5, "GEOSEARCH %lcs %search"), (0.5, "GEOSEARCH %geo %gsearchbad"),
    (3, "GEOSEARCHSTORE %geo %geo %searchstored"), (1, "GEOSEARCHSTORE %gdist %geo %searchdist"), (0.5, "GEOSEARCHSTORE %other %geo %searchstored"), (4, "GEORADIUS %geo %place %length %unit %radiusopts"),
    (4, "GEORADIUSBYMEMBER %geo %gmember %length %unit %radiusopts"), (2, "GEORADIUS_RO %geo %place %length %unit %readopts"), (2, "GEORADIUSBYMEMBER_RO %geo %gmember %length %unit %readopts"),
    (2, "ZRANGE %geo 0 -1 WITHSCORES"), (2, "ZREM %geo %gmember+"), (1, "OBJECT ENCODING %geo"), (1, "DEL %geo"), (0.5, "ZADD %geo 1e300 m0"),
]
