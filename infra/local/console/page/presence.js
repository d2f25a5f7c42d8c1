// Who is online.
import { get } from "./api.js";
import { ago, count, h } from "./dom.js";
import { closeDrawer, facts, openDrawer } from "./drawer.js";
import { list } from "./list.js";
import { live, now } from "./live.js";
import { disconnect, protocols } from "./connections.js";
import { prepare } from "./requests.js";

const state = (u) => h("span", { class: "chip " + (u.online ? "ok" : "") }, u.online ? "online" : "offline");

export function view() {
  const lines = list({
    label: "Presence",
    placeholder: "Search user, socket id, ip",
    columns: [{ name: "User", class: "wide" }, { name: "State" }, { name: "Sockets", class: "num" }, { name: "Last seen", class: "num" }, { name: "Version", class: "num" }],
    source: (offset, limit, q) => get("/presence", { offset, limit, q }),
    cells: (u) => [u.user, state(u), count(u.sockets.length), ago(u.lastSeen, now()), String(u.version)],
    open,
    empty: () => h("p", {}, "Nobody has been seen. Whoever connects in ", h("a", { href: "#clients" }, "Clients"), " is online."),
  });
  let version = -1, at = 0;
  return {
    node: lines.node,
    show: async (user) => {
      lines.refresh();
      if (!user) return;
      const found = await get("/presence", { q: user, limit: 50 }).catch(() => ({ rows: [] }));
      const exact = found.rows.find((u) => u.user === user);
      if (exact) open(exact);
    },
    update() {
      const rows = live.news.counts.version;
      if (rows === version || Date.now() - at < 500) return;
      [version, at] = [rows, Date.now()];
      lines.refresh();
    },
    second: () => lines.draw(true),
  };
}

function open(u) {
  const at = now();
  const ask = (request) => {
    closeDrawer();
    prepare(...request);
  };
  openDrawer(u.user, h("div", { class: "stacked" },
    facts(["State", state(u)], ["Last seen", ago(u.lastSeen, at)], ["Version", String(u.version)]),
    h("h3", {}, `Sockets (${count(u.sockets.length)})`),
    u.sockets.length ? h("ul", { class: "plain cards" }, u.sockets.map((s) => h("li", {},
      facts(["Socket id", h("a", { href: "#connections/" + encodeURIComponent(s.id) }, s.id)], ["Protocol", protocols[s.protocol] ?? ""], ["IP", s.ip || "–"], ["User agent", s.userAgent || "none sent"],
        ["Connected", ago(s.connectedAt, at)], ["Last seen", ago(s.lastSeen, at)])))) : h("p", { class: "muted" }, "No socket: this user is offline."),
    h("div", { class: "buttons" },
      h("button", { type: "button", onclick: () => ask(["publish", { event: "notifications:new", data: { eventKey: "console", notification: { id: "n1", title: "Hello from the console" } }, to: { users: [u.user] } }]) }, "Notify…"),
      u.online && h("button", { type: "button", class: "danger", onclick: () => ask(disconnect({ users: [u.user] })) }, "Disconnect…"))));
}
