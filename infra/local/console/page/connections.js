// Who is connected.
import { get } from "./api.js";
import { ago, bytes, h, span } from "./dom.js";
import { closeDrawer, facts, openDrawer } from "./drawer.js";
import { list } from "./list.js";
import { live, now } from "./live.js";
import { prepare } from "./requests.js";

const states = {
  "open": ["ok", "open"],
  "no row": ["warn", "no row"],
  "no user": ["warn", "no user"],
  "no socket": ["bad", "no socket"],
};

const meaning = {
  "no row": "Open at the gateway, and not in the table: its token was refused, or it is about to be recorded.",
  "no user": "A Socket.IO client that is not in the namespace.",
  "no socket": "In the table, and not at the gateway: its $disconnect is on its way, or was lost. Sweep finds it.",
};

export const protocols = { json: "JSON", socketio: "Socket.IO" };
const chip = ([kind, text]) => h("span", { class: "chip " + kind }, text);
const left = (expiry, now) => (!expiry ? "never" : expiry < now ? "expired" : "in " + span(expiry - now));

export function view() {
  const lines = list({
    label: "Connections",
    placeholder: "Search user, socket id, ip, room",
    columns: [
      { name: "User", class: "wide" }, { name: "Protocol", class: "short" }, { name: "Socket id", class: "mono wide" }, { name: "IP", class: "mono short" }, { name: "Age", class: "num" },
      { name: "Last seen", class: "num" }, { name: "Rooms", class: "num" }, { name: "Token", class: "num" }, { name: "State", class: "short" },
    ],
    source: (offset, limit, q) => get("/connections", { offset, limit, q }),
    cells: (c) => [
      c.user || "–", protocols[c.protocol] ?? "–", c.id, c.ip || "–", span(now() - c.connectedAt), ago(Math.max(c.lastSeen, c.lastActive), now()),
      String(c.rooms.length), left(c.tokenExpiry, now()), chip(states[c.state]),
    ],
    open,
    empty: () => h("p", {}, "Nobody is connected. Connect somebody in ", h("a", { href: "#clients" }, "Clients"), ", or with ", h("code", {}, "make client USER=alice"), " in a terminal."),
  });
  let version = -1, at = 0;
  return {
    node: lines.node,
    show: (search) => {
      if (search) lines.search.value = search;
      lines.refresh();
    },
    update() {
      const { version: rows, open: n } = live.news.counts;
      const seen = rows + ":" + n;
      if (seen === version || Date.now() - at < 500) return;
      [version, at] = [seen, Date.now()];
      lines.refresh();
    },
    second: () => lines.refresh(),
  };
}

function open(c) {
  const at = now();
  const kick = (who) => {
    closeDrawer();
    prepare(...disconnect(who));
  };
  openDrawer(c.user || "Nobody yet",
    h("div", { class: "stacked" },
      meaning[c.state] && h("p", { class: "banner info" }, meaning[c.state]),
      facts(["Socket id", h("code", {}, c.id)], ["Protocol", protocols[c.protocol] ?? "not known yet"], ["State", chip(states[c.state])], ["IP", c.ip || "–"],
        ["User agent", c.userAgent || "none sent"], ["Connected", `${new Date(c.connectedAt).toLocaleString("en-GB")}, ${ago(c.connectedAt, at)}`],
        ["Last seen", ago(c.lastSeen, at)], ["Last message", ago(c.lastActive, at)], ["Token expires", left(c.tokenExpiry, at)],
        c.queued > 0 && ["Not read yet", bytes(c.queued)],
        ["Rooms", c.rooms.length ? h("ul", { class: "plain" }, c.rooms.map((name) => h("li", {}, h("a", { href: "#rooms/" + encodeURIComponent(name) }, name)))) : "none"]),
      h("div", { class: "buttons" },
        c.user && h("a", { class: "button", href: "#presence/" + encodeURIComponent(c.user) }, "Presence"),
        h("a", { class: "button", href: "#trace/" + encodeURIComponent(c.id) }, "Traces"),
        h("button", { type: "button", class: "danger", onclick: () => kick({ connections: [c.id] }) }, "Disconnect…"))));
}

// disconnect is the request that ends connections, for prepare.
export const disconnect = (who) => ["control", { op: "sockets.disconnect", ...who, reason: "kicked", message: "Disconnected from the console." }];
