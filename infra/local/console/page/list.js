// A list of any length: only the rows in sight are in the page, and only their window is fetched.
import { count, h } from "./dom.js";

const overscan = 8; // rows, on either side of those in sight

const textOf = (cell) => (cell instanceof Node ? cell.textContent : cell);

// list shows what source gives: source(offset, limit, search) returns { total, matched, rows }, or a promise of it. cells(row) are its cells, in
// the order of columns; open(row) shows more of it; empty() is what to say without any.
export function list({ label, columns, source, cells, open, empty, filters = [], placeholder = "Search" }) {
  let result = { total: 0, matched: 0, offset: 0, rows: [] };
  let asked = 0, selected = 0, height = 40, tall = 600, stale = true, fetching = false, failure = "";
  const search = h("input", { type: "search", placeholder, "aria-label": `${placeholder}: ${label}`, oninput: () => { box.scrollTop = 0; selected = 0; refresh(); } });
  const matched = h("p", { class: "matched", "aria-live": "off" });
  const space = h("div", { class: "space" });
  const box = h("div", {
    class: "rows", role: "grid", tabindex: "0", "aria-label": label,
    onscroll: () => { draw(); if (!covered()) refresh(); }, onkeydown: keys,
  }, space);
  const head = h("div", { class: "head", "aria-hidden": "true" }, columns.map((c) => h("span", { class: "cell " + (c.class ?? "") }, c.name)));
  const nothing = h("div", { class: "empty" });
  const node = h("div", { class: columns.length > 5 ? "list" : "list compact" }, h("div", { class: "tools" }, search, filters, matched), head, box, nothing);

  // What layout says is asked for when it changes, not for every picture.
  new ResizeObserver(() => {
    height = parseFloat(getComputedStyle(node).getPropertyValue("--row")) || height;
    tall = box.clientHeight || tall;
    draw(true);
    if (!covered()) refresh();
  }).observe(box);

  const inSight = () => {
    const top = box.scrollTop;
    return [Math.max(0, Math.floor(top / height) - overscan), Math.min(result.matched, Math.ceil((top + tall) / height) + overscan)];
  };
  const covered = () => {
    const [first, last] = inSight();
    return first >= result.offset && last <= result.offset + result.rows.length;
  };

  async function refresh() {
    if (fetching) {
      stale = true;
      return;
    }
    stale = false;
    const turn = ++asked;
    const [first] = inSight();
    const size = Math.ceil(tall / height) + 6 * overscan;
    try {
      const got = source(Math.max(0, first - 2 * overscan), Math.min(size, 200), search.value.trim());
      fetching = got instanceof Promise;
      result = fetching ? await got : got;
      failure = "";
    } catch (error) {
      failure = error.message;
    }
    fetching = false;
    if (turn === asked) draw();
    if (stale || !covered() && !failure && result.rows.length > 0) requestAnimationFrame(() => node.isConnected && refresh());
  }

  const drawn = new Map(); // by index
  let before = "";

  // draw shows the rows in sight. A row whose item is the same stays as it is, unless all are to be made anew.
  function draw(anew = false) {
    const none = result.matched === 0;
    const shape = [result.matched, result.total, height, failure].join();
    if (shape !== before) reshape(none);
    before = shape;
    const [first, last] = inSight();
    for (const [index, row] of drawn) {
      if (index < first || index >= last) {
        row.remove();
        drawn.delete(index);
      }
    }
    selected = Math.max(0, Math.min(selected, result.matched - 1));
    for (let index = first; index < last; index++) put(index, result.rows[index - result.offset], anew);
    box.setAttribute("aria-activedescendant", drawn.has(selected) ? drawn.get(selected).id : "");
  }

  function reshape(none) {
    space.style.height = result.matched * height + "px";
    box.setAttribute("aria-rowcount", result.matched);
    box.hidden = head.hidden = none;
    nothing.hidden = !none;
    if (none) nothing.replaceChildren(failure ? h("p", {}, failure) : result.total > 0 ? h("p", {}, "Nothing matches.") : empty());
    matched.textContent = result.matched === result.total ? count(result.total) : `${count(result.matched)} of ${count(result.total)}`;
  }

  function put(index, item, anew) {
    let row = drawn.get(index);
    if (!row) {
      row = h("div", { class: "row", role: "row", id: `${label.replace(/\W+/g, "-")}-${index}`, "aria-rowindex": index + 1, onclick: () => choose(index) });
      row.style.transform = `translateY(${index * height}px)`;
      drawn.set(index, row);
      const above = drawn.get(index - 1);
      if (above) above.after(row);
      else space.prepend(row);
    } else if (anew) row.style.transform = `translateY(${index * height}px)`;
    const chosen = index === selected;
    if (row.chosen !== chosen) {
      row.chosen = chosen;
      row.classList.toggle("selected", chosen);
      row.setAttribute("aria-selected", chosen);
    }
    if (item && row.item === item && !anew) return;
    if (!item) {
      row.textContent = "…";
      row.item = row.text = undefined;
      return;
    }
    row.item = item;
    const made = cells(item);
    const text = made.map((c) => textOf(c) + (c.className ?? "")).join("\u0000");
    if (row.text === text) return;
    row.text = text;
    row.replaceChildren(...made.map((c, i) => h("span", { class: "cell " + (columns[i].class ?? ""), role: "gridcell", title: textOf(c), "aria-label": `${columns[i].name}: ${textOf(c)}`, dataset: { label: columns[i].name } }, c)));
  }

  function choose(index) {
    selected = index;
    draw();
    const item = result.rows[index - result.offset];
    if (item) open?.(item);
  }

  function keys(event) {
    const page = Math.max(1, Math.floor(tall / height) - 1);
    const to = { ArrowDown: selected + 1, ArrowUp: selected - 1, PageDown: selected + page, PageUp: selected - page, Home: 0, End: result.matched - 1, j: selected + 1, k: selected - 1 }[event.key];
    if (event.key === "Enter") choose(selected);
    else if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    else {
      selected = Math.max(0, Math.min(to, result.matched - 1));
      const top = selected * height;
      if (top < box.scrollTop) box.scrollTop = top;
      else if (top + height > box.scrollTop + tall) box.scrollTop = top + height - tall;
      draw();
    }
    event.preventDefault();
  }

  return { node, refresh, draw, search };
}
