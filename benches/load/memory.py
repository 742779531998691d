"""Bytes of resident memory per key."""
import generator
import peers
import table

FIVE_MILLION, MILLION = 5000000, 1000000
VALUE = 32
VARIANTS = {"no TTL": "SET %s %v", "with TTL": "SET %s %v EX 1000000"}


def per_key(server, before, count):
    return (server.rss() - before) / count


def at_five_million(args):
    """16-byte keys with 32-byte values, without and with a deadline."""
    count, out = FIVE_MILLION // args.scale, []
    for server in [peers.ours(args), *peers.stock(args)]:
        row = [server.name]
        for request in VARIANTS.values():
            with peers.running([server]):
                before = server.rss()
                generator.load(server, request, count, value=VALUE)
                row.append(per_key(server, before, count))
        out.append(row)
    table.show("RSS growth per key, %s keys of 16 B with 32 B values" % table.number(count), ["server", *["B per key, " + v for v in VARIANTS]], out)


def curve(args):
    """The same from 1 to 16 million keys, at every million."""
    out, step = [], MILLION // args.scale
    with peers.running([peers.ours(args)]) as (server,):
        before = server.rss()
        for millions in range(1, 17):
            generator.load(server, VARIANTS["no TTL"], step, value=VALUE, first=(millions - 1) * step)
            out.append([millions * step, per_key(server, before, millions * step)])
    worst = max(row[1] for row in out)
    table.show("RSS growth per key while growing; worst %.1f B" % worst, ["keys", "B per key"], out)
