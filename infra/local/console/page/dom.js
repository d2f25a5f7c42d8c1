// What a page is made of. Text becomes text nodes, never markup: whatever a client chose to call itself is shown as it is.

// h makes an element. Of props, on* are listeners, dataset and value are properties, and the others attributes; null and false are left out.
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name === "value" || name === "checked") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// svg makes an element of a drawing.
export function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes ?? {})) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export const byId = (id) => document.getElementById(id);

// say tells screen readers what an action came to.
export function say(text) {
  byId("said").textContent = text;
}

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const precise = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export const count = (n) => grouped.format(n);
export const units = (n) => precise.format(n);
export const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;

// dollars of a sum that is mostly tiny: two digits that say something.
export function dollars(n) {
  if (n === 0) return "$0";
  if (n >= 100) return "$" + grouped.format(n);
  if (n >= 0.01) return "$" + n.toFixed(2);
  if (n >= 1e-4) return "$" + n.toFixed(5);
  return "$" + n.toFixed(7);
}

// perMillion is what a million of something that costs so much would.
export const perMillion = (n) => dollars(n * 1e6);

export function milliseconds(ms) {
  if (ms === 0) return "0 ms";
  if (ms < 1) return ms.toFixed(2) + " ms";
  if (ms < 10) return ms.toFixed(1) + " ms";
  if (ms < 10_000) return Math.round(ms) + " ms";
  return span(ms);
}

// span is a time in its largest unit.
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 120) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min";
  if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor((s % 3600) / 60) + " min";
  return Math.floor(s / 86400) + " d";
}

export const ago = (at, now) => (at ? span(now - at) + " ago" : "never");
export const clock = (at) => new Date(at).toLocaleTimeString("en-GB", { hour12: false }) + "." + String(at % 1000).padStart(3, "0");

export function bytes(n) {
  if (n < 1024) return n + " B";
  return precise.format(n / 1024) + " KB";
}

// visible tells whether the page can be seen, so that nothing is drawn for nobody.
export const visible = () => document.visibilityState === "visible";
