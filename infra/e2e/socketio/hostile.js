// The first post to every connection takes three seconds, a write to the table a fifth of one, the messages of a connection run in any
// order, and asynchronous events twice.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, participants, publish, ready, token, within } from "./system.js";

const success = { success: true };

test("a slow open packet: the client waits, and gets one", async () => {
  const begin = Date.now();
  const socket = connect({ token: token("slow.alice") });
  const handshakes = [];
  socket.io.on("open", () => handshakes.push(socket.io.engine.id));
  await socket.inbox.next("notifications:ready");
  assert.ok(Date.now() - begin >= 3000);
  assert.deepEqual(handshakes, [socket.id]);
  assert.deepEqual(await socket.emitWithAck("presence:heartbeat"), success);
  assert.deepEqual([...socket.inbox.all("connect_error"), ...socket.inbox.all("disconnect")], []);
});

test("messages shuffled: whatever is emitted from connect on is answered", async () => {
  const users = Array.from({ length: 8 }, (_, i) => `shuffled.${i}`);
  await participants("shuffled", ...users);
  await Promise.all(
    users.map(async (user) => {
      const socket = connect({ token: token(user) });
      const acks = new Promise((resolve) => {
        socket.on("connect", () => {
          const join = socket.emitWithAck("conversations:join", { conversationId: "shuffled" });
          const heartbeat = socket.emitWithAck("presence:heartbeat");
          resolve(Promise.all([join, heartbeat]));
        });
      });
      await socket.inbox.next("notifications:ready");
      assert.deepEqual(await acks, [success, success]);
      assert.deepEqual([...socket.inbox.all("error"), ...socket.inbox.all("disconnect")], []);
    }),
  );
  const answer = await publish({ event: "notifications:new", data: { eventKey: "k", notification: {} }, to: { conversations: ["shuffled"] } });
  assert.deepEqual([answer.matched, answer.delivered], [8, 8]);
});

// taken returns when API Gateway has read all that the socket sent, and its next message has another millisecond: that is what tells their order.
async function taken(socket) {
  const { ws } = socket.io.engine.transport;
  await within(new Promise((resolve) => ws.once("pong", resolve).ping()), "the pong");
  for (const now = Date.now(); Date.now() <= now; ) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

test("join, leave, join in one breath: the last one counts", async () => {
  await participants("breath", "breath.alice");
  const socket = await ready("breath.alice");
  for (const last of ["conversations:leave", "conversations:join"]) {
    const events = ["conversations:join", "conversations:leave", "conversations:join", last];
    const acks = [];
    for (const event of events) {
      acks.push(socket.emitWithAck(event, { conversationId: "breath" }));
      await taken(socket);
    }
    assert.deepEqual(await Promise.all(acks), events.map(() => success));
    const answer = await publish({ event: "notifications:new", data: { eventKey: "k", notification: {} }, to: { conversations: ["breath"] } });
    assert.equal(answer.matched, last === "conversations:join" ? 1 : 0);
  }
});

test("disconnect right after connect, and connect again: it ends up connected", async () => {
  const socket = await ready("flip.alice");
  socket.disconnect().connect();
  await socket.inbox.next("notifications:ready");
  assert.deepEqual(await socket.emitWithAck("presence:heartbeat"), success);
});
