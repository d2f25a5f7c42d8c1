// A Socket.IO server as the contract was written for: one process, rooms in memory. It prints its URL, and ends with its standard input.
"use strict";

const http = require("node:http");
const { Server } = require("socket.io");

const server = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const { event, data } = JSON.parse(Buffer.concat(parts));
    let room = app.to(`conversation:${data.conversationId}`);
    for (const user of [data.senderId, ...data.recipients]) room = room.to(`user:${user}`);
    room.emit(event, data);
    response.end();
  });
});

const app = new Server(server, { transports: ["websocket"] }).of("/ws/app");

app.on("connection", (socket) => {
  const { sub } = JSON.parse(Buffer.from(socket.handshake.auth.token.split(".")[1], "base64url")); // a bench trusts its clients
  socket.join(`user:${sub}`);
  socket.on("conversations:join", ({ conversationId }, ack) => {
    socket.join(`conversation:${conversationId}`);
    ack({ success: true });
  });
});

server.keepAliveTimeout = 0; // whoever publishes may pause
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
process.stdin.on("end", () => process.exit(0)).resume();
