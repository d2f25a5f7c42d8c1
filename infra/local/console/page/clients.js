// Clients, side by side: each a WebSocket of this browser, with JSON envelopes or the frames of Socket.IO.
import { post } from "./api.js";
import { commands, make, socketio } from "./command.js";
import { clock, h, say } from "./dom.js";
import { live, ready } from "./live.js";

const keptFrames = 200;
const names = ["alice", "bob", "carol", "dave", "erin", "frank"];
const open = 1; // WebSocket.OPEN

// tokens in a text, whoever wrote it there: of each, what it begins with is kept.
const tokens = /\b(eyJ[\w-]{5})[\w-]*\.[\w-]+(\.[\w-]*)?/g;

let panes = 0;

export function view() {
  const grid = h("div", { class: "panes" });
  const add = h("button", { type: "button", class: "primary", onclick: () => more() }, "Add a client");
  const more = () => grid.append(pane(names[panes++ % names.length]));
  more();
  // A list that is not in the page forgets how far it was scrolled.
  const show = () => grid.querySelectorAll(".frames").forEach((frames) => (frames.scrollTop = frames.scrollHeight));
  return { show, node: h("div", { class: "fill" }, h("p", { class: "muted" }, "Clients of this browser. They stay while this page does, whatever view is shown."), grid, h("div", { class: "buttons" }, add)) };
}

// encode frames an event of a client; id asks for an ack.
const encode = {
  json: (event, data, id) => JSON.stringify({ event, data, id: id && String(id) }),
  socketio: (event, data, id) => `42/ws/app,${id ?? ""}${JSON.stringify(data === undefined ? [event] : [event, data])}`,
};

function pane(name) {
  const n = panes;
  let socket = null, token = "", acks = 0, asking = false, removed = false;
  const id = (part) => `client-${n}-${part}`;
  const user = h("input", { id: id("user"), value: name, autocomplete: "off", spellcheck: "false" });
  const protocol = h("select", { id: id("protocol") }, h("option", { value: "json" }, "JSON"), h("option", { value: "socketio" }, "Socket.IO"));
  const life = h("select", { id: id("life") }, [["600", "10 minutes"], ["3600", "an hour"], ["30", "30 seconds"], ["-60", "expired"]].map(([value, text]) => h("option", { value }, text)));
  const own = h("input", { id: id("own"), type: "password", autocomplete: "off", placeholder: "a token of your own, instead" });
  const problem = h("p", { class: "note", role: "alert" });
  const state = h("span", { class: "chip" }, "not connected");
  const connectButton = h("button", { type: "submit", class: "primary" }, "Connect");
  const room = h("input", { id: id("room"), value: "c1", "aria-label": "Conversation" });
  const raw = h("input", { id: id("raw"), placeholder: 'a frame, as it travels', "aria-label": "Frame", autocomplete: "off", spellcheck: "false" });
  const frames = h("ol", { class: "frames plain", tabindex: "0", "aria-label": "Frames", "aria-live": "off" });
  const shell = h("div", {});
  const actions = h("fieldset", { class: "actions", disabled: true },
    h("div", { class: "buttons" },
      room,
      h("button", { type: "button", onclick: () => send("conversations:join", { conversationId: room.value }, true) }, "Join"),
      h("button", { type: "button", onclick: () => send("conversations:leave", { conversationId: room.value }, true) }, "Leave"),
      h("button", { type: "button", onclick: () => send("presence:heartbeat", undefined, true) }, "Heartbeat")),
    h("form", { class: "buttons", onsubmit: sendRaw }, raw, h("button", { type: "submit" }, "Send")));
  const node = h("article", { class: "pane", "aria-label": "Client " + n },
    h("form", { onsubmit: toggle },
      h("div", { class: "pane-head" },
        h("div", { class: "field" }, h("label", { for: user.id }, "User"), user),
        h("div", { class: "field" }, h("label", { for: protocol.id }, "Protocol"), protocol),
        h("div", { class: "field" }, h("label", { for: life.id }, "Token"), life)),
      h("details", {}, h("summary", {}, "A token of your own"), own),
      problem,
      h("div", { class: "buttons" }, connectButton, state, h("button", { type: "button", class: "small end", "aria-label": "Remove client " + n, onclick: remove }, "Remove"))),
    actions, frames,
    h("details", { ontoggle: terminal }, h("summary", {}, "In a terminal"), shell));

  function terminal() {
    const typed = `${make.client(user.value)}\n# then type: join ${room.value} | leave ${room.value} | heartbeat`;
    shell.replaceChildren(commands(protocol.value === "json" ? typed : socketio(user.value), make.token(user.value, life.value === "-60" ? "-1m" : life.value + "s")));
  }

  function status(kind, text) {
    state.className = "chip " + kind;
    state.textContent = text;
    const on = socket !== null;
    connectButton.textContent = on ? "Disconnect" : "Connect";
    actions.disabled = socket?.readyState !== open;
    user.disabled = protocol.disabled = life.disabled = own.disabled = on;
  }

  async function toggle(event) {
    event.preventDefault();
    if (socket) {
      socket.close(1000, "");
      return;
    }
    if (asking) return; // a second socket would be nobody's
    problem.textContent = "";
    user.removeAttribute("aria-invalid");
    asking = true;
    try {
      token = own.value.trim() || (await post("/token", { user: user.value, seconds: Number(life.value) })).token;
      await ready;
    } catch (error) {
      problem.textContent = error.message;
      problem.className = "note bad";
      user.setAttribute("aria-invalid", "true");
      user.focus();
      return;
    } finally {
      asking = false;
    }
    if (!removed) connect();
  }

  function connect() {
    const url = `ws://${location.host}${live.hello.stage}`;
    const io = protocol.value === "socketio";
    try {
      socket = io ? new WebSocket(url + "?EIO=4&transport=websocket") : new WebSocket(url, ["bearer", token]);
    } catch {
      socket = null;
      problem.textContent = "This cannot be a token: it has a character that none has."; // the browser's own words quote it
      problem.className = "note bad";
      return;
    }
    status("warn", "connecting");
    socket.onopen = () => status(io ? "warn" : "ok", io ? "open, not in the namespace" : "connected");
    socket.onmessage = ({ data }) => {
      frame("in", data);
      if (io) answer(data);
    };
    socket.onclose = ({ code, reason, wasClean }) => {
      socket = null;
      status("", "not connected");
      frame("note", code === 1006 && !wasClean ? "The connection ended without a close frame, or was refused" : `Closed with ${code} ${reason}`);
      say(`${user.value} is not connected any more`);
    };
  }

  // answer does what a Socket.IO client does by itself.
  function answer(data) {
    if (data.startsWith("0")) write(`40/ws/app,${JSON.stringify({ token })}`);
    else if (data === "2") write("3");
    else if (data.startsWith("40/ws/app,")) status("ok", "connected");
    else if (data.startsWith("41/ws/app,")) status("warn", "open, not in the namespace");
    else if (data.startsWith("44/ws/app,")) status("bad", "refused");
  }

  function send(event, data, ack) {
    write(encode[protocol.value](event, data, ack ? ++acks : undefined));
  }

  function sendRaw(event) {
    event.preventDefault();
    if (raw.value === "") return;
    write(raw.value);
    raw.value = "";
  }

  function write(text) {
    if (socket?.readyState !== open) return;
    socket.send(text);
    frame("out", text);
  }

  let waiting = []; // frames that travelled since the last picture

  // frame notes what travelled, to be drawn with the next picture: thousands a second do not hold up the page.
  function frame(direction, text) {
    waiting.push({ direction, text, at: Date.now() });
    if (waiting.length === 1) requestAnimationFrame(draw);
    if (waiting.length > keptFrames) waiting.shift();
  }

  // The newest frame stays in sight until somebody scrolls up, also when lines wrap anew because the pane became narrower.
  let following = true, top = 0;
  const follow = () => following && (frames.scrollTop = frames.scrollHeight);
  frames.onscroll = () => {
    following = frames.scrollHeight - frames.scrollTop - frames.clientHeight <= 40 || (following && frames.scrollTop >= top);
    top = frames.scrollTop;
  };
  new ResizeObserver(follow).observe(frames);

  function draw() {
    frames.append(...waiting.map(line));
    waiting = [];
    while (frames.children.length > keptFrames) frames.firstChild.remove();
    follow();
  }

  // line shows a frame. A token is never shown whole.
  function line({ direction, text, at }) {
    const shown = (token ? text.replaceAll(token, token.slice(0, 8) + "…") : text).replace(tokens, "$1…");
    return h("li", { class: direction }, h("span", { class: "mono muted" }, clock(at)), h("span", { class: "arrow", "aria-label": { in: "received", out: "sent", note: "" }[direction] }, { in: "↓", out: "↑", note: "·" }[direction]),
      h("code", {}, shown.length > 4000 ? shown.slice(0, 4000) + " …" : shown));
  }

  function remove() {
    removed = true;
    socket?.close(1000, "");
    node.remove();
  }

  return node;
}
