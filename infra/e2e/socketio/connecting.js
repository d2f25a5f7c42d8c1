// Tokens, and what the client is told when it may not connect. AUTH_FAILURE makes no difference to it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { io } from "socket.io-client";
import { connect, eventually, path, ready, sweep, token, url, within } from "./system.js";

for (const [name, auth, code] of [
  ["no auth", undefined, "unauthorized"],
  ["no token", {}, "unauthorized"],
  ["an empty token", { token: "" }, "unauthorized"],
  ["a token that is no string", { token: 7 }, "unauthorized"],
  ["garbage", { token: "garbage" }, "unauthorized"],
  ["a signature of somebody else", { token: token("alice").slice(0, -6) + "AAAAAA" }, "unauthorized"],
  ["an expired token", { token: token("alice", -60) }, "token_expired"],
]) {
  test(`connect_error: ${name}`, async () => {
    const socket = connect(auth);
    const [error] = await socket.inbox.next("connect_error");
    assert.ok(error instanceof Error);
    assert.equal(error.data.code, `socket_error:${code}`);
    assert.ok(error.message);
    assert.equal(error.data.message, error.message);
    assert.deepEqual(Object.keys(error.data).sort(), ["code", "message"]);
    assert.equal(socket.active, false, "the client does not try again by itself");
    assert.deepEqual(socket.inbox.received.filter(([event]) => event !== "packet"), []);
  });
}

test("a fresh token after a refused one", async () => {
  const socket = connect({ token: token("fresh.alice", -60) });
  await socket.inbox.next("connect_error");
  socket.auth.token = token("fresh.alice");
  socket.connect();
  await socket.inbox.next("notifications:ready");
});

test("a fresh token after a refused one, on the same transport", async () => {
  const socket = connect({ token: token("fresh.alice", -60) }, { autoConnect: false });
  socket.io.socket("/").connect(); // or the client closes the transport
  socket.connect();
  await socket.inbox.next("connect_error");
  const engine = socket.io.engine.id;
  socket.auth.token = token("fresh.alice");
  socket.connect();
  await socket.inbox.next("notifications:ready");
  assert.equal(socket.io.engine.id, engine);
  assert.equal(socket.id, engine);
});

for (const [name, options] of [
  ["in the query", (token) => ({ query: { token } })],
  ["in a header", (token) => ({ extraHeaders: { Authorization: `Bearer ${token}` } })],
]) {
  test(`a token ${name}`, async () => {
    const socket = connect(undefined, options(token("placed.alice")));
    assert.equal((await socket.inbox.next("notifications:ready"))[0].userId, "placed.alice");
  });
  test(`a token ${name}: expired`, async () => {
    const socket = connect(undefined, options(token("placed.alice", -60)));
    assert.equal((await socket.inbox.next("connect_error"))[0].data.code, "socket_error:token_expired");
  });
  test(`a token ${name}: that of auth counts`, async () => {
    const socket = connect({ token: token("placed.bob") }, options(token("placed.alice", -60)));
    assert.equal((await socket.inbox.next("notifications:ready"))[0].userId, "placed.bob");
  });
}

test("a token that expires closes the socket, and the auth callback brings a fresh one", async () => {
  const lives = [8, 3600]; // the first has to last until its CONNECT is through, however slow the machine is
  let asked = 0;
  const socket = connect((callback) => callback({ token: token("refresh.alice", lives[asked++]) }));
  await socket.inbox.next("notifications:ready");
  await eventually("the end of the token", async () => {
    await sweep();
    return socket.inbox.all("error").length > 0;
  });
  const [error] = await socket.inbox.next("error");
  assert.equal(error.code, "socket_error:token_expired");
  assert.equal((await socket.inbox.next("disconnect"))[0], "transport close");
  await socket.inbox.next("notifications:ready");
  assert.equal(asked, 2);
});

test("a user with too many sockets: error, then io server disconnect, until another has left", async () => {
  const sockets = [];
  while (sockets.length < 4) {
    sockets.push(await ready("full.alice")); // one after another, so that until the first leaves every presence has it
  }
  const socket = connect({ token: token("full.alice") });
  await socket.inbox.next("connect");
  assert.equal((await socket.inbox.next("error"))[0].code, "socket_error:too_many_connections");
  assert.equal((await socket.inbox.next("disconnect"))[0], "io server disconnect");
  assert.equal(socket.active, false);
  assert.equal(socket.inbox.all("notifications:ready").length, 0);
  const first = sockets[0].id;
  sockets[0].disconnect();
  await sockets[1].inbox.next("presence:update", (p) => p.userId === "full.alice" && !p.sockets.some((s) => s.socketId === first));
  socket.connect();
  await socket.inbox.next("notifications:ready");
});

test("the longest timers: the client's watchdog does not fire", async () => {
  // Above 2 147 483 647 ms it would at once.
  const socket = await ready("watchdog.alice");
  const { _pingInterval, _pingTimeout } = socket.io.engine;
  assert.ok(_pingInterval + _pingTimeout <= 2 ** 31 - 1);
  assert.deepEqual(await socket.emitWithAck("presence:heartbeat"), { success: true });
  assert.equal(socket.inbox.all("disconnect").length, 0);
});

test("the client's default transports: xhr poll error", async () => {
  const socket = io(url + "/ws/app", { path, forceNew: true, reconnection: false, auth: { token: token("polling.alice") } });
  const error = await within(new Promise((resolve) => socket.on("connect_error", resolve)), "connect_error");
  assert.equal(error.message, "xhr poll error");
  socket.close();
});
