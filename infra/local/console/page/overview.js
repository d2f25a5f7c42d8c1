// Figures over time, as small plots.
import { count, dollars, h, span, svg, units } from "./dom.js";
import { live } from "./live.js";

const width = 300, height = 64;

const plots = [
  { title: "Active connections", value: (s) => s.active, unit: count, note: (m) => `peak ${count(m.peak)}`, now: (m) => count(live.news.counts.open) },
  { title: "Events of clients a second", value: (s) => s.events, unit: count, note: (m) => `${count(m.total.events)} in all` },
  { title: "Posts to clients a second", value: (s) => s.posts, unit: count, note: (m) => `${count(m.total.posts)} in all, ${count(m.total.gone)} × 410, ${count(m.total.failed)} failed` },
  { title: "Invocations a second", value: (s) => s.usage.invocations, unit: count, note: (m) => `${count(m.total.usage.invocations)} in all, ${count(m.total.errors)} with an error` },
  { title: "Write units a second", value: (s) => s.usage.write, unit: units, note: (m) => `${units(m.total.usage.write)} in all` },
  { title: "Read units a second", value: (s) => s.usage.read, unit: units, note: (m) => `${units(m.total.usage.read)} in all` },
  { title: "Would cost on AWS, an hour", value: (s) => s.dollars * 3600, unit: dollars, note: (m) => `${dollars(m.total.dollars)} since the start, ${span(live.news.at - m.since)} ago`, wide: true },
];

export function view() {
  const drawn = plots.map((plot) => {
    const area = svg("path", { class: "area" }), line = svg("path", { class: "line" });
    const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": plot.title }, area, line);
    const now = h("p", { class: "figure" }, "0"), note = h("p", { class: "muted" }), most = h("span", { class: "most" });
    return { plot, area, line, drawing, now, note, most, node: h("article", { class: "plot" + (plot.wide ? " wide" : "") }, h("h3", {}, plot.title), now, h("div", { class: "drawing" }, drawing, most), note) };
  });
  const start = h("div", { class: "hint" },
    h("h3", {}, "Nothing is connected yet"),
    h("p", {}, "Connect somebody in ", h("a", { href: "#clients" }, "Clients"), " (press 6), or with ", h("code", {}, "make client USER=alice"), " in a terminal. Then ", h("a", { href: "#publish" }, "publish"), " something, and see the way that it takes in ", h("a", { href: "#trace" }, "Trace"), "."));
  const keys = h("p", { class: "muted keys" }, "Keys: 1 to 9 change the view, / searches, ↑ ↓ and Enter choose in a list, p pauses the trace, Esc closes.");
  const node = h("div", {}, start, h("div", { class: "plots" }, drawn.map((d) => d.node)),
    h("p", { class: "muted" }, "The last five minutes. Dollars are list prices for what was counted here; how long functions take is this machine's word, not AWS's."), keys);

  let last = 0;
  return {
    node,
    show() { last = 0; this.update(); },
    update() {
      const m = live.metrics;
      if (!m) return;
      start.hidden = live.news.counts.open > 0 || m.total.events > 0;
      const at = m.samples.at(-1)?.at ?? -1;
      drawn[0].now.textContent = plots[0].now(m);
      if (at === last) return;
      last = at;
      for (const d of drawn) draw(d, m);
    },
  };
}

function draw({ plot, area, line, drawing, now, note, most }, m) {
  const values = m.samples.map(plot.value);
  const top = Math.max(...values, 0);
  const x = (i) => width - (values.length - 1 - i) * (width / 299);
  const y = (v) => height - 2 - (top > 0 ? (v / top) * (height - 6) : 0);
  const points = values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`);
  line.setAttribute("d", points.length ? "M" + points.join("L") : "");
  area.setAttribute("d", points.length ? `M${x(0).toFixed(1)},${height}L${points.join("L")}L${width},${height}Z` : "");
  const latest = plot.now ? plot.now(m) : plot.unit(values.at(-1) ?? 0);
  now.textContent = latest;
  most.textContent = top > 0 ? "max " + plot.unit(top) : "";
  note.textContent = plot.note(m);
  drawing.setAttribute("aria-label", `${plot.title}: now ${latest}, at most ${plot.unit(top)} in the last five minutes`);
}
