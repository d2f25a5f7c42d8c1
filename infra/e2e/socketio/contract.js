// The contract, row by row, as the stock client sees it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, drain, eventually, invoke, participants, plain, publish, ready, token, within } from "./system.js";

const success = { success: true };
const failed = (code) => (ack) => ack.success === false && ack.code === `socket_error:${code}` && ack.message.length > 0;
const about = (user, sockets) => (snapshot) => snapshot.userId === user && snapshot.sockets.length === sockets;

test("notifications:ready: whoever has it is reached by the next publish", async () => {
  const rounds = Array.from({ length: 8 }, async (_, i) => {
    const user = `ready.${i}`;
    const socket = connect({ token: token(user) });
    const [payload] = await socket.inbox.next("notifications:ready");
    const answer = await publish({ event: "notifications:new", data: { eventKey: "k", notification: {} }, to: { users: [user] } });
    assert.deepEqual([answer.matched, answer.delivered], [1, 1]);
    await socket.inbox.next("notifications:new");
    assert.deepEqual(Object.keys(payload).sort(), ["message", "userId"]);
    assert.equal(payload.userId, user);
    assert.ok(payload.message);
    assert.equal(socket.inbox.all("connect").length, 1);
  });
  await Promise.all(rounds);
});

const dto = `{"id":"m1", "body":"<b>&amp; \\u2028 \\ud83d\\ude00 ü","n":1.0,"big":12345678901234567890,"zero":-0.0,"b":{"z":1,"a":[ ]}}`;
const messages = (event, dto) => [event, `{"conversationId":"c1","message":${dto},"senderId":"bob","recipients":["dto.alice", "bob"],"more":1}`];
for (const [event, data, to] of [
  ["notifications:new", `{"eventKey":"task.assigned","notification":${dto}}`, { users: ["dto.alice"] }],
  messages("messages:new", dto),
  messages("messages:updated", dto),
  messages("messages:deleted", `{"status":"deleted","deletedAt":"2026-01-01T00:00:00Z","dto":${dto}}`),
  ["error", `{"code":"app:maintenance", "message":"soon"}`, { all: true }],
]) {
  test(`${event}: byte for byte`, async () => {
    const socket = await ready("dto.alice");
    await publish(`{"event":"${event}","data":${data}${to ? `,"to":${JSON.stringify(to)}` : ""}}`);
    const [payload] = await socket.inbox.next(event);
    assert.deepEqual(payload, JSON.parse(data));
    await socket.inbox.next("packet", (packet) => packet === `2/ws/app,["${event}",${data}]`);
  });
}

test("presence:update: connect, heartbeat, disconnect, to everybody", async () => {
  const observer = await ready("presence.observer");
  const socket = await ready("presence.alice");
  const [online] = await observer.inbox.next("presence:update", about("presence.alice", 1));
  assert.deepEqual(Object.keys(online).sort(), ["isOnline", "lastSeen", "sockets", "userId"]);
  const { connectedAt, lastSeen, ...rest } = online.sockets[0];
  assert.ok(online.isOnline && Date.now() - connectedAt < 60_000 && lastSeen >= connectedAt && online.lastSeen >= lastSeen);
  assert.deepEqual(rest, { socketId: socket.id, userAgent: null, ip: null });
  const [own] = await socket.inbox.next("presence:update", about("presence.alice", 1));
  assert.equal(own.sockets[0].ip, "127.0.0.1");

  socket.emit('presence:heartbeat');

  const [later] = await observer.inbox.next("presence:update", (p) => about("presence.alice", 1)(p) && p.lastSeen > online.lastSeen);
  assert.equal(later.sockets[0].lastSeen, later.lastSeen);

  socket.disconnect();
  const [offline] = await observer.inbox.next("presence:update", about("presence.alice", 0));
  assert.equal(offline.isOnline, false);
  assert.ok(offline.lastSeen >= later.lastSeen);
});

test("presence:update: published, masked for others", async () => {
  const [alice, bob] = await Promise.all([ready("masked.alice"), ready("masked.bob")]);
  const entry = { socketId: "s", connectedAt: null, lastSeen: 1, userAgent: "ua", ip: "192.0.2.1" };
  const data = { userId: "masked.alice", isOnline: true, lastSeen: 7, sockets: [entry] };
  await publish({ event: "presence:update", data });
  const published = (p) => p.userId === "masked.alice" && p.lastSeen === 7;
  assert.deepEqual((await alice.inbox.next("presence:update", published))[0], data);
  assert.deepEqual((await bob.inbox.next("presence:update", published))[0].sockets, [{ ...entry, userAgent: null, ip: null }]);
});

test("conversations:join and conversations:leave", async (t) => {
  const conversationId = "snippets";
  await participants(conversationId, "snippet.alice", "bob");
  const [socket, stranger] = await Promise.all([ready("snippet.alice"), ready("snippet.eve")]);
  const report = t.mock.method(console, "error", () => {});
  const send = () => publish({ event: "notifications:new", data: { eventKey: "k", notification: {} }, to: { conversations: [conversationId] } });
  const join = (socket) => {
    socket.emit('conversations:join', { conversationId }, (ack) => {
      if (!ack?.success) {
        console.error('Join failed', ack?.message);
      }
    });
  };

  join(stranger);
  await eventually("the refusal", () => report.mock.callCount() === 1);
  assert.equal(report.mock.calls[0].arguments[0], "Join failed");
  assert.ok(report.mock.calls[0].arguments[1]);

  join(socket);
  await eventually("the join", async () => (await send()).delivered === 1);
  await socket.inbox.next("notifications:new");
  assert.equal(report.mock.callCount(), 1);

  socket.emit('conversations:leave', { conversationId });

  await eventually("the leave", async () => (await send()).matched === 0);
  await drain(stranger);
  assert.equal(stranger.inbox.all("notifications:new").length, 0);
});

test("system:disconnect: told, then io server disconnect, and the client stays away", async () => {
  const socket = await ready("system.alice");
  await publish({ event: "system:disconnect", data: { reason: "kicked", message: "bye" }, to: { users: ["system.alice"] } });
  assert.deepEqual(await socket.inbox.next("system:disconnect"), [{ reason: "kicked", message: "bye" }]);
  assert.equal((await socket.inbox.next("disconnect"))[0], "io server disconnect");
  assert.equal(socket.active, false);

  socket.connect(); // unless its user says so
  await socket.inbox.next("notifications:ready");
});

test("system:disconnect with reconnect: told, and the client comes back", async () => {
  const socket = await ready("system.bob");
  const before = socket.id;
  await publish({ event: "system:disconnect", data: { reason: "maintenance" }, to: { connections: [before] }, reconnect: true });
  await socket.inbox.next("system:disconnect");
  assert.equal((await socket.inbox.next("disconnect"))[0], "transport close");
  await socket.inbox.next("notifications:ready");
  assert.notEqual(socket.id, before);
});

test("acks: every inbound event that asks has one", async () => {
  await participants("acks", "acks.alice");
  const socket = await ready("acks.alice");
  const ask = (...event) => socket.timeout(20_000).emitWithAck(...event);
  assert.deepEqual(await ask("presence:heartbeat"), success);
  assert.deepEqual(await ask("presence:heartbeat", "ignored", 2), success, "sooner than every 10 s");
  assert.deepEqual(await ask("conversations:join", { conversationId: "acks" }), success);
  assert.deepEqual(await ask("conversations:join", { conversationId: "acks", more: 1 }, "extra", [2]), success);
  assert.deepEqual(await ask("conversations:leave", { conversationId: "acks" }), success);
  assert.deepEqual(await ask("conversations:leave", { conversationId: "never.joined" }), success);
  for (const [code, ...event] of [
    ["forbidden", "conversations:join", { conversationId: "of.others" }],
    ["bad_request", "conversations:join"],
    ["bad_request", "conversations:join", null],
    ["bad_request", "conversations:join", "acks"],
    ["bad_request", "conversations:join", [{ conversationId: "acks" }]],
    ["bad_request", "conversations:join", { conversationId: 7 }],
    ["bad_request", "conversations:leave", {}],
    ["unknown_event", "no:such", {}],
    ["unknown_event", ""],
    ["unknown_event", "messages:new", { conversationId: "acks" }],
    ["unknown_event", "error", {}],
    ["unknown_event", "$connect"],
  ]) {
    const ack = await ask(...event);
    assert.ok(failed(code)(ack), `${JSON.stringify(event)}: ${JSON.stringify(ack)}`);
  }
  assert.equal(socket.inbox.all("error").length, 0, "the outcome is the ack and nothing else");
  assert.equal(socket.inbox.all("disconnect").length, 0);
});

test("errors: without an ack a failure is one error event, and success is silent", async () => {
  await participants("errors", "errors.alice");
  const socket = await ready("errors.alice");
  for (const [code, ...event] of [
    ["forbidden", "conversations:join", { conversationId: "of.others" }],
    ["bad_request", "conversations:leave"],
    ["unknown_event", "messages:new", {}],
  ]) {
    socket.emit(...event);
    const [error] = await socket.inbox.next("error");
    assert.equal(error.code, `socket_error:${code}`);
  }
  socket.emit("conversations:join", { conversationId: "errors" });
  socket.emit("presence:heartbeat", { any: "thing" });
  assert.deepEqual(await socket.emitWithAck("conversations:join", { conversationId: "errors" }), success);
  await drain(socket);
  assert.equal(socket.inbox.all("error").length, 0);
});

test("payload above the cap: error, then the close, and the client comes back", async () => {
  const socket = await ready("large.alice");
  const packet = (n) => `42/ws/app,["presence:heartbeat","${"x".repeat(n)}"]`;
  const room = 5120 - packet(0).length;
  socket.emit("presence:heartbeat", "x".repeat(room));
  await drain(socket);
  assert.equal(socket.inbox.all("error").length, 0);
  socket.emit("presence:heartbeat", "x".repeat(room + 1));
  const [error] = await socket.inbox.next("error");
  assert.equal(error.code, "socket_error:payload_too_large");
  assert.equal((await socket.inbox.next("disconnect"))[0], "transport close");
  await socket.inbox.next("notifications:ready");
});

test("socket.id: the socketId of presence, what to.connections and except.connections take", async () => {
  const first = await ready("id.alice");
  const second = await ready("id.alice");
  const [snapshot] = await first.inbox.next("presence:update", about("id.alice", 2));
  assert.deepEqual(snapshot.sockets.map((s) => s.socketId).sort(), [first.id, second.id].sort());
  const send = (eventKey, target) => publish({ event: "notifications:new", data: { eventKey, notification: {} }, ...target });
  await send("to", { to: { connections: [second.id] } });
  await send("except", { to: { users: ["id.alice"] }, except: { connections: [second.id] } });
  await Promise.all([drain(first), drain(second)]);
  const keys = (socket) => socket.inbox.all("notifications:new").map(([payload]) => payload.eventKey);
  assert.deepEqual([keys(first), keys(second)], [["except"], ["to"]]);
});

test("two tabs of one user", async () => {
  const observer = await ready("tabs.observer");
  const [one, two] = [await ready("tabs.alice"), await ready("tabs.alice")];
  assert.notEqual(one.id, two.id);
  await observer.inbox.next("presence:update", about("tabs.alice", 2));
  const answer = await publish({ event: "notifications:new", data: { eventKey: "k", notification: {} }, to: { users: ["tabs.alice"] } });
  assert.equal(answer.delivered, 2);
  await Promise.all([one, two].map((socket) => socket.inbox.next("notifications:new")));
  one.disconnect();
  const [left] = await observer.inbox.next("presence:update", (p) => about("tabs.alice", 1)(p) && p.sockets[0].socketId === two.id);
  assert.ok(left.isOnline);
  two.disconnect();
  const [gone] = await observer.inbox.next("presence:update", about("tabs.alice", 0));
  assert.equal(gone.isOnline, false);
});

test("JSON and Socket.IO clients in one room and one presence", async () => {
  await participants("mixed", "mixed.alice", "mixed.bob");
  const alice = await ready("mixed.alice");
  const bob = await plain(`?token=${token("mixed.bob")}`);
  const received = async (event) =>
    JSON.parse((await bob.inbox.next("message", (m) => m.startsWith(`{"event":"${event}"`) && m.includes("mixed.")))[0]);
  await received("notifications:ready");
  await alice.inbox.next("presence:update", about("mixed.bob", 1));
  bob.send(`{"event":"conversations:join","data":{"conversationId":"mixed"},"id":1}`);
  await bob.inbox.next("message", (m) => m === `{"event":"ack","id":1,"data":{"success":true}}`);
  assert.deepEqual(await alice.emitWithAck("conversations:join", { conversationId: "mixed" }), success);
  const data = { conversationId: "mixed", message: { id: "m1" }, senderId: "mixed.alice", recipients: ["mixed.bob"] };
  const answer = await publish({ event: "messages:new", data });
  assert.equal(answer.delivered, 2, "each socket once, however many of its rooms are addressed");
  assert.deepEqual((await alice.inbox.next("messages:new"))[0], data);
  assert.deepEqual((await received("messages:new")).data, data);
  alice.disconnect();
  for (let online = true; online; ) {
    const { data } = await received("presence:update");
    online = data.userId !== "mixed.alice" || data.isOnline;
  }
});

test("50 clients in a room", async () => {
  const users = Array.from({ length: 50 }, (_, i) => `crowd.${i}`);
  await participants("crowd", ...users);
  const sockets = await Promise.all(
    users.map(async (user) => {
      const socket = await ready(user, { timeout: 60_000 });
      assert.deepEqual(await within(socket.emitWithAck("conversations:join", { conversationId: "crowd" }), `the ack of ${user}`), success);
      return socket;
    }),
  );
  const data = { conversationId: "crowd", message: { id: "m1" }, senderId: users[0], recipients: users };
  const answer = await publish({ event: "messages:new", data });
  assert.deepEqual([answer.matched, answer.delivered, answer.failed], [50, 50, 0]);
  for (const socket of sockets) {
    await socket.inbox.next("messages:new");
  }
  await drain(sockets[49]);
  assert.equal(sockets.flatMap((socket) => socket.inbox.all("messages:new")).length, 0, "once each");
});

test("emit straight from the connect handler, on every connect", async () => {
  await participants("eager", "eager.alice");
  const socket = connect({ token: token("eager.alice") });
  const acks = [];
  socket.on("connect", () => socket.emit("conversations:join", { conversationId: "eager" }, (ack) => acks.push(ack)));
  for (const round of [1, 2]) {
    await eventually("the ack", () => acks.length === round);
    assert.deepEqual(acks[round - 1], success);
    const answer = await publish({ event: "notifications:new", data: { eventKey: "k", notification: {} }, to: { conversations: ["eager"] } });
    assert.equal(answer.delivered, 1);
    socket.io.engine.transport.ws.terminate();
    await socket.inbox.next("disconnect");
  }
});

test("reconnect after the transport is cut: another id, the rooms to be joined again", async () => {
  await participants("cut", "cut.alice");
  const [observer, socket] = await Promise.all([ready("cut.observer"), ready("cut.alice")]);
  await socket.emitWithAck("conversations:join", { conversationId: "cut" });
  const before = socket.id;
  socket.io.engine.transport.ws.terminate(); // no close frame
  assert.equal((await socket.inbox.next("disconnect"))[0], "transport close");
  await socket.inbox.next("notifications:ready"); // maybe before the service has heard of the end
  assert.notEqual(socket.id, before);
  await observer.inbox.next("presence:update", (p) => about("cut.alice", 1)(p) && p.sockets[0].socketId === socket.id);
  const answer = await publish({ event: "notifications:new", data: { eventKey: "k", notification: {} }, to: { conversations: ["cut"] } });
  assert.equal(answer.delivered, 0);
});

test("disconnect and connect again on one manager: the same user on the same connection, another one on a new one", async () => {
  const observer = await ready("again.observer");
  const socket = await ready("again.alice");
  const main = socket.io.socket("/"); // keeps the transport open
  await within(new Promise((resolve) => main.on("connect", resolve)), "the main namespace");
  for (const [user, same] of [["again.alice", true], ["again.bob", false]]) {
    const before = socket.io.engine.id;
    socket.disconnect();
    await observer.inbox.next("presence:update", about("again.alice", 0));
    const out = async () => (await invoke("control", { op: "rooms.list", connectionId: before })) === null;
    await eventually("the end of the DISCONNECT, of which the presence is told in between", out);
    socket.auth = { token: token(user) };
    socket.connect();
    assert.equal((await socket.inbox.next("notifications:ready"))[0].userId, user);
    assert.equal(socket.io.engine.id === before, same, user);
    await observer.inbox.next("presence:update", about(user, 1));
    assert.deepEqual(await socket.emitWithAck("presence:heartbeat"), success);
    if (same) assert.ok(main.connected);
  }
});

test("the main namespace: a sid and nothing more", async () => {
  const app = await ready("main.alice");
  const main = app.io.socket("/");
  const events = [];
  main.onAny((...event) => events.push(event));
  await within(new Promise((resolve) => main.on("connect", resolve)), "connect");
  assert.equal(main.id, app.id);
  main.emit("presence:heartbeat");
  main.emit("presence:heartbeat", () => events.push(["ack"]));
  await publish({ event: "notifications:new", data: { eventKey: "k", notification: {} }, to: { all: true } });
  await drain(app);
  assert.deepEqual(events, []);
  assert.ok(main.connected);
});

test("another namespace: Invalid namespace", async () => {
  const app = await ready("other.alice");
  const other = app.io.socket("/ws/other", { auth: { token: token("other.alice") } });
  const error = await within(new Promise((resolve) => other.on("connect_error", resolve)), "connect_error");
  assert.deepEqual([error.message, error.data], ["Invalid namespace", undefined]);
  assert.ok(app.connected);
});

test("CONNECT while connected closes the transport", async () => {
  const socket = await ready("twice.alice");
  socket.io.engine.write(`0/ws/app,${JSON.stringify({ token: token("twice.alice") })}`);
  assert.equal((await socket.inbox.next("disconnect"))[0], "transport close");
  await socket.inbox.next("notifications:ready");
});

test("a join ends when its user no longer takes part", async () => {
  await participants("ended", "ended.alice");
  const socket = await ready("ended.alice");
  await socket.emitWithAck("conversations:join", { conversationId: "ended" });
  await invoke("control", { op: "participants.remove", conversationId: "ended", users: ["ended.alice"] });
  const answer = await publish({ event: "notifications:new", data: { eventKey: "k", notification: {} }, to: { conversations: ["ended"] } });
  assert.equal(answer.matched, 0);
});
