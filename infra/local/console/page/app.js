// The page: its views, and which of them is shown.
import { byId, count, h, visible } from "./dom.js";
import { connect, live, onNews, sampling } from "./live.js";
import * as clients from "./clients.js";
import * as connections from "./connections.js";
import * as faults from "./faults.js";
import * as overview from "./overview.js";
import * as presence from "./presence.js";
import * as requests from "./requests.js";
import * as rooms from "./rooms.js";
import * as trace from "./trace.js";

// Each view has a node, and may have show(rest of the address), hide(), update() for every word of the server, and second(), each second.
const views = [
  { name: "overview", title: "Overview", make: overview.view },
  { name: "connections", title: "Connections", make: connections.view, badge: (c) => c.open },
  { name: "rooms", title: "Rooms", make: rooms.view, badge: (c) => c.rooms },
  { name: "presence", title: "Presence", make: presence.view, badge: (c) => c.online },
  { name: "trace", title: "Trace", make: trace.view },
  { name: "clients", title: "Clients", make: clients.view },
  { name: "publish", title: "Publish", make: () => requests.view("publish") },
  { name: "control", title: "Control", make: () => requests.view("control") },
  { name: "faults", title: "Faults", make: faults.view },
];

let current = null;

for (const [i, view] of views.entries()) {
  view.badgeNode = h("span", { class: "badge" });
  view.link = h("a", { href: "#" + view.name, "aria-keyshortcuts": String(i + 1) }, h("span", {}, view.title), view.badge ? view.badgeNode : null);
  byId("nav").append(view.link);
}

// plain is a part of the address, as it is where it cannot be decoded.
function plain(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function route() {
  const [name, ...rest] = location.hash.slice(1).split("/").map(plain);
  const view = views.find((v) => v.name === name) ?? views[0];
  byId("drawer").close();
  if (view !== current) {
    current?.made.hide?.();
    current = view;
    view.made ??= view.make();
    for (const v of views) v.link.toggleAttribute("aria-current", v === view);
    view.link.setAttribute("aria-current", "page");
    for (const v of views) if (v !== view) v.link.removeAttribute("aria-current");
    document.title = `${view.title} · Console`;
    byId("main").replaceChildren(h("h2", {}, view.title), view.made.node);
    byId("main").dataset.view = view.name;
  }
  view.made.show?.(rest.join("/"));
  update();
}

let up = false;

function update() {
  // What a view asked for while nobody answered, it asks for again.
  if (live.state === "up" && !up) current?.made.show?.("");
  up = live.state === "up" || up && live.state === "slow";
  status();
  banners();
  if (!live.news) return;
  for (const view of views) if (view.badge) view.badgeNode.textContent = count(view.badge(live.news.counts));
  if (current && visible()) current.made.update?.();
}

const states = {
  connecting: ["wait", "Looking for the stack"],
  up: ["up", "Live"],
  slow: ["wait", "The stack is slow to answer"],
  down: ["down", "The stack does not answer"],
};

function status() {
  const [kind, text] = states[live.state];
  const node = byId("status");
  if (node.textContent !== text) node.textContent = text;
  node.dataset.state = kind;
}

let restartedAt = 0, shown = "";

function banners() {
  if (live.restarted) {
    live.restarted = false;
    restartedAt = Date.now();
  }
  const all = [];
  if (live.state === "down") all.push(["bad", "The stack does not answer. Start it with make run: this page finds it by itself."]);
  if (live.state === "slow") all.push(["warn", "The stack is slow to answer: what is shown may be old."]);
  if (restartedAt && Date.now() - restartedAt < 15_000) all.push(["info", "The stack was started again. What it had in memory is gone, and so are the clients."]);
  for (const text of live.hello?.hidden ?? []) all.push(["info", text]);
  if (sampling()) all.push(["info quiet", sampling()]); // its figure changes each second, which nobody wants to hear
  const key = JSON.stringify(all);
  if (key === shown) return;
  shown = key;
  byId("banners").replaceChildren(...all.map(([kind, text]) => h("p", { class: "banner " + kind, role: kind.includes("quiet") ? null : kind === "bad" ? "alert" : "status" }, text)));
}

addEventListener("hashchange", route);
document.addEventListener("visibilitychange", update);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("drawer").open) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
  const view = views[Number(event.key) - 1];
  if (view) location.hash = view.name;
  else if (event.key === "/") byId("main").querySelector("input[type=search]")?.focus();
  else if (event.key === "p" && current.made.pause) current.made.pause();
  else return;
  event.preventDefault();
});
setInterval(() => visible() && current?.made.second?.(), 1000);

onNews(update);
route();
connect();
