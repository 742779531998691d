"""Server CPU per operation, throughput and latency of GET and SET, all servers in turn, round by round."""
import generator
import peers
import table

PIPELINES = (1, 16, 100)
HEADER = ["load", "server", "CPU µs/op", "÷ redis", "÷ valkey", "÷ echo", "ops/s", "p50 µs", "p99 µs", "p99.9 µs", "disturbed"]
NEEDED_SAMPLE_OPS = 1000


def requests(value):
    """-> {name: (request, bytes of the echo server's canned reply)}"""
    return {"GET": ("GET %k", value), "SET": ("SET %k %v", 0)}


def rounds(servers, args, request, options, sample=generator.run_quiet):
    """Samples per server, taken A B C A B C; a server that cannot do it is left out with its error."""
    samples = {s.name: [] for s in servers}
    for _ in range(args.rounds):
        for server in servers:
            try:
                samples[server.name].append(sample(server, request, secs=args.secs, keys=args.keys, **options))
            except generator.Failed as e:
                print("%s: %s: %s" % (server.name, request, e), flush=True)
    return {name: table.median(taken) for name, taken in samples.items() if taken}


def rows(load, medians):
    def ratio(figures, other):
        reference = next((m for name, m in medians.items() if name.startswith(other)), None)
        return figures["cpu_us_op"] / reference["cpu_us_op"] if reference else None
    return [[load, name, m["cpu_us_op"], ratio(m, "redis"), ratio(m, "valkey"), ratio(m, peers.ECHO), m["ops_s"], m["p50_us"], m["p99_us"], m["p999_us"], m["disturbed"]]
            for name, m in medians.items()]


def single_shard(args, value):
    """1 shard on 1 core against the peers, generator on the other core."""
    out = []
    with peers.running([peers.ours(args), *peers.stock(args)]) as servers:
        for server in servers:
            generator.load(server, "SET %s %v", args.keys, value=value)
        for name, (request, canned) in requests(value).items():
            with peers.running([peers.Echo(canned)]) as (echo,):
                for pipeline in PIPELINES:
                    medians = rounds([*servers, echo], args, request, {"pipeline": pipeline, "value": value})
                    out += rows("%s, %d B, %d pipelined" % (name, value, pipeline), medians)
    table.show("GET and SET of %d-byte values, %s keys, 50 connections, 1 shard on 1 core" % (value, table.number(args.keys)), HEADER, out)


def two_shards(args):
    """1 and 2 shards, both cores for server and generator alike, keys at random."""
    out = []
    servers = [peers.ours(args, shards, generator.BOTH_CPUS) for shards in (1, 2)]
    with peers.running(servers):
        for server in servers:
            generator.load(server, "SET %s %v", args.keys)
        for name, (request, _) in requests(64).items():
            for pipeline in PIPELINES:
                options = {"pipeline": pipeline, "threads": 2, "cpus": generator.BOTH_CPUS}
                # Server and generator wait for one another's cores here: no sample would pass for undisturbed.
                medians = rounds(servers, args, request, options, sample=generator.run)
                one = medians[servers[0].name]["cpu_us_op"]
                out += [["%s, %d pipelined" % (name, pipeline), server, m["cpu_us_op"], m["cpu_us_op"] / one, m["ops_s"], m["p50_us"], m["p99_us"]] for server, m in medians.items()]
        out_idle = idle_shard(servers[1], args)
    table.show("2 shards on 2 cores, 64-byte values, random keys, 50 connections", ["load", "server", "CPU µs/op", "÷ 1 shard", "ops/s", "p50 µs", "p99 µs"], out)
    table.show("One connection at 2 shards: sleeps per operation, by thread", ["thread", "sleeps per operation"], out_idle)


def idle_shard(server, args):
    """One connection's keys lie in both shards, but only the loop that has the connection may be woken."""
    before = server.wakeups()
    sample = generator.run(server, "GET %k", conns=1, secs=args.secs, keys=args.keys)
    after = server.wakeups()
    counts = sorted(((after[t] - before.get(t, 0)) / max(sample["ops"], NEEDED_SAMPLE_OPS) for t in after), reverse=True)
    return [["busiest" if i == 0 else "next", "%.4f" % n] for i, n in enumerate(counts[:3])]
