// The system that a script talks to: where clients connect, and the backend's side of it, over the Invoke API. The test in Go that runs
// the script has started it.
import { createHmac } from "node:crypto";
import { afterEach } from "node:test";
import { io } from "socket.io-client";
import { WebSocket } from "ws";

export const url = process.env.REALTIME_URL; // without the stage, which is path
export const path = "/local";

const patience = 30_000; // ms

// token is one of the user, good for that long.
export function token(user, seconds = 3600) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = encode({ alg: "HS256" }) + "." + encode({ sub: user, exp: Math.floor(Date.now() / 1000) + seconds });
  return signed + "." + createHmac("sha256", process.env.JWT_SECRET).update(signed).digest("base64url");
}

// invoke runs a function with a request, which may be JSON already.
export async function invoke(name, request) {
  const body = typeof request === "string" ? request : JSON.stringify(request);
  const response = await fetch(`${process.env.INVOKE_URL}/2015-03-31/functions/${name}/invocations`, { method: "POST", body });
  const answer = await response.json();
  if (response.headers.has("x-amz-function-error")) {
    throw new Error(`${name}: ${JSON.stringify(answer)}`);
  }
  return answer;
}

export const publish = (request) => invoke("publish", request);
export const sweep = () => invoke("sweep", {});
export const participants = (conversationId, ...users) => invoke("control", { op: "participants.set", conversationId, users });

export async function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${typeof what === "function" ? what() : what}`)), patience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export async function eventually(what, holds) {
  for (const end = Date.now() + patience; !(await holds()); await new Promise((resolve) => setTimeout(resolve, 20))) {
    if (Date.now() > end) {
      throw new Error(`waited in vain for ${what}`);
    }
  }
}

// Inbox keeps what a client gets until a test asks for it.
class Inbox {
  received = []; // [name, ...arguments]
  waiting = null;

  put(...message) {
    this.received.push(message);
    this.waiting?.();
  }

  // next takes out the oldest of that name that matches, and returns its arguments.
  next(name, matches = () => true) {
    const find = async () => {
      for (;;) {
        const index = this.received.findIndex(([n, ...args]) => n === name && matches(...args));
        if (index >= 0) {
          return this.received.splice(index, 1)[0].slice(1);
        }
        await new Promise((resolve) => (this.waiting = resolve));
      }
    };
    return within(find(), () => `${name}, received ${JSON.stringify(this.received)}`);
  }

  all(name) {
    return this.received.filter(([n]) => n === name).map(([, ...args]) => args);
  }
}

const opened = [];

// connect is io() as the contract's clients call it. The socket's inbox gets its events, connect, disconnect and connect_error among
// them, and "packet": every packet as it travels, less the 4 of Engine.IO.
export function connect(auth, options = {}) {
  const socket = io(url + "/ws/app", { path, transports: ["websocket"], forceNew: true, auth, ...options });
  socket.inbox = new Inbox();
  socket.onAny((...event) => socket.inbox.put(...event));
  for (const name of ["connect", "disconnect", "connect_error"]) {
    socket.on(name, (...args) => socket.inbox.put(name, ...args));
  }
  socket.io.on("open", () => socket.io.engine.on("packet", ({ data }) => socket.inbox.put("packet", data)));
  opened.push(() => socket.io._close());
  return socket;
}

// ready is connect for a user, until the service says that it is ready.
export async function ready(user, options) {
  const socket = connect({ token: token(user) }, options);
  await socket.inbox.next("notifications:ready");
  return socket;
}

// drain returns when the socket has got everything that was published before.
let drained = 0;
export async function drain(socket) {
  const eventKey = `drain.${++drained}`;
  await publish({ event: "notifications:new", data: { eventKey, notification: {} }, to: { connections: [socket.id] } });
  await socket.inbox.next("notifications:new", (payload) => payload.eventKey === eventKey);
}

// plain is a WebSocket of the same API. Its inbox gets "message" and "close".
export async function plain(query) {
  const socket = new WebSocket(url + path + query);
  socket.inbox = new Inbox();
  socket.on("message", (data) => socket.inbox.put("message", String(data)));
  socket.on("close", (code) => socket.inbox.put("close", code));
  opened.push(() => socket.terminate());
  await within(new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject)), "the handshake");
  return socket;
}

afterEach(() => {
  for (const close of opened.splice(0)) {
    close();
  }
});
