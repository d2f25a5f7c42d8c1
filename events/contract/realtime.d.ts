// Written by make contract from shared/contract: edit that, not this. No imports: copy the file, or point a path at it.
//
// The stock Socket.IO client, its documents being yours or unknown:
//
//   const socket: Socket<ServerToClientEvents<MessageDTO, NotificationDTO>, ClientToServerEvents> = io(`${url}/ws/app`, ...);
//
// Any WebSocket client: messages of the types ServerEnvelope and ClientEnvelope. Backends: PublishRequest, ControlRequest
// and their answers.

/** The id of a user, a conversation, a group or a socket: 1 to 128 characters of A-Z a-z 0-9 _ . : | @ + = ~ -. */
export type Id = string;

/** Every code of the service. A backend may publish an `error` with another one. */
export type ErrorCode =
  /** Missing or invalid authentication token. */
  | "socket_error:unauthorized"
  /** Token verified, but expired. */
  | "socket_error:token_expired"
  /** Not the documented shape. */
  | "socket_error:bad_request"
  /** Not an event that clients send. */
  | "socket_error:unknown_event"
  /** Above SOCKET_MAX_PAYLOAD_BYTES; the connection is closed. */
  | "socket_error:payload_too_large"
  /** Not a participant of the conversation, or kept out for a while by the backend. */
  | "socket_error:forbidden"
  /** The user has SOCKETS_PER_USER_MAX sockets; the connection is closed. */
  | "socket_error:too_many_connections"
  /** The connection is in ROOMS_PER_CONNECTION_MAX rooms. */
  | "socket_error:too_many_rooms"
  /** The service failed, only its log says how: try again. */
  | "socket_error:internal";

// ---- What the server sends

/** The socket is in its user's personal room: a publish reaches it. */
export interface NotificationsReadyPayload {
  /** For people. */
  message: string;
  /** Whom the token names. */
  userId: Id;
}

/** A notification for the user. */
export interface NotificationsNewPayload<Notification = unknown> {
  /** Logical channel, e.g. task.assigned. */
  eventKey: string;
  /** NotificationDTO of the REST API, passed byte for byte. */
  notification: Notification;
}

/** A message entered a conversation. */
export interface MessagesNewPayload<Message = unknown> {
  conversationId: Id;
  /** MessageDTO of the REST API, passed byte for byte. */
  message: Message;
  senderId: Id;
  /** Participants who receive it. */
  recipients: Id[];
}

/** The author edited a message. */
export interface MessagesUpdatedPayload<Message = unknown> {
  conversationId: Id;
  /** MessageDTO of the REST API, passed byte for byte. */
  message: Message;
  senderId: Id;
  /** Participants who receive it. */
  recipients: Id[];
}

/** A message was soft-deleted: its status is "deleted" and its deletedAt is set. */
export interface MessagesDeletedPayload<Message = unknown> {
  conversationId: Id;
  /** MessageDTO of the REST API, passed byte for byte. */
  message: Message & { status: "deleted"; deletedAt: {} };
  senderId: Id;
  /** Participants who receive it. */
  recipients: Id[];
}

/** The payload of presence:update: whether a user is there, and with which sockets. */
export interface PresenceSnapshot {
  userId: Id;
  /** At least one live socket. */
  isOnline: boolean;
  /** Unix epoch milliseconds; null is unknown. */
  lastSeen: number | null;
  /** None when offline. */
  sockets: PresenceSocket[];
}

/** Something went wrong with the socket, or with an event that asked for no ack. */
export interface SocketErrorPayload {
  /** A backend may publish others. */
  code: ErrorCode | (string & {});
  /** For people. */
  message: string;
}

/** The server closes the connection next, by an administrator's decision. */
export interface SystemDisconnectPayload {
  /** For programs, e.g. maintenance. */
  reason: string;
  /** For people. */
  message?: string | null;
}

/** One live socket of a user. */
export interface PresenceSocket {
  /** The client's socket.id; to.connections takes it. */
  socketId: string;
  /** Unix epoch milliseconds; null is unknown. */
  connectedAt: number | null;
  /** Unix epoch milliseconds; null is unknown. */
  lastSeen: number | null;
  /** Null for everyone but the user, unless PRESENCE_CLIENT_INFO=all. */
  userAgent: string | null;
  /** As userAgent. */
  ip: string | null;
}

/**
 * The events that the server sends, as socket.io-client types them. Message and Notification are what the REST API calls
 * MessageDTO and NotificationDTO: they pass through untouched.
 */
export interface ServerToClientEvents<Message = unknown, Notification = unknown> {
  /** The socket is in its user's personal room: a publish reaches it. */
  "notifications:ready": (payload: NotificationsReadyPayload) => void;
  /** A notification for the user. */
  "notifications:new": (payload: NotificationsNewPayload<Notification>) => void;
  /** A message entered a conversation. */
  "messages:new": (payload: MessagesNewPayload<Message>) => void;
  /** The author edited a message. */
  "messages:updated": (payload: MessagesUpdatedPayload<Message>) => void;
  /** A message was soft-deleted: its status is "deleted" and its deletedAt is set. */
  "messages:deleted": (payload: MessagesDeletedPayload<Message>) => void;
  /** A user's presence changed: connect, heartbeat, disconnect. */
  "presence:update": (payload: PresenceSnapshot) => void;
  /** Something went wrong with the socket, or with an event that asked for no ack. */
  "error": (payload: SocketErrorPayload) => void;
  /** The server closes the connection next, by an administrator's decision. */
  "system:disconnect": (payload: SystemDisconnectPayload) => void;
}

/**
 * What the stock client's `connect_error` hands over. With data: the server refused the token or the user,
 * and the client stays away until socket.connect(). Without: the server was not reached, and the client tries
 * again, or the namespace is not /ws/app.
 */
export interface ConnectError extends Error {
  data?: SocketErrorPayload;
}

// ---- What clients send

/** Subscribes the socket to a conversation; its user must take part in it. */
export interface ConversationsJoinPayload {
  conversationId: Id;
}

/** Ends the socket's subscription to a conversation. */
export interface ConversationsLeavePayload {
  conversationId: Id;
}

/** The answer to an inbound event that asked for one. A code and a message are there when success is false. */
export type Ack =
  | { success: true }
  | { success: false; code: ErrorCode; message: string };

/** An event that is emitted with or without a callback for its ack. Without one, a failure is an `error` event. */
type Acknowledged<Payload extends unknown[]> = (...args: Payload | [...payload: Payload, ack: (ack: Ack) => void]) => void;

/**
 * The events that clients send, as socket.io-client types them. emitWithAck cannot infer the answer of an
 * event whose ack is optional: name its type, as in `const ack: Ack = await socket.emitWithAck(...)`. A whole
 * message of a client has at most 5120 bytes of UTF-8, unless SOCKET_MAX_PAYLOAD_BYTES says otherwise; a
 * larger one ends the connection.
 */
export interface ClientToServerEvents {
  /** Subscribes the socket to a conversation; its user must take part in it. */
  "conversations:join": Acknowledged<[payload: ConversationsJoinPayload]>;
  /** Ends the socket's subscription to a conversation. */
  "conversations:leave": Acknowledged<[payload: ConversationsLeavePayload]>;
  /** Refreshes the user's presence; a payload is ignored. */
  "presence:heartbeat": Acknowledged<[]>;
}

// ---- Messages of a WebSocket client that is not Socket.IO's

/**
 * A message that a JSON client gets: an event, or the ack of one that it sent with an id. What has no event
 * is API Gateway's own, when a function failed or there is too much: a message, for people.
 */
export type ServerEnvelope<Message = unknown, Notification = unknown> =
  | { event: "notifications:ready"; data: NotificationsReadyPayload }
  | { event: "notifications:new"; data: NotificationsNewPayload<Notification> }
  | { event: "messages:new"; data: MessagesNewPayload<Message> }
  | { event: "messages:updated"; data: MessagesUpdatedPayload<Message> }
  | { event: "messages:deleted"; data: MessagesDeletedPayload<Message> }
  | { event: "presence:update"; data: PresenceSnapshot }
  | { event: "error"; data: SocketErrorPayload }
  | { event: "system:disconnect"; data: SystemDisconnectPayload }
  | { event: "ack"; id: string | number; data: Ack };

/**
 * A message that a JSON client sends: an event. With an id its outcome is an ack with that id; without, a
 * failure is an error event. A whole message of a client has at most 5120 bytes of UTF-8, unless
 * SOCKET_MAX_PAYLOAD_BYTES says otherwise; a larger one ends the connection.
 */
export type ClientEnvelope =
  | { event: "conversations:join"; data: ConversationsJoinPayload; id?: string | number }
  | { event: "conversations:leave"; data: ConversationsLeavePayload; id?: string | number }
  | { event: "presence:heartbeat"; data?: unknown; id?: string | number };

// ---- Backends: publish

/** A union of sockets; each gets the event once, however often it is in it. It names somebody. */
export interface Audience {
  /** 1000 at most. */
  users?: Id[];
  /** 1000 at most. */
  conversations?: Id[];
  /** 1000 at most. */
  groups?: Id[];
  /** Socket ids, as in socket.id and in presence. 1000 at most. */
  connections?: Id[];
  /** Every connection. */
  all?: boolean;
}

/** Takes sockets out of an audience again. */
export interface Except {
  /** 1000 at most. */
  users?: Id[];
  /** Socket ids. 1000 at most. */
  connections?: Id[];
}

/** What every publish may have. */
export interface PublishOptions {
  /** Idempotency key, remembered for 24 hours. 1 to 256 characters. */
  id?: string;
  except?: Except;
}

/**
 * What the publish function is invoked with. An event that has no audience of its own names one. Once it is
 * encoded it has at most 131072 bytes.
 */
export type PublishRequest<Message = unknown, Notification = unknown> =
  | (PublishOptions & { event: "notifications:ready"; data: NotificationsReadyPayload; to: Audience })
  | (PublishOptions & { event: "notifications:new"; data: NotificationsNewPayload<Notification>; to: Audience })
  | (PublishOptions & { event: "messages:new"; data: MessagesNewPayload<Message>; to?: Audience })
  | (PublishOptions & { event: "messages:updated"; data: MessagesUpdatedPayload<Message>; to?: Audience })
  | (PublishOptions & { event: "messages:deleted"; data: MessagesDeletedPayload<Message>; to?: Audience })
  | (PublishOptions & { event: "presence:update"; data: PresenceSnapshot; to?: Audience })
  | (PublishOptions & { event: "error"; data: SocketErrorPayload; to: Audience })
  | (PublishOptions & { event: "system:disconnect"; data: SystemDisconnectPayload; to: Audience; reconnect?: boolean });

/** The answer to a publish: what became of each socket of the audience. */
export interface Published {
  /** As in the request; of a publish that is queued always one. */
  id?: string;
  event: string;
  /** Sockets: the sum of delivered, gone, failed and queued. */
  matched: number;
  /** API Gateway took the post, and of system:disconnect the close. */
  delivered: number;
  /** Final 410s: the client had left. */
  gone: number;
  /** Everything else: throttled, timed out, refused. */
  failed: number;
  /** An audience too large to wait for: it is posted to from now on, and PublishStatus counts. */
  queued?: number;
  /** The id was done before: this is its first answer, and nothing was posted. */
  duplicate: boolean;
}

// ---- Backends: control

/** Exactly these users take part in a conversation. */
export interface ParticipantsSetRequest {
  op: "participants.set";
  conversationId: Id;
  /** 1000 at most. */
  users: Id[];
}

/** These users take part too. */
export interface ParticipantsAddRequest {
  op: "participants.add";
  conversationId: Id;
  /** 1 to 1000. */
  users: Id[];
}

/** These users no longer take part; their sockets leave the room at once. */
export interface ParticipantsRemoveRequest {
  op: "participants.remove";
  conversationId: Id;
  /** 1 to 1000. */
  users: Id[];
}

/** Who takes part, in pages. */
export interface ParticipantsListRequest {
  op: "participants.list";
  conversationId: Id;
  /** The next of the page before; without it, the first page. */
  next?: Id;
}

/** The users' present sockets come into a group's room. */
export interface GroupsJoinRequest {
  op: "groups.join";
  groupId: Id;
  /** 1 to 1000. */
  users: Id[];
}

/** The users' present sockets leave a group's room. */
export interface GroupsLeaveRequest {
  op: "groups.leave";
  groupId: Id;
  /** 1 to 1000. */
  users: Id[];
}

/** Sockets of users, of connections, or of both get system:disconnect and are closed. */
export interface SocketsDisconnectRequest {
  op: "sockets.disconnect";
  /** All of their sockets. 1000 at most. */
  users?: Id[];
  /** Socket ids. 1000 at most. */
  connections?: Id[];
  /** For the client's program. 1 to 1000 characters. */
  reason: string;
  /** For people. 1 to 1000 characters. */
  message?: string;
  /** Socket.IO clients come back by themselves. */
  reconnect?: boolean;
  /**
   * The users, and those of the connections, may not connect for so long; 0 ends an earlier time, left out
   * that stays. 0 to 86400.
   */
  denySeconds?: number;
}

/** Which of the users are there. */
export interface PresenceReadRequest {
  op: "presence.read";
  /** 1 to 100. */
  users: Id[];
}

/** A user's connections. */
export interface ConnectionsListRequest {
  op: "connections.list";
  userId: Id;
}

/** A connection's rooms. */
export interface RoomsListRequest {
  op: "rooms.list";
  /** A socket id. */
  connectionId: Id;
}

/** What has become of a publish. */
export interface PublishesReadRequest {
  op: "publishes.read";
  /** Of the request, or of the answer where it says queued. 1 to 256 characters. */
  id: string;
}

/** Answers participants.set, participants.add and participants.remove: how many users that changed. */
export interface ParticipantsChanged {
  added: number;
  removed: number;
}

/** Answers participants.list. */
export interface ParticipantsPage {
  users: Id[];
  /** There when there is more, for the next request's next. */
  next?: Id;
}

/** A socket that did not come into a group's room, or out of it. */
export interface SocketRefused {
  socketId: string;
  userId: Id;
  /**
   * too_many_rooms: The connection is in ROOMS_PER_CONNECTION_MAX rooms. gone: It has ended meanwhile.
   * overtaken: A request that came later has it.
   */
  reason: "too_many_rooms" | "gone" | "overtaken";
}

/** Answers groups.join and groups.leave. Of the users' present sockets each is counted or refused. */
export interface GroupChanged {
  /** How many are in the room now, or out of it. */
  sockets: number;
  /** Those that are not. */
  refused: SocketRefused[];
}

/** Answers sockets.disconnect. */
export interface SocketsDisconnected {
  /** What became of system:disconnect. */
  published: Published;
  /** With denySeconds above 0: the users who may not connect. */
  denied?: Id[];
  /** With denied: until then, Unix epoch milliseconds. */
  deniedUntil?: number;
}

/**
 * Answers presence.read, in the order of the request's users. Backends see userAgent and ip. A user who was
 * never seen is offline, with lastSeen null.
 */
export interface PresenceList {
  /** In the order of the request's users. */
  presence: PresenceSnapshot[];
}

/** A connection as a backend sees it. Instants are Unix epoch milliseconds. */
export interface Connection {
  socketId: string;
  protocol: "json" | "socketio";
  /** Unix epoch milliseconds. */
  connectedAt: number;
  /** Unix epoch milliseconds; null is unknown. */
  lastSeen: number | null;
  /** Unix epoch milliseconds; null: its token never expires. */
  tokenExpiry: number | null;
  userAgent: string | null;
  ip: string | null;
  /** That it is in, besides its user's; in order. */
  rooms: string[];
}

/** Answers connections.list. */
export interface UserConnections {
  userId: Id;
  /** sockets.disconnect keeps the user out until then, Unix epoch milliseconds; null: it does not. */
  deniedUntil: number | null;
  /** In the order in which they came. */
  connections: Connection[];
}

/** Answers rooms.list. The answer is null for a connection that is not there, or has no user yet. */
export interface ConnectionRooms {
  connectionId: string;
  userId: Id;
  protocol: "json" | "socketio";
  /** Unix epoch milliseconds. */
  connectedAt: number;
  /** That it is in, besides its user's; in order. */
  rooms: string[];
}

/** What has become of a publish so far. */
export interface PublishStatus {
  id: string;
  /** One that is interrupted goes on when the same request, with its id, is published again. */
  state: "in_progress" | "interrupted" | "done";
  event: string;
  /** The sum of delivered, gone, failed and queued; when it is done, those that were there when their turn came. */
  matched: number;
  delivered: number;
  gone: number;
  failed: number;
  /** Not posted to yet; 0 when it is done. */
  queued: number;
}

/** What the control function is invoked with. */
export type ControlRequest =
  | ParticipantsSetRequest
  | ParticipantsAddRequest
  | ParticipantsRemoveRequest
  | ParticipantsListRequest
  | GroupsJoinRequest
  | GroupsLeaveRequest
  | SocketsDisconnectRequest
  | PresenceReadRequest
  | ConnectionsListRequest
  | RoomsListRequest
  | PublishesReadRequest;

/** What it answers, by the request's op: ControlAnswers[Request["op"]] for a Request extends ControlRequest. */
export interface ControlAnswers {
  /** Exactly these users take part in a conversation. */
  "participants.set": ParticipantsChanged;
  /** These users take part too. */
  "participants.add": ParticipantsChanged;
  /** These users no longer take part; their sockets leave the room at once. */
  "participants.remove": ParticipantsChanged;
  /** Who takes part, in pages. */
  "participants.list": ParticipantsPage;
  /** The users' present sockets come into a group's room. */
  "groups.join": GroupChanged;
  /** The users' present sockets leave a group's room. */
  "groups.leave": GroupChanged;
  /** Sockets of users, of connections, or of both get system:disconnect and are closed. */
  "sockets.disconnect": SocketsDisconnected;
  /** Which of the users are there. */
  "presence.read": PresenceList;
  /** A user's connections. */
  "connections.list": UserConnections;
  /** A connection's rooms. */
  "rooms.list": ConnectionRooms | null;
  /** What has become of a publish. */
  "publishes.read": PublishStatus | null;
}

// ---- Backends: errors

/**
 * What an invocation with a FunctionError has as its payload. ValidationError: refuses a backend's request
 * before anything was done. PublishInProgress: answers a publish whose id another invocation is still working
 * on.
 */
export interface InvocationError {
  /** Any other is a fault of the service. */
  errorType: "ValidationError" | "PublishInProgress" | (string & {});
  /** Of a ValidationError: the field, a colon, and what is wrong with it. */
  errorMessage: string;
}
