// Prints packets, good and bad, and what the reference parsers make of each, as JSON lines:
//
//	node corpus.js [count] [seed]
//
// {"packet", "error"} is refused; {"packet", "type", "namespace", "id", "payload"} is accepted, its type being the digits
// that the packet starts with. Without arguments it prints shared/wire/testdata/socketio.jsonl.

import { decodePacket } from "engine.io-parser";
import { Decoder } from "socket.io-parser";

const [count = 600, seed = 1] = process.argv.slice(2).map(Number);
if (!Number.isInteger(count) || !Number.isInteger(seed)) {
  console.error("usage: node corpus.js [count] [seed]");
  process.exit(2);
}

const engineTypes = { open: "0", close: "1", ping: "2", pong: "3", message: "4", upgrade: "5", noop: "6" };

// decode is what engine.io and socket.io do with a text message.
function decode(packet) {
  const { type, data } = decodePacket(packet);
  if (!(type in engineTypes)) {
    return { packet, error: data };
  }
  if (type !== "message") {
    return { packet, type: engineTypes[type], payload: data };
  }
  const decoder = new Decoder();
  let decoded;
  decoder.on("decoded", (p) => (decoded = p));
  try {
    decoder.add(data);
  } catch (err) {
    return { packet, error: err instanceof TypeError ? "no data" : err.message }; // "4" alone: Node's words depend on its version
  }
  if (!decoded) {
    return { packet, type: "4" + data[0] }; // binary: waits for its attachments
  }
  const id = decoded.id === undefined ? undefined : String(decoded.id); // JSON has neither NaN nor Infinity
  return { packet, type: "4" + decoded.type, namespace: decoded.nsp, id, payload: decoded.data };
}

// mulberry32: the same packets for the same seed, everywhere.
let state = seed >>> 0;
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = state;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];
const times = (n, f) => Array.from({ length: n }, f);

// Packets on the edges of the documents and of the parsers.
const edges = [
  "", "0", "1", "2", "3", "4", "5", "6", "7", "9", "a", "b", " ", "\ufeff40", "0{}", "1x", "2probe", "3probe", "bAQID", "\u00e940",
  "40", "41", "42", "43", "44", "45", "46", "47", "49", "4a", "4 ", "4\n{}", "4-1", "4abc", "4\u0662[\"x\"]",
  "40/", "40/,", "40,", "40/ws/app", "40/ws/app,", '40/ws/app,{"token":"t"}', "40{}", '40/ws/app,"x"', "40/ws/app,[]", "40/ws/app,null",
  "40/ws/app,7", "40/ws/app,7{}", "40/ws/app,{", "40/ws/app,{}x", "40/ws/app,{} ", "40/ws/app?a=1&b=2,{}", '40/other,{"a":{"b":[1,2]}}',
  "41/ws/app,", "41/ws/app", "41/ws/app,7", "41/ws/app,null", "41/ws/app,{}", "41x",
  '42["x"]', '42/ws/app,["x"]', '42/ws/app["x"]', "42/ws/app,", "42/ws/app,7", "42{}", "42/ws/app,{}", "42/ws/app,[]", "42/ws/app,[ ]",
  '42/ws/app,abc["x"]', "42/ws/app,[7]", "42/ws/app,[-0]", "42/ws/app,[1e999]", "42/ws/app,[07]", "42/ws/app,[null]", "42/ws/app,[true]",
  '42/ws/app,[["x"]]', '42/ws/app,[{"x":1}]', '42/ws/app,[""]', '42/ws/app,["error"]', '42/ws/app,["x",]', '42/ws/app,["x"', '42/ws/app,["x"]]',
  '42/ws/app,["x",{"a":"]"}]', '42/ws/app,["x","\\"]",1]', '42/ws/app,["x","\\\\"]', '42/ws/app,["x",null]', '42/ws/app,[ "x" , {"a":1} , 2 ] ',
  '42/ws/app,["a\\u0062c"]', '42/ws/app,["\\u0063onnect"]', '42/ws/app,["\\ud83d\\ude00"]', '42/ws/app,["\\ud83d"]', '42/ws/app,["\u{1f600}"]',
  '42/ws/app,["\u2028\u007f"]', '42/ws/app,["a\nb"]', '42/ws/app,["a\\qb"]', '42/ws/app,["\u0000"]',
  ...["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener", "Connect", "error"].map((e) => `42["${e}"]`),
  ...["0", "00", "007", "10", "-1", "+1", "1.5", "1e3", "0x1", "9007199254740993", "9".repeat(20), "9".repeat(21), "9".repeat(400), "\u0661"].map((id) => `42/ws/app,${id}["x"]`),
  '42/ws/app, ["x"]', '42/ws/app,12 ["x"]', '42/ws/app,1 2["x"]', '42/ws/app,\u00a012["x"]', '42 ["x"]', '42\n["x"]', "43/ws/app,1 []",
  "43/ws/app,12[]", '43/ws/app,12["connect",{}]', "43/ws/app,[]", "43/ws/app,12", "43/ws/app,12{}", "43/ws/app,12[", "4312[1]",
  "44/ws/app,", "44/ws/app,{}", '44/ws/app,"x"', "44/ws/app,7", "44[]", "44{",
  '451-["x",{"_placeholder":true,"num":0}]', '45["x"]', "450-[]", "4511-[]", "45-", '461-/ws/app,12[{"_placeholder":true,"num":0}]', "46x",
];

const numbers = ["0", "-0", "1", "-7", "1.5", "0.1", "1e3", "-2.5E-7", "9007199254740993", "1e999", "123456789012345678901234567890"];
const strings = [
  "", "x", "connect", "disconnecting", "presence:heartbeat", "conversations:join", "messages:new", "c1", "\u00e9t\u00e9", "\u{1f600}", "a\"b\\c", "]", "}", "[,", "{:", "tab\there",
  "\u2028", "\u0000", "\u007f", "__proto__", "num", "_placeholder",
];
const space = () => pick(["", "", "", "", "", "", " ", "\n", " \t\r\n"]);

// string is a JSON string, some of it escaped though it need not be.
function string() {
  return JSON.stringify(pick(strings)).replace(/[a-z]/g, (c) => (below(12) ? c : "\\u00" + c.charCodeAt(0).toString(16)));
}

function json(depth) {
  switch (below(depth > 0 ? 8 : 5)) {
    case 0: return pick(["true", "false", "null"]);
    case 1: return pick(numbers);
    case 2: case 3: case 4: return string();
    case 5: case 6: return array(times(below(4), () => json(depth - 1)));
    default: return "{" + times(below(4), () => space() + string() + space() + ":" + space() + json(depth - 1) + space()).join(",") + "}";
  }
}

function array(elements) {
  return "[" + elements.map((e) => space() + e + space()).join(",") + "]";
}

// valid is a packet as the documents have it.
function valid() {
  const namespace = pick(["", "", "/ws/app,", "/ws/app,", "/ws/app,", "/,", "/other,", "/a?b=c,", "/\u00e9 \u{1f600},", "/ws/app"]);
  const id = pick(["", "", "", "0", "7", "12", "007", String(below(1e9)), "9007199254740991", "18446744073709551615", "123456789012345678901"]);
  const args = () => times(below(4), () => json(3));
  switch (below(12)) {
    case 0: return pick("012356") + pick(["", "", "probe", "{}"]);
    case 1: case 2: return "40" + namespace + pick(["", "{}", '{"token":"a.b.c"}', json(2)]);
    case 3: return "41" + namespace + pick(["", "", id]);
    case 4: return "43" + namespace + id + array(args());
    case 5: return "44" + namespace + pick(["", '{"message":"Invalid namespace"}', string(), json(1)]);
    case 6: return pick(["45", "46"]) + pick(["1-", "2-", "10-", "11-", ""]) + namespace + id + array([string(), '{"_placeholder":true,"num":0}']);
    default: return "42" + namespace + id + array([pick([string(), string(), string(), pick(numbers), json(1)]), ...args()]);
  }
}

const alphabet = [...'0123456789/,,[[]]{}""\\:- \t\n.+eEnulltrufasx\u00a0\u00e9\u0662\u2028\ufeff\u{1f600}\u0000\u007f'];

// mutate changes a few characters of a packet.
function mutate(packet) {
  const c = [...packet];
  for (let n = 1 + below(3); n > 0; n--) {
    const at = below(below(2) ? Math.min(c.length, 16) + 1 : c.length + 1);
    switch (below(6)) {
      case 0: c.splice(at, 1); break;
      case 1: c.splice(at, 0, pick(alphabet)); break;
      case 2: c.splice(at, 1, pick(alphabet)); break;
      case 3: c.splice(at, 0, ...c.slice(at, at + 1 + below(8))); break;
      case 4: c.splice(at, 1 + below(8)); break;
      default: c.length = at; break;
    }
  }
  return c.join("");
}

function generate() {
  switch (below(8)) {
    case 0: return pick(["", "4", "40", "42", "43", "42/ws/app,", "42/ws/app,1"]) + times(below(24), () => pick(alphabet)).join("");
    case 1: case 2: case 3: return valid();
    default: return mutate(valid());
  }
}

for (let n = 0; n < count; n++) {
  const line = JSON.stringify(decode(n < edges.length ? edges[n] : generate())) + "\n";
  if (!process.stdout.write(line)) {
    await new Promise((resolve) => process.stdout.once("drain", resolve));
  }
}
