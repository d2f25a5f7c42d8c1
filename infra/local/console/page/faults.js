// What goes wrong on purpose, while the stack runs.
import { get, post } from "./api.js";
import { commands, make } from "./command.js";
import { count, h, say } from "./dom.js";

export function view() {
  const fields = new Map(); // by key
  let own = false; // the fields have what somebody typed, which has not been applied
  const shuffle = h("input", { id: "shuffle", placeholder: "200ms", oninput: typed });
  const last = h("div", { class: "field fault" }, h("label", { for: "shuffle" }, "shuffle", h("span", { class: "muted" }, "the messages of a connection run in any order, each held back up to so long")), shuffle);
  const grid = h("div", { class: "fault-grid" }, last);
  const problem = h("p", { class: "note", role: "alert" });
  const state = h("p", { class: "muted" });
  const shell = h("div", {});
  const node = h("form", { class: "form", onsubmit: apply },
    h("p", { class: "muted" }, "Shares are from 0, never, to 1, always. A fault depends on the seed, what it happens to and how often that has come up: the same seed, the same faults. They begin and end at once, for everybody."),
    state, grid,
    problem,
    h("div", { class: "buttons" }, h("button", { type: "submit", class: "primary" }, "Apply"), h("button", { type: "button", onclick: calm }, "Nothing goes wrong")),
    shell);

  const text = () => [...fields].filter(([, input]) => input.value.trim() !== "").map(([key, input]) => `${key}=${input.value.trim()}`).join(",");

  function typed() {
    own = true;
    edited();
  }

  function edited() {
    problem.textContent = "";
    for (const input of [...fields.values(), shuffle]) input.removeAttribute("aria-invalid");
    shell.replaceChildren(commands(make.run(text(), shuffle.value.trim())));
  }

  function fill(page) {
    if (fields.size === 0) {
      for (const { Name: name, Meaning: meaning } of page.keys) {
        const input = h("input", { id: "fault-" + name, inputmode: "decimal", oninput: typed, placeholder: name.endsWith("latency") ? "1s" : "0" });
        fields.set(name, input);
        last.before(h("div", { class: "field fault" }, h("label", { for: input.id }, name, h("span", { class: "muted" }, meaning)), input));
      }
    }
    tell(page);
    if (own) return;
    const given = new Map(page.faults.split(",").filter(Boolean).map((part) => part.split("=")));
    for (const [key, input] of fields) input.value = given.get(key) ?? "";
    shuffle.value = page.shuffle;
    edited();
  }

  function tell(page) {
    const on = [page.faults, page.shuffle && "shuffle=" + page.shuffle].filter(Boolean).join(", ");
    const injected = Object.entries(page.injected ?? {}).filter(([, n]) => n > 0).map(([key, n]) => `${key} ${count(n)}`).join(", ");
    state.replaceChildren(on ? h("span", { class: "chip warn" }, "on") : h("span", { class: "chip ok" }, "off"), on ? ` ${on}. ` : " Nothing goes wrong on purpose. ", injected ? `So far: ${injected}.` : "");
  }

  async function apply(event) {
    event.preventDefault();
    own = false;
    try {
      const page = await post("/faults", { faults: text(), shuffle: shuffle.value.trim() });
      fill(page);
      say(page.faults || page.shuffle ? "Faults are on" : "Nothing goes wrong on purpose");
    } catch (error) {
      own = true;
      problem.textContent = error.message;
      problem.className = "note bad";
      const key = error.field === "shuffle" ? shuffle : fields.get(/^[a-z-]+/.exec(error.message)?.[0]);
      key?.setAttribute("aria-invalid", "true");
      key?.focus();
    }
  }

  function calm() {
    for (const input of fields.values()) input.value = "";
    shuffle.value = "";
    node.requestSubmit();
  }

  return {
    node,
    show: () => get("/faults").then(fill).catch((error) => (problem.textContent = error.message)),
    second: () => get("/faults").then(tell).catch(() => {}),
  };
}
