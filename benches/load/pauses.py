"""The worst GET of another client while one heavy thing goes on.

The machine stalls by itself now and then: an echo server on the same core, as favoured as the server, is probed at the
same time, and a window of 100 ms in which it was slow as well (or the windows beside it) is counted apart.
"""
import time

import generator
import peers
import table

MILLION = 1000000
HOT_KEYS = 1000
SLOW_MS = 5.0
HEADER = ["what", "server", "worst ms", "worst ms beyond the echo", "windows > 5 ms", "of them beyond the echo", "p99.9 µs", "echo worst ms", "took s", "notes"]


def beyond(series, echo):
    """The windows in which only the server was slow, not the machine."""
    def calm(i):
        return all(x <= SLOW_MS for x in echo[max(0, i - 1):i + 2])
    return [x for i, x in enumerate(series) if calm(i)]


def probed(what, server, act):
    """Probe the server and an echo server while `act` goes on -> a row of the table."""
    with peers.running([peers.Echo(64)]) as (echo,):
        probes = [generator.Probe(server, HOT_KEYS), generator.Probe(echo)]
        time.sleep(1.0)
        began = time.monotonic()
        notes = act()
        took = time.monotonic() - began
        time.sleep(0.5)
        sample, floor = (probe.stop() for probe in probes)
    alone = beyond(sample["series_ms"], floor["series_ms"])
    slow = [x for x in sample["series_ms"] if x > SLOW_MS]
    return [what, server.name, sample["max_us"] / 1e3, max(alone, default=None), len(slow), sum(x > SLOW_MS for x in alone), sample["p999_us"], floor["max_us"] / 1e3, took, notes or ""]


def with_each(args, prepare_and_probe):
    """One server after the other, each alone on its core."""
    out = []
    for server in [peers.ours(args), *peers.stock(args)]:
        with peers.running([server]):
            generator.load(server, "SET %s %v", HOT_KEYS, pipeline=10, conns=1)
            out += prepare_and_probe(server)
    return out


def grow(server, first, count):
    def act():
        sample = generator.load(server, "SET %s %v", count, conns=10, pipeline=20, value=32, first=first)
        return "%.2f CPU µs per SET, slowest %.1f ms" % (sample["cpu_us_op"], sample["max_us"] / 1e3)
    return act


def growth(args):
    """4 M keys overwritten (nothing grows), then 4 M grown to 16 M."""
    start, more = 4 * MILLION // args.scale, 12 * MILLION // args.scale

    def both(server):
        generator.load(server, "SET %s %v", start, value=32)
        return [probed("overwriting 4 M keys", server, grow(server, 0, start)), probed("growing from 4 M to 16 M keys", server, grow(server, start, more))]
    table.show("Growing tables", HEADER, with_each(args, both))


def read_all(server, request):
    """One long reply, read by the generator below the probe -> a note. The probe goes first on their core, and reading costs little in C."""
    sample = generator.run(server, request, ops=1, conns=1)
    return "whole reply after %.2f s" % (sample["max_us"] / 1e6)


def all_keys(args):
    """KEYS * on 5 M keys, and SCAN for all of them at once."""
    count = 5 * MILLION // args.scale

    def keys(server):
        generator.load(server, "SET %s %v", count, value=32)
        requests = ["KEYS *", "SCAN 0 COUNT %d" % (2 * count)]
        return [probed("%s on %s keys" % (request, table.number(count)), server, lambda: read_all(server, request)) for request in requests]
    table.show("KEYS and SCAN", HEADER, with_each(args, keys))


def expire_all(server, deadline_s, left):
    """Wait for the deadline and until only `left` keys are there -> a note."""
    with_server = server.conn(60)
    time.sleep(max(0.0, deadline_s - time.time()))
    while with_server.ok("DBSIZE") > left and time.time() < deadline_s + 30:
        time.sleep(0.01)
    drained = time.time() - deadline_s
    remaining = with_server.ok("DBSIZE") - left
    with_server.close()
    return "gone after %.2f s, %d left" % (drained, remaining)


def storm(args):
    """1 M keys that expire in the same second."""
    count = MILLION // args.scale

    def expire(server):
        deadline_s = int(time.time()) + args.load_s
        generator.load(server, "SET x%%s %%v EXAT %d" % deadline_s, count, value=32)
        if time.time() > deadline_s - 1.5:
            raise SystemExit("loading took longer than --load-s %d" % args.load_s)
        time.sleep(max(0.0, deadline_s - 2 - time.time()))
        return [probed("%s keys expire in one second" % table.number(count), server, lambda: expire_all(server, deadline_s, HOT_KEYS))]
    table.show("Expiry storm", HEADER, with_each(args, expire))
