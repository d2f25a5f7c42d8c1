// packets.json is what the reference server does.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { Server } from "socket.io";
import { WebSocket } from "ws";

const http = createServer();
const server = new Server(http, { transports: ["websocket"] });
server.of("/ws/app").use((socket, next) => next(socket.handshake.auth.token ? undefined : new Error("no token")));
await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
after(() => server.close());

const samples = JSON.parse(readFileSync(new URL("packets.json", import.meta.url), "utf8"));

// tried says what becomes of a connection after a packet: the reference closes it within a few turns of its loop, or never.
async function tried(packet, inside) {
  const socket = new WebSocket(`ws://127.0.0.1:${http.address().port}/socket.io/?EIO=4&transport=websocket`);
  try {
    const received = [];
    const until = async (prefix) => {
      while (!received.some((p) => p.startsWith(prefix))) {
        received.push(await new Promise((resolve) => socket.once("message", (data) => resolve(String(data)))));
      }
    };
    await until("0");
    if (inside) {
      socket.send(`40/ws/app,{"token":"x"}`);
      await until("40/ws/app,");
    }
    const closed = new Promise((resolve) => socket.once("close", () => resolve("closed")));
    socket.send(packet);
    const turns = async () => {
      for (let i = 0; i < 2; i++) {
        socket.ping();
        await new Promise((resolve) => socket.once("pong", resolve));
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return socket.readyState === WebSocket.OPEN ? "open" : closed;
    };
    return await Promise.race([closed, turns()]);
  } finally {
    socket.terminate();
  }
}

for (const { packet, ...want } of samples) {
  test(`packet ${packet}`, async () => {
    assert.equal(await tried(packet, true), want.inside);
    if (want.lobby) {
      assert.equal(await tried(packet, false), want.lobby);
    }
  });
}
