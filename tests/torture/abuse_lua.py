"""Scripts that try to leave the sandbox, to use up the server or to break the reply stream (cases of resp_abuse.py)."""
from abuse_cases import case
from tlib import Closed, RespError, Timeout, enc

# name, script, must it be refused?
PROBES = [
    ("bit.tohex overflow", "return bit.tohex(65535, -2147483648)", False),
    ("unpack overflow", "return unpack({}, 1, 2147483647)", False),
    ("string.rep 8 GB", "return #string.rep('x', 1024*1024*1024*8)", False),
    ("deep recursion", "local function f(n) return 1 + f(n+1) end return f(1)", False),
    ("pattern recursion", "return string.find(string.rep('a', 300000), string.rep('(a', 31) .. string.rep(')', 31) .. '*b')", False),
    ("deep nested parens in the source", "return " + "(" * 30000 + "1" + ")" * 30000, False),
    ("deep nested table reply", "local t={} local r=t for i=1,20000 do r[1]={} r=r[1] end return t", False),
    ("cjson deep decode", "return cjson.decode(string.rep('[',100000)..string.rep(']',100000))", False),
    ("cjson deep encode", "local t={} local r=t for i=1,100000 do r[1]={} r=r[1] end return cjson.encode(t)", False),
    ("cmsgpack bomb", "return cmsgpack.unpack(string.rep(string.char(0x91), 100000))", False),
    ("cmsgpack str32 length lie", "return cmsgpack.unpack(string.char(0xdb,0xff,0xff,0xff,0xff)..'x')", False),
    ("struct.pack huge", "return struct.pack('>I2147483647', 1)", False),
    ("struct.unpack neg", "return struct.unpack('c0', 'x', 4294967295)", False),
    ("getmetatable escape", "local m=getmetatable('') m.__index=function() return 1 end return ('x').foo", False),
    ("setmetatable(_G)", "setmetatable(_G, {}) return 1", True),
    ("load bytecode", "return loadstring(string.dump and string.dump(function() return 1 end) or '\\27Lua')()", True),
    ("os.execute", "return os.execute('true')", True),
    ("io.open", "return io.open('/etc/passwd')", True),
    ("require", "return require('os')", True),
    ("dofile", "return dofile('/etc/passwd')", True),
    ("package.loadlib", "return package.loadlib('libc.so.6','system')", True),
    ("debug", "return debug.getregistry()", True),
    ("global write", "x=1", True),
    ("overwrite redis", "redis.call=nil return 1", False),
    ("collectgarbage during parse", "local f=loadstring('collectgarbage() return 1') return f()", False),
    ("CRLF in error reply", "return redis.error_reply('A\\r\\n+INJECTED')", False),
    ("CRLF in status reply", "return redis.status_reply('A\\r\\n+INJECTED')", False),
    ("error table CRLF", "return {err='A\\r\\n+INJECTED'}", False),
    ("infinite metatable __index", "local t={} setmetatable(t,{__index=t}) return t.x", False),
    ("xpcall tower", "local function f() return xpcall(f,f) end f() return 1", False),
]


def reply_or_kill(h, c):
    """The script's reply; a script that takes too long must be killable."""
    try:
        return c.read()
    except Timeout:
        killer = h.conn(5)
        r = killer.cmd("SCRIPT", "KILL")
        killer.close()
        if isinstance(r, RespError) and "NOTBUSY" not in str(r):
            raise RespError("not killable: %s" % r)
        return c.read()


def probe(h, source, refused):
    c = h.conn(20)
    try:
        c.send(enc("EVAL", source, "0"))
        r = reply_or_kill(h, c)
        after = c.cmd("ECHO", "sentinel")
    except (Closed, RespError) as e:
        return str(e)
    finally:
        c.close()
    if after != b"sentinel":
        return "reply stream desynchronised, ECHO gave %r" % after
    if refused and not isinstance(r, RespError):
        return "allowed, returned %r" % r
    return None if h.ping() else "no PING afterwards"


@case("Lua: 30 sandbox and resource probes; no crash, no leak of replies", needs="lua")
def _(h):
    for name, source, refused in PROBES:
        fault = probe(h, source, refused)
        if fault:
            return "%s: %s" % (name, fault)
    # Poisoning must not outlive a script.
    r = h.ctl.cmd("EVAL", "return {redis.call('PING'), ('x').foo or 'nil'}", "0")
    if isinstance(r, RespError) or r[1] != b"nil":
        return "state leaked between scripts: %r" % (r,)
    return None
