// What the stock client's types make of events/contract/realtime.d.ts. A line that must not compile says so, and the check
// fails when it does.
import { io, type Socket } from "socket.io-client";
import type {
  Ack,
  ClientEnvelope,
  ClientToServerEvents,
  ConnectError,
  ErrorCode,
  PresenceSnapshot,
  ServerEnvelope,
  ServerToClientEvents,
  SocketErrorPayload,
} from "./realtime.js";

interface MessageDTO {
  id: string;
  body: string | null;
  deletedAt?: string | null;
}
interface NotificationDTO {
  id: string;
  title: string;
}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => {};

const socket: Socket<ServerToClientEvents<MessageDTO, NotificationDTO>, ClientToServerEvents> = io("/ws/app");

// Every event of the server, with its payload.
socket.on("notifications:ready", ({ message, userId }) => same<[string, string], [typeof message, typeof userId]>(true));
socket.on("notifications:new", ({ eventKey, notification }) => same<[string, NotificationDTO], [typeof eventKey, typeof notification]>(true));
socket.on("messages:new", (payload) => {
  same<typeof payload.message, MessageDTO>(true);
  same<typeof payload.recipients, string[]>(true);
  same<[string, string], [typeof payload.conversationId, typeof payload.senderId]>(true);
});
socket.on("messages:updated", ({ message }) => same<typeof message, MessageDTO>(true));
socket.on("messages:deleted", ({ message }) => {
  same<typeof message.status, "deleted">(true);
  same<typeof message.deletedAt, string>(true); // neither null nor left out
  same<typeof message.id, string>(true);
});
socket.on("presence:update", (snapshot) => {
  same<typeof snapshot, PresenceSnapshot>(true);
  same<typeof snapshot.lastSeen, number | null>(true);
  for (const { socketId, connectedAt, lastSeen, userAgent, ip } of snapshot.sockets) {
    same<[typeof socketId, typeof connectedAt, typeof lastSeen], [string, number | null, number | null]>(true);
    same<[typeof userAgent, typeof ip], [string | null, string | null]>(true);
  }
});
socket.on("error", ({ code, message }) => {
  const known: ErrorCode = "socket_error:token_expired";
  console.error(code === known, code === "app:maintenance", message);
});
socket.on("system:disconnect", ({ reason, message }) => same<[string, string | null | undefined], [typeof reason, typeof message]>(true));

// The client's own events are still there.
socket.on("connect", () => {});
socket.on("disconnect", (reason) => reason === "io server disconnect");
socket.on("connect_error", (error) => error.message);
socket.on("connect_error", ({ message, data }: ConnectError) => same<[string, SocketErrorPayload | undefined], [typeof message, typeof data]>(true));

// Documents are unknown where nothing says what they are.
const bare: Socket<ServerToClientEvents, ClientToServerEvents> = io("/ws/app");
bare.on("messages:new", ({ message }) => same<typeof message, unknown>(true));

// @ts-expect-error an event that does not exist
socket.on("messages:created", () => {});
// @ts-expect-error an event that only clients send
socket.on("conversations:join", () => {});
// @ts-expect-error a member that a payload does not have
socket.on("messages:new", ({ conversationID }) => conversationID);
// @ts-expect-error a socket's ip may be null
socket.on("presence:update", ({ sockets: [first] }) => first?.ip.length);
// @ts-expect-error the server may not have been reached
socket.on("connect_error", ({ data }: ConnectError) => data.code);
// @ts-expect-error lastSeen may be null
socket.on("presence:update", ({ lastSeen }) => new Date(lastSeen));
// @ts-expect-error a document that is unknown has no members
bare.on("notifications:new", ({ notification }) => notification.title);
// @ts-expect-error the payload is one object
socket.on("notifications:ready", (message: string, userId: string) => message + userId);

// Every event of a client, with a callback and without.
const conversationId = "c1";
socket.emit("presence:heartbeat");
socket.emit("presence:heartbeat", (ack) => ack.success);
socket.emit("conversations:join", { conversationId });
socket.emit("conversations:join", { conversationId }, (ack) => {
  same<typeof ack, Ack>(true);
  if (!ack?.success) {
    same<typeof ack.code, ErrorCode>(true);
    console.error("Join failed", ack?.message);
  }
});
socket.emit("conversations:leave", { conversationId });
socket.timeout(5_000).emit("conversations:join", { conversationId }, (error, ack) => {
  same<typeof error, Error>(true);
  same<typeof ack, Ack>(true);
});
const ack: Ack = await socket.emitWithAck("conversations:join", { conversationId });
const late: Ack = await socket.timeout(5_000).emitWithAck("conversations:leave", { conversationId });
console.log(ack.success, late.success);

// @ts-expect-error no conversation
socket.emit("conversations:join");
// @ts-expect-error a conversation has an id
socket.emit("conversations:join", conversationId);
// @ts-expect-error its id is a string
socket.emit("conversations:join", { conversationId: 7 });
// @ts-expect-error nothing else
socket.emit("conversations:leave", { conversationId, userId: "alice" });
// @ts-expect-error an event that only the server sends
socket.emit("messages:new", { conversationId, message: {}, senderId: "alice", recipients: [] });
// @ts-expect-error an event that does not exist
socket.emit("conversations:joined", { conversationId });
// @ts-expect-error an ack has no result
socket.emit("conversations:join", { conversationId }, (ack) => ack.result);
// @ts-expect-error not the shape of an ack
socket.emit("conversations:join", { conversationId }, (ack: { ok: boolean }) => ack.ok);
// @ts-expect-error the callback has one argument, unless there is a timeout
socket.emit("conversations:join", { conversationId }, (error: Error, ack: Ack) => [error, ack]);
// @ts-expect-error a heartbeat has no payload
socket.emit("presence:heartbeat", { at: 1 });
// @ts-expect-error a success has no code
socket.emit("conversations:join", { conversationId }, (ack) => ack.success && ack.code);
// @ts-expect-error not a code of an ack
socket.emit("conversations:join", { conversationId }, (ack) => ack.success || ack.code === "socket_error:forbiden");
// @ts-expect-error a member that a room does not have
await socket.emitWithAck("conversations:join", { conversationID: "c1" });

// Any other WebSocket client.
const plain = new WebSocket("wss://example.org/live?token=...");
const send = (envelope: ClientEnvelope): void => plain.send(JSON.stringify(envelope));
plain.onmessage = ({ data }) => {
  const envelope = JSON.parse(data as string) as ServerEnvelope<MessageDTO, NotificationDTO>;
  switch (envelope.event) {
    case "messages:new":
      return same<typeof envelope.data.message, MessageDTO>(true);
    case "ack":
      return same<typeof envelope.id, string | number>(true);
    case "notifications:ready":
      // @ts-expect-error an event has no id
      return envelope.id;
    // @ts-expect-error an event that only clients send
    case "conversations:join":
      return;
  }
};
send({ event: "presence:heartbeat" });
send({ event: "conversations:join", data: { conversationId }, id: 7 });
// @ts-expect-error an id is a string or a number
send({ event: "conversations:join", data: { conversationId }, id: true });
// @ts-expect-error a conversation's id is a string
send({ event: "conversations:join", data: { conversationId: 7 } });
// @ts-expect-error no conversation
send({ event: "conversations:leave" });
// @ts-expect-error an event that only the server sends
send({ event: "messages:new", data: {} });
