// The way that each event takes: functions, calls of the table, posts, and what they would cost.
import { get } from "./api.js";
import { bytes, clock, count, h, milliseconds, perMillion, plural, units } from "./dom.js";
import { facts, openDrawer } from "./drawer.js";
import { list } from "./list.js";
import { live } from "./live.js";

const kinds = [["", "Everything"], ["connect", "Connects"], ["event", "Events of clients"], ["disconnect", "Disconnects"], ["publish", "Publishes"], ["control", "Control"], ["sweep", "Sweep"], ["failed", "Failures"]];

// clientKinds are those of clients; the others are functions that a backend, or the schedule, invoked.
const clientKinds = ["connect", "event", "disconnect"];

export function view() {
  let paused = null; // the traces as they were
  const kind = h("select", { "aria-label": "Filter", onchange: () => lines.refresh() }, kinds.map(([value, text]) => h("option", { value }, text)));
  const pauseButton = h("button", { type: "button", "aria-pressed": "false", "aria-keyshortcuts": "p", onclick: pause }, "Pause");
  const lines = list({
    label: "Traces",
    placeholder: "Search event, user, socket id, outcome",
    filters: [kind, pauseButton],
    columns: [
      { name: "Time", class: "mono time" }, { name: "What", class: "wide" }, { name: "Who", class: "who" }, { name: "Took", class: "num tight" }, { name: "Functions", class: "num tight" },
      { name: "Posts", class: "num slim" }, { name: "WRU", class: "num slim" }, { name: "RRU", class: "num slim" }, { name: "Per million", class: "num" }, { name: "Outcome", class: "wide" },
    ],
    source: (offset, limit, search) => {
      const all = matching(search.toLowerCase());
      return { total: paused?.length ?? live.traces.size, matched: all.length, offset, rows: all.slice(offset, offset + limit) };
    },
    cells: (t) => [
      clock(t.at), t.title || t.kind, t.user || t.connection || "–", milliseconds(t.ms), count(t.functions),
      count(t.posts), units(t.usage.write), units(t.usage.read), perMillion(t.dollars), outcome(t),
    ],
    open: (t) => open(t.id),
    empty: () => h("p", {}, "Nothing has happened yet that this shows. Connect somebody in ", h("a", { href: "#clients" }, "Clients"), ", or ", h("a", { href: "#publish" }, "publish"), " something: each event is a line here."),
  });

  // matching is the traces that match, the newest first; the same list until there is news or another filter.
  let made = [], from = "", since = null;
  function matching(search) {
    const now = [kind.value, paused === null, search].join("\u0000");
    if (now !== from || since !== live.news) made = [...(paused ?? live.traces.values())].reverse().filter((t) => matches(t, kind.value, search));
    [from, since] = [now, live.news];
    return made;
  }

  function pause() {
    paused = paused ? null : [...live.traces.values()];
    pauseButton.setAttribute("aria-pressed", String(paused !== null));
    pauseButton.textContent = paused ? "Go on" : "Pause";
    lines.refresh();
  }

  let change = null;
  return {
    node: h("div", { class: "fill" }, lines.node, h("p", { class: "muted foot" }, "Per million: what it would cost on AWS if it happened a million times. One identifier, the Root of X-Amzn-Trace-Id, goes from the event through everything that it causes, and is trace_id in every line of the log, here and on AWS.")),
    pause,
    show: (search) => {
      if (search.startsWith("id:")) open(search.slice(3));
      else if (search) lines.search.value = search;
      lines.refresh();
    },
    update() {
      if (paused || live.news === change) return;
      if (live.news.traces.length > 0 || live.traces.size === 0) lines.refresh();
      change = live.news;
    },
  };
}

function matches(t, kind, search) {
  if (kind === "failed" ? !t.failed : kind && t.kind !== kind) return false;
  return !search || [t.title, t.kind, t.user, t.connection, t.outcome, t.id].some((text) => text?.toLowerCase().includes(search));
}

function outcome(t) {
  if (t.failed) return h("span", { class: "chip bad" }, t.outcome || "failed");
  if (t.gone > 0) return h("span", { class: "chip warn" }, `${t.outcome ? t.outcome + ", " : ""}${count(t.gone)} × 410`);
  return t.outcome || "ok";
}

// open shows a trace, and goes on while it grows.
export async function open(id) {
  const body = h("div", {});
  let before = "";
  const fill = async () => {
    try {
      const t = await get("/trace", { id });
      const now = JSON.stringify(t);
      if (now === before) return;
      before = now;
      body.replaceChildren(page(t));
    } catch (error) {
      if (!before) body.replaceChildren(h("p", { class: "empty" }, error.message));
    }
  };
  await fill();
  openDrawer("Trace", body, { refresh: fill });
}

function page(t) {
  return h("div", { class: "stacked" },
    facts(["What", `${t.title || t.kind}${clientKinds.includes(t.kind) ? "" : ", " + t.kind}`], (t.user || t.connection) && ["Who", h("span", {}, t.user ?? "", " ", t.connection ? h("a", { href: "#connections/" + encodeURIComponent(t.connection) }, t.connection) : "")],
      ["When", clock(t.at)], ["Took", milliseconds(t.ms)], ["Outcome", outcome(t)], ["Would cost", `${perMillion(t.dollars)} if it happened a million times: ${plural(t.usage.messages, "message")}, ${plural(t.functions, "invocation")}, ${units(t.usage.write)} write and ${units(t.usage.read)} read units`],
      ["trace_id", h("code", {}, t.id)]),
    h("h3", {}, "The way it took"),
    waterfall(t),
    t.dropped > 0 && h("p", { class: "muted" }, `and ${plural(t.dropped, "more step")}, which are counted above and not kept`),
    t.lines.length > 0 && [
      h("h3", {}, "What the functions logged"),
      h("ul", { class: "plain log" }, t.lines.map((l) => h("li", { class: l.level }, h("span", { class: "mono muted" }, milliseconds(l.at)), h("strong", {}, l.function), h("span", {}, l.message), h("span", { class: "mono muted" }, l.details ?? "")))),
    ]);
}

// waterfall lists the spans under the invocation that caused each, with a bar for when and how long.
function waterfall(t) {
  const children = new Map();
  const known = new Set(t.spans.map((s) => s.id).filter(Boolean));
  for (const s of t.spans) {
    const parent = known.has(s.parent) ? s.parent : "";
    children.set(parent, [...(children.get(parent) ?? []), s]);
  }
  const total = Math.max(1, ...t.spans.map((s) => s.at + s.ms));
  const rows = [];
  const walk = (parent, depth) => {
    for (const s of children.get(parent) ?? []) {
      rows.push(step(s, depth, total));
      if (s.id) walk(s.id, depth + 1);
    }
  };
  walk("", 0);
  const head = h("li", { class: "step steps-head", "aria-hidden": "true" }, h("span", {}, "Step"), h("span", {}, ""), ["begins", "takes", "uses", "per million"].map((name) => h("span", { class: "num" }, name)));
  return h("ol", { class: "steps plain" }, head, rows);
}

const named = { handshake: "Handshake", connect: "Connected", reject: "Refused", message: "Message", reply: "Reply", close: "Closed", lost: "Lost", PostToConnection: "Post" };

function step(s, depth, total) {
  const bar = svgBar(s, total);
  const figures = [s.write && `${units(s.write)} WRU`, s.read && `${units(s.read)} RRU`, s.bytes && bytes(s.bytes)].filter(Boolean).join(", ");
  const row = h("li", { class: "step " + s.kind + (s.failed ? " failed" : ""), dataset: { depth } },
    h("span", { class: "step-name" }, (s.kind === "function" ? "" : named[s.name]) || s.name, h("span", { class: "muted" }, s.detail ? " " + s.detail : "")),
    h("span", { class: "bar" }, bar),
    h("span", { class: "num" }, `+${milliseconds(Math.max(0, s.at))}`), h("span", { class: "num" }, milliseconds(s.ms)), h("span", { class: "num muted" }, figures), h("span", { class: "num muted" }, s.dollars ? perMillion(s.dollars) : ""),
    s.outcome && h("span", { class: "step-outcome" }, s.outcome));
  row.style.setProperty("--depth", Math.min(depth, 5));
  return row;
}

function svgBar(s, total) {
  const bar = h("i", {});
  bar.style.left = (Math.max(0, s.at) / total) * 100 + "%";
  bar.style.width = Math.max(0.6, (s.ms / total) * 100) + "%";
  return bar;
}
