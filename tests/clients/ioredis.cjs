// ioredis as a program uses it: ioredis.cjs PORT PROTOCOL. Any difference is an AssertionError.
// ioredis speaks RESP2 only; for PROTOCOL 3 the greeting is also asked for by hand.
"use strict";
const assert = require("node:assert/strict");
const net = require("node:net");
const Redis = require("ioredis");

const port = Number(process.argv[2]);
const protocol = process.argv[3];

async function commands(r) {
  await r.flushall();
  assert.equal(await r.ping(), "PONG");
  assert.equal(await r.set("greeting", "hello"), "OK");
  assert.equal(await r.get("greeting"), "hello");
  assert.equal(await r.get("absent"), null);
  assert.equal(await r.set("greeting", "bye", "EX", 100, "NX"), null);
  assert.equal(await r.incr("counter"), 1);
  assert.equal(await r.incrby("counter", 41), 42);
  assert.equal(await r.mset({ a: 1, b: 2 }), "OK");
  assert.deepEqual(await r.mget("a", "b", "absent"), ["1", "2", null]);
  assert.equal(await r.expire("a", 100), 1);
  const ttl = await r.ttl("a");
  assert.ok(ttl > 0 && ttl <= 100);
  assert.equal(await r.del("a", "absent"), 1);
  await assert.rejects(r.incr("greeting"), { message: "ERR value is not an integer or out of range" });
}

async function scans(r) {
  await r.mset(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`scan:${i}`, i])));
  const found = new Set();
  for await (const keys of r.scanStream({ match: "scan:*", count: 50 })) keys.forEach((k) => found.add(k));
  assert.equal(found.size, 500);
}

async function pipelines(r) {
  const p = r.pipeline();
  for (let i = 0; i < 1000; i++) p.set(`p:${i}`, i).incr(`p:${i}`);
  const replies = await p.exec();
  replies.filter((_, at) => at % 2).forEach(([error, value], i) => assert.deepEqual([error, value], [null, i + 1]));
  const automatic = await Promise.all(Array.from({ length: 100 }, (_, i) => r.get(`p:${i}`)));
  assert.deepEqual(automatic, Array.from({ length: 100 }, (_, i) => String(i + 1)));
}

async function reconnects(r) {
  const id = await r.client("ID");
  const again = new Promise((resolve) => r.once("ready", resolve));
  const other = new Redis({ port });
  assert.equal(await other.client("KILL", "ID", id), 1);
  other.disconnect();
  await again;
  assert.equal(await r.ping(), "PONG");
  assert.notEqual(await r.client("ID"), id);
}

// What a RESP3 client sends first: the greeting must come back as a map.
function hello3() {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = net.connect(port, "127.0.0.1", () => socket.write("HELLO 3\r\nGET absent\r\nQUIT\r\n"));
    socket.on("data", (chunk) => (text += chunk));
    socket.on("error", reject);
    socket.on("end", () => resolve(text));
  });
}

async function main() {
  if (protocol === "3") assert.match(await hello3(), /^%7\r\n\$6\r\nserver\r\n[^]*\r\n_\r\n\+OK\r\n$/);
  const r = new Redis({ port, enableAutoPipelining: true, connectionName: "smoke" });
  r.on("error", () => {}); // the kill below is expected; a failed command rejects by itself
  await commands(r);
  await scans(r);
  await pipelines(r);
  assert.equal(await r.client("GETNAME"), "smoke");
  await reconnects(r);
  r.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
