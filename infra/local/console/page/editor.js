// A field for JSON, with line numbers, which marks the place of an error.
import { h } from "./dom.js";
import { locate, placeOf, position } from "./json.js";

export function editor({ label, onchange }) {
  const sheet = h("div", { class: "lines-below", "aria-hidden": "true" });
  const note = h("p", { class: "note", id: `${label.replace(/\W+/g, "-")}-note` });
  const area = h("textarea", {
    spellcheck: "false", autocapitalize: "off", autocomplete: "off", "aria-label": label, "aria-describedby": note.id,
    oninput: () => { check(); onchange?.(); }, onscroll: scroll, onkeydown: indent,
  });
  const node = h("div", { class: "editor" }, h("div", { class: "sheet" }, sheet, area), note);

  function scroll() {
    sheet.scrollTop = area.scrollTop;
  }

  // draw puts the text, unseen, behind the field, line by line: that numbers the lines, which may be broken, and marks [start, end].
  function draw(start = 0, end = 0, kind = "") {
    let at = 0;
    sheet.replaceChildren(...area.value.split("\n").map((line) => {
      const from = Math.max(start - at, 0), to = Math.min(end - at, line.length + 1);
      at += line.length + 1;
      if (from >= to) return h("div", {}, line || " ");
      return h("div", {}, line.slice(0, from), h("mark", { class: kind }, line.slice(from, to) || " "), line.slice(to));
    }));
    scroll();
  }

  // Tab stays what it is for whoever uses the keyboard alone; Enter keeps the indentation.
  function indent(event) {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
    const line = area.value.slice(0, area.selectionStart).split("\n").at(-1);
    event.preventDefault();
    area.setRangeText("\n" + /^\s*/.exec(line)[0], area.selectionStart, area.selectionEnd, "end");
    check();
    onchange?.();
  }

  // mark shows what is wrong, at [start, end].
  function mark(message, [start, end], kind = "bad") {
    const to = Math.max(end, start + 1);
    draw(start, to, kind);
    const { line, column } = position(area.value, start);
    note.className = "note " + kind;
    note.replaceChildren(message + " (", h("button", { type: "button", class: "link", onclick: () => select(start, to) }, `line ${line}, column ${column}`), ")");
    area.setAttribute("aria-invalid", "true");
  }

  function clear() {
    draw();
    note.textContent = "";
    note.className = "note";
    area.removeAttribute("aria-invalid");
  }

  function select(start, end) {
    area.focus();
    area.setSelectionRange(start, end);
    area.scrollTop = Math.max(0, (sheet.querySelector("mark")?.offsetTop ?? 0) - 60);
  }

  // check marks where the text ceases to be JSON, and tells whether it is.
  function check() {
    clear();
    const { error } = locate(area.value);
    if (error) mark("Not JSON: " + error.message, [error.offset, error.offset + 1]);
    return !error;
  }

  return {
    node,
    check,
    get text() { return area.value; },
    set text(text) {
      area.value = text;
      area.scrollTop = 0;
      check();
    },
    // complain marks the field that a function named.
    complain(field, message) {
      mark(`${field}: ${message}`, placeOf(area.value, field) ?? [0, 0]);
    },
    // syntaxAt marks where the server found that the text is not JSON.
    syntaxAt(offset, message) {
      mark("Not JSON: " + message, [offset, offset + 1]);
    },
    clear,
    focus: () => area.focus(),
  };
}
