"""What an idle connection costs."""
import time

import peers
import table
from expiry import idle_cpu
from tlib import raise_nofile

CONNECTIONS = 10000
SETTLE_S = 4.0


def idle(args):
    """RSS per connection after one PING each."""
    count, out = min(CONNECTIONS // args.scale, raise_nofile() - 200), []
    for server in [peers.ours(args), *peers.stock(args)]:
        with peers.running([server]):
            server.conn().ok("PING")
            before = server.rss()
            conns = [server.conn(30) for _ in range(count)]
            opened = server.rss()
            for c in conns:
                c.ok("PING")
            pinged = server.rss()
            time.sleep(SETTLE_S)
            settled = server.rss()
            out.append([server.name, *[(rss - before) / count for rss in (opened, pinged, settled)], idle_cpu(server)])
            for c in conns:
                c.close()
    header = ["server", "B each, opened", "B each, after one PING", "B each, %.0f s later" % SETTLE_S, "idle CPU %"]
    table.show("%s idle connections" % table.number(count), header, out)
