// The drawer: more about one thing, over the list that it is in. Escape closes it.
import { byId, h } from "./dom.js";

let closed = null;

// openDrawer shows a title and content; refresh, when given, is called for it each second until it is closed.
export function openDrawer(title, content, { refresh } = {}) {
  const drawer = byId("drawer");
  closed?.();
  drawer.replaceChildren(
    h("div", { class: "drawer-head" }, h("h2", { id: "drawer-title" }, title), h("button", { type: "button", class: "small", onclick: () => drawer.close() }, "Close")),
    h("div", { class: "drawer-body" }, content),
  );
  const timer = refresh && setInterval(refresh, 1000);
  closed = () => clearInterval(timer);
  drawer.onclose = () => closed?.();
  drawer.onclick = (event) => event.target === drawer && drawer.close();
  if (!drawer.open) drawer.showModal();
}

export const closeDrawer = () => byId("drawer").close();

// facts is a list of names and values.
export const facts = (...pairs) => h("dl", { class: "facts" }, pairs.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
