"""redis-py as a program uses it: redis_py.py PORT PROTOCOL. Any difference is an AssertionError."""
import sys

import redis


def commands(r):
    r.flushall()
    assert r.ping()
    assert r.set("greeting", "hello") and r.get("greeting") == b"hello"
    assert r.get("absent") is None
    assert r.set("greeting", "again", nx=True) is None
    assert r.set("greeting", "bye", get=True) == b"hello"
    assert r.incr("counter") == 1 and r.incrby("counter", 41) == 42
    assert r.incrbyfloat("pi", "3.25") == 3.25
    assert r.mset({"a": 1, "b": 2}) and r.mget("a", "b", "absent") == [b"1", b"2", None]
    assert r.expire("a", 100) and 0 < r.ttl("a") <= 100
    assert r.ttl("b") == -1 and r.ttl("absent") == -2
    assert r.delete("a", "absent") == 1 and r.exists("a", "b") == 1
    assert r.rename("b", "c") and r.type("c") == b"string"
    assert r.getdel("c") == b"2" and r.dbsize() == 3


def scans(r):
    r.mset({"scan:%d" % i: i for i in range(500)})
    assert len(set(r.scan_iter(match="scan:*", count=50))) == 500


def pipelines(r):
    with r.pipeline(transaction=False) as p:
        for i in range(1000):
            p.set("p:%d" % i, i)
            p.incr("p:%d" % i)
        replies = p.execute()
    assert replies[1::2] == list(range(1, 1001))


def errors(r):
    r.set("text", "abc")
    try:
        r.incr("text")
    except redis.ResponseError as e:
        assert str(e) == "value is not an integer or out of range", e
    else:
        raise AssertionError("INCR of text was accepted")


def large_values(r):
    big = bytes(range(256)) * 4096
    assert r.set("big", big) and r.get("big") == big and r.strlen("big") == len(big)


def names_and_reconnects(r, port):
    assert r.client_setname("smoke") and r.client_getname() in ("smoke", b"smoke")
    number = r.client_id()
    with redis.Redis(port=port) as other:
        assert other.client_kill_filter(_id=number) == 1
    assert r.ping(), "redis-py reconnects by itself"
    assert r.client_id() != number


def databases(port, protocol):
    with redis.Redis(port=port, db=3, protocol=protocol) as r:
        r.set("only here", 1)
        assert r.dbsize() == 1
    with redis.Redis(port=port, db=0, protocol=protocol) as r:
        assert r.exists("only here") == 0


def main():
    port, protocol = int(sys.argv[1]), int(sys.argv[2])
    with redis.Redis(port=port, protocol=protocol, single_connection_client=True, retry_on_error=[redis.ConnectionError]) as r:
        commands(r)
        scans(r)
        pipelines(r)
        errors(r)
        large_values(r)
        names_and_reconnects(r, port)
    databases(port, protocol)


if __name__ == "__main__":
    main()
