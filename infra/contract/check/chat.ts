// chat.ts
import { io, type Socket } from "socket.io-client";
import type { Ack, ClientToServerEvents, ConnectError, ServerToClientEvents } from "./realtime.js";

interface MessageDTO { id: string; body: string }           // yours, as GET /api/messages returns it
interface NotificationDTO { id: string; title: string }     // and GET /api/notifications

type RealtimeSocket = Socket<ServerToClientEvents<MessageDTO, NotificationDTO>, ClientToServerEvents>;

const socket: RealtimeSocket = io("wss://abc123.execute-api.eu-west-1.amazonaws.com/ws/app", {
  path: "/live",
  transports: ["websocket"],
  auth: (send) => send({ token: localStorage.getItem("token") }),
});

socket.on("connect", () => {
  socket.emit("conversations:join", { conversationId: "c1" }, (ack) => {
    if (!ack.success) console.error(ack.code, ack.message); // both are there
  });
});
socket.on("messages:new", ({ message }) => console.log(message.body)); // a MessageDTO
socket.on("error", ({ code, message }) => console.error(code, message));
socket.on("connect_error", ({ data, message }: ConnectError) => console.error(data?.code ?? message));

export async function leave(conversationId: string): Promise<void> {
  const ack: Ack = await socket.emitWithAck("conversations:leave", { conversationId });
  if (!ack.success) throw new Error(ack.message);
}
