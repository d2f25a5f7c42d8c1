// Who sits in which room.
import { get } from "./api.js";
import { ago, count, h } from "./dom.js";
import { closeDrawer, openDrawer } from "./drawer.js";
import { list } from "./list.js";
import { live, now } from "./live.js";
import { prepare } from "./requests.js";
import { protocols } from "./connections.js";

export function view() {
  const lines = list({
    label: "Rooms",
    placeholder: "Search room",
    columns: [{ name: "Room", class: "wide" }, { name: "Sockets", class: "num" }, { name: "Participants", class: "num" }],
    source: (offset, limit, q) => get("/rooms", { offset, limit, q }),
    cells: (r) => [r.name, count(r.sockets), r.name.startsWith("group:") ? "–" : count(r.participants)],
    open: (r) => open(r.name),
    empty: () => h("p", {}, "No room has anybody. Say who takes part in a conversation in ", h("a", { href: "#control" }, "Control"), " (", h("code", {}, "participants.set"), "), then join it in ", h("a", { href: "#clients" }, "Clients"), "."),
  });
  let version = -1, at = 0;
  return {
    node: lines.node,
    show: (name) => {
      lines.refresh();
      if (name) open(name);
    },
    update() {
      const rows = live.news.counts.version;
      if (rows === version || Date.now() - at < 500) return;
      [version, at] = [rows, Date.now()];
      lines.refresh();
    },
  };
}

async function open(name) {
  const body = h("div", {});
  const fill = async () => {
    try {
      body.replaceChildren(page(await get("/room", { name })));
    } catch (error) {
      body.replaceChildren(h("p", { class: "empty" }, error.message));
    }
  };
  await fill();
  openDrawer(name, body, { refresh: fill });
}

function page(r) {
  const conversation = r.name.startsWith("conversation:") ? r.name.slice("conversation:".length) : "";
  const ask = (request) => {
    closeDrawer();
    prepare("control", request);
  };
  const more = (all, shown) => all > shown && h("p", { class: "muted" }, `and ${count(all - shown)} more`);
  return h("div", { class: "stacked" },
    h("h3", {}, `Sockets (${count(r.sockets)})`),
    r.in.length ? h("ul", { class: "plain lines" }, r.in.map((s) => h("li", {},
      h("a", { href: "#connections/" + encodeURIComponent(s.id) }, s.user), h("code", {}, s.id), h("span", { class: "muted" }, `${protocols[s.protocol] ?? ""}, joined ${ago(s.joinedAt, now())}`)))) : h("p", { class: "muted" }, "Nobody has joined."),
    more(r.sockets, r.in.length),
    conversation && [
      h("h3", {}, `Participants (${count(r.participants)})`),
      r.users.length ? h("ul", { class: "plain lines" }, r.users.map((user) => h("li", {},
        h("a", { href: "#presence/" + encodeURIComponent(user) }, user),
        h("button", { type: "button", class: "small", onclick: () => ask({ op: "participants.remove", conversationId: conversation, users: [user] }) }, "Remove…")))) : h("p", { class: "muted" }, "Nobody takes part."),
      more(r.participants, r.users.length),
      h("div", { class: "buttons" },
        h("button", { type: "button", onclick: () => ask({ op: "participants.add", conversationId: conversation, users: ["alice"] }) }, "Add participants…"),
        h("button", { type: "button", onclick: () => { closeDrawer(); prepare("publish", message(conversation)); } }, "Publish a message…")),
    ]);
}

const message = (conversationId) => ({
  event: "messages:new",
  data: { conversationId, message: { id: "m1", conversationId, senderId: "alice", body: "Hello from the console" }, senderId: "alice", recipients: [] },
});
