"""How punctually keys expire, and what waiting for deadlines costs."""
import time

import generator
import peers
import table

MILLION = 1000000
DUE_TOGETHER = 1000
IDLE_S = 5.0


def idle_cpu(server):
    """Percent of one core over some seconds."""
    before = server.cpu_s()
    time.sleep(IDLE_S)
    return (server.cpu_s() - before) / IDLE_S * 100


def lags_ms(conn, others, deadline_ms):
    """When each of the keys that were due was gone, seen by polling DBSIZE; ms after the deadline, in order."""
    lags = []
    while len(lags) < DUE_TOGETHER and time.time() * 1000 < deadline_ms + 10000:
        gone = others + DUE_TOGETHER - conn.ok("DBSIZE")
        lags += [time.time() * 1000 - deadline_ms] * (gone - len(lags))
    return lags


def percentile(values, share):
    return values[min(len(values) - 1, int(len(values) * share))] if values else None


def punctuality(args):
    """1000 keys with one deadline among 1 M volatile keys."""
    count, out = MILLION // args.scale, []
    for server in [peers.ours(args), *peers.stock(args)]:
        with peers.running([server]):
            empty = idle_cpu(server)
            generator.load(server, "SET %s %v EX 100000", count, value=32)
            full = idle_cpu(server)
            conn = server.conn(60)
            deadline_ms = int(time.time() * 1000) + 2000
            conn.pipe([("SET", "due:%d" % i, "v", "PXAT", deadline_ms) for i in range(DUE_TOGETHER)])
            time.sleep(1.9)
            lags = lags_ms(conn, count, deadline_ms)
            out.append([server.name, len(lags), percentile(lags, .5), percentile(lags, .99), max(lags, default=None), empty, full])
            conn.close()
    header = ["server", "expired", "p50 lag ms", "p99 lag ms", "worst lag ms", "idle CPU %, empty", "idle CPU %, 1 M volatile keys"]
    table.show("1000 keys with one deadline among %s volatile keys" % table.number(count), header, out)
