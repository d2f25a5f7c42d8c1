// What a backend may ask of publish and control, by events/contract/realtime.d.ts. A line that must not compile says so, and
// the check fails when it does.
import type { ControlAnswers, ControlRequest, InvocationError, Published, PublishRequest } from "./realtime.js";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => {};

declare function invoke(name: string, request: unknown): Promise<unknown>;

const publish = (request: PublishRequest<{ id: string }>): Promise<Published> => invoke("publish", request) as Promise<Published>;
const control = <Request extends ControlRequest>(request: Request): Promise<ControlAnswers[Request["op"]]> =>
  invoke("control", request) as Promise<ControlAnswers[Request["op"]]>;
const message = { conversationId: "c1", message: { id: "m1" }, senderId: "alice", recipients: ["bob"] };
const notification = { eventKey: "task.assigned", notification: { id: "n1" } };

publish({ event: "messages:new", data: message });
publish({ id: "m1", event: "messages:updated", data: message, except: { users: ["alice"], connections: ["x="] } });
publish({ event: "messages:deleted", data: { ...message, message: { id: "m1", status: "deleted", deletedAt: "2026-01-01T00:00:00Z" } } });
publish({ event: "notifications:new", data: notification, to: { users: ["alice"], groups: ["g1"] } });
publish({ event: "notifications:new", data: notification, to: { all: true } });
publish({ event: "error", data: { code: "app:maintenance", message: "soon" }, to: { connections: ["x="] } });
publish({ event: "system:disconnect", data: { reason: "maintenance" }, to: { all: true }, reconnect: true });
publish({ event: "presence:update", data: { userId: "alice", isOnline: false, lastSeen: null, sockets: [] } });

// @ts-expect-error an event that only clients send
publish({ event: "conversations:join", data: { conversationId: "c1" } });
// @ts-expect-error no audience of its own
publish({ event: "notifications:new", data: notification });
// @ts-expect-error an audience of planets
publish({ event: "notifications:new", data: notification, to: { planets: ["x"] } });
// @ts-expect-error a user is not users
publish({ event: "notifications:new", data: notification, to: { user: ["alice"] } });
// @ts-expect-error a string, not a number
publish({ event: "notifications:new", data: { eventKey: 7, notification: {} }, to: { all: true } });
// @ts-expect-error the notification is missing
publish({ event: "notifications:new", data: { eventKey: "task.assigned" }, to: { all: true } });
// @ts-expect-error recipients are a list
publish({ event: "messages:new", data: { ...message, recipients: "bob" } });
// @ts-expect-error milliseconds, not a date
publish({ event: "presence:update", data: { userId: "alice", isOnline: true, lastSeen: new Date(), sockets: [] } });
// @ts-expect-error what is unknown is null, and not left out
publish({ event: "presence:update", data: { userId: "alice", isOnline: true, sockets: [] } });
// @ts-expect-error no sender
publish({ event: "messages:new", data: { conversationId: "c1", message: {}, recipients: [] } });
// @ts-expect-error a message that is not deleted
publish({ event: "messages:deleted", data: message });
// @ts-expect-error nor is one without the time
publish({ event: "messages:deleted", data: { ...message, message: { id: "m1", status: "deleted", deletedAt: null } } });
// @ts-expect-error only system:disconnect takes it
publish({ event: "messages:new", data: message, reconnect: true });
// @ts-expect-error groups cannot be left out
publish({ event: "messages:new", data: message, except: { groups: ["g1"] } });
// @ts-expect-error a payload of another event
publish({ event: "notifications:ready", data: notification, to: { all: true } });
// @ts-expect-error an id is a string
publish({ id: 7, event: "messages:new", data: message });

const { matched, delivered, gone, failed, queued, duplicate, id } = await publish({ event: "messages:new", data: message });
same<[typeof matched, typeof delivered, typeof gone, typeof failed], [number, number, number, number]>(true);
same<[typeof queued, typeof duplicate, typeof id], [number | undefined, boolean, string | undefined]>(true);

const conversationId = "c1";
const users = ["alice", "bob"];
const { added, removed } = await control({ op: "participants.set", conversationId, users: [] });
same<[typeof added, typeof removed], [number, number]>(true);
await control({ op: "participants.add", conversationId, users });
await control({ op: "participants.remove", conversationId, users });
const page = await control({ op: "participants.list", conversationId, next: "bob" });
same<[typeof page.users, typeof page.next], [string[], string | undefined]>(true);
for (const op of ["groups.join", "groups.leave"] as const) {
  const { sockets, refused } = await control({ op, groupId: "g1", users });
  console.log(sockets, refused.filter(({ reason }) => reason === "too_many_rooms"));
}
const { published, denied, deniedUntil } = await control({ op: "sockets.disconnect", users, connections: ["x="], reason: "banned", denySeconds: 3600 });
same<[typeof published, typeof denied, typeof deniedUntil], [Published, string[] | undefined, number | undefined]>(true);
const { presence } = await control({ op: "presence.read", users });
console.log(presence.map(({ userId, isOnline, sockets }) => [userId, isOnline, sockets.length]));
const { connections } = await control({ op: "connections.list", userId: "alice" });
console.log(connections.map(({ socketId, protocol, rooms }) => [socketId, protocol === "socketio", rooms.length]));
const rooms = await control({ op: "rooms.list", connectionId: "x=" });
console.log(rooms?.rooms);
const status = await control({ op: "publishes.read", id: "m1" });
console.log(status?.state === "done", status?.delivered);

// @ts-expect-error there may be no such connection
console.log(rooms.rooms);
// @ts-expect-error an operation that does not exist
void control({ op: "participants.drop", conversationId, users });
// @ts-expect-error nobody
void control({ op: "participants.add", conversationId });
// @ts-expect-error a list names nobody
({ op: "participants.list", conversationId, users }) satisfies ControlRequest;
// @ts-expect-error no reason
void control({ op: "sockets.disconnect", users });
// @ts-expect-error seconds are a number
void control({ op: "sockets.disconnect", users, reason: "banned", denySeconds: "3600" });
// @ts-expect-error the operation is missing
void control({ conversationId, users });
// @ts-expect-error the group's id is missing
void control({ op: "groups.join", users });
// @ts-expect-error users, not a user
void control({ op: "presence.read", users: "alice" });
// @ts-expect-error an answer of another operation
console.log((await control({ op: "presence.read", users })).added);
// @ts-expect-error a state that does not exist
console.log(status?.state === "failed");

const refused = (error: InvocationError): string | undefined => {
  if (error.errorType === "ValidationError") {
    return error.errorMessage;
  }
  // @ts-expect-error what Lambda says has other names
  return error.message;
};
console.log(refused);
