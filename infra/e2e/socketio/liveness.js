// Pings once a second, 6 s for the pong, so that a machine may stand still for 5, a sweep every 250 ms, and no $disconnect ever arrives.
import assert from "node:assert/strict";
import { test } from "node:test";
import { participants, plain, publish, ready, token } from "./system.js";

const of = (user, isOnline) => (snapshot) => snapshot.userId === user && snapshot.isOnline === isOnline;

test("pings keep a client that answers them", async () => {
  const socket = await ready("alive.alice");
  for (let pings = 0; pings < 5; pings++) {
    await new Promise((resolve) => socket.io.engine.once("ping", resolve));
  }
  assert.equal(socket.inbox.all("disconnect").length, 0);
  assert.deepEqual(await socket.emitWithAck("presence:heartbeat"), { success: true });
});

test("no pong: removed, told and closed in time", async () => {
  const observer = await ready("silent.observer");
  const begin = Date.now();
  const silent = await plain("?EIO=4&transport=websocket");
  const [open] = await silent.inbox.next("message", (packet) => packet.startsWith("0"));
  const { pingInterval, pingTimeout } = JSON.parse(open.slice(1));
  silent.send(`40/ws/app,${JSON.stringify({ token: token("silent.alice") })}`);
  await observer.inbox.next("presence:update", of("silent.alice", true));
  await observer.inbox.next("presence:update", of("silent.alice", false));
  const took = Date.now() - begin;
  await silent.inbox.next("message", (packet) => packet === "2");
  await silent.inbox.next("close");
  assert.ok(took >= pingInterval + pingTimeout, `after ${took} ms`);
});

test("a link that breaks unnoticed: the old socket is removed, the client is back long since", async () => {
  await participants("broken", "broken.alice");
  const [observer, socket] = await Promise.all([ready("broken.observer"), ready("broken.alice")]);
  await socket.emitWithAck("conversations:join", { conversationId: "broken" });
  const before = socket.id;
  socket.io.engine.transport.ws.terminate(); // of which the service never hears
  await socket.inbox.next("notifications:ready");
  const has = (...ids) => (p) => p.userId === "broken.alice" && ids.sort().join() === p.sockets.map((s) => s.socketId).sort().join();
  await observer.inbox.next("presence:update", has(before, socket.id));
  await observer.inbox.next("presence:update", has(socket.id));
  const answer = await publish({ event: "notifications:new", data: { eventKey: "k", notification: {} }, to: { users: ["broken.alice"], conversations: ["broken"] } });
  assert.deepEqual([answer.delivered, answer.failed], [1, 0]);
});

test("a service that falls silent: the client notices and comes back", async () => {
  const socket = await ready("watched.alice");
  const { ws } = socket.io.engine.transport;
  ws.pause(); // nothing arrives any more
  assert.equal((await socket.inbox.next("disconnect"))[0], "ping timeout");
  await socket.inbox.next("notifications:ready");
  ws.terminate();
});
