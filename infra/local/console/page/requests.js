// What a backend does: publish, and control. The samples of events/ fill the form; the function's own error is shown at the field that it names.
import { get, post } from "./api.js";
import { command, commands, invoke, make } from "./command.js";
import { h, milliseconds, say } from "./dom.js";
import { editor } from "./editor.js";
import { format } from "./json.js";
import { ready } from "./live.js";
import { open as openTrace } from "./trace.js";

const prepared = new Map(); // by function: a request that another view has made ready

// prepare opens the view of a function with a request that is ready to be sent.
export function prepare(fn, request) {
  prepared.set(fn, JSON.stringify(request, null, 2));
  if (location.hash === "#" + fn) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = fn;
}

const about = {
  publish: ["A backend invokes the function publish; here the page does. Who gets the event is in ", h("code", {}, "to"), ", or follows from the event."],
  control: ["A backend invokes the function control to say who takes part in a conversation, and to act on users and their sockets."],
};

export function view(fn) {
  let samples = [], sending = false;
  const select = h("select", { id: fn + "-sample", onchange: choose });
  const field = editor({ label: "Request to " + fn, onchange: edited });
  const send = h("button", { type: "submit", class: "primary" }, fn === "publish" ? "Publish" : "Send");
  const result = h("div", { class: "result", role: "status" });
  const shell = h("div", {});
  const form = h("form", { class: "form", onsubmit: submit },
    h("p", { class: "muted" }, about[fn]),
    h("div", { class: "field" }, h("label", { for: fn + "-sample" }, "Sample"), select),
    field.node,
    h("div", { class: "buttons" }, send, h("span", { class: "muted" }, "or Ctrl+Enter"), h("button", { type: "button", class: "end", onclick: indent }, "Format")),
    result, shell);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });

  // load reads the samples, unless they are there, or on their way.
  let loading = null;
  const load = () => (loading ??= Promise.all([get("/samples"), ready]).then(([all]) => {
    result.replaceChildren();
    samples = all.filter((s) => s.function === fn);
    const group = (name, own) => own.length > 0 && h("optgroup", { label: name }, own.map((s) => h("option", { value: s.file }, s.file.split("/").at(-1).replace(".json", ""))));
    const refused = samples.filter((s) => s.file.includes("/errors/"));
    select.replaceChildren(h("option", { value: "" }, "Your own"), ...[group("events/" + fn, samples.filter((s) => !refused.includes(s))), group("that are refused", refused)].filter(Boolean));
  }).catch((error) => {
    loading = null;
    result.replaceChildren(h("p", { class: "bad" }, error.message));
  }));

  function choose() {
    const sample = samples.find((s) => s.file === select.value);
    if (sample) field.text = sample.text.trimEnd();
    edited();
  }

  function indent() {
    if (!field.check()) return;
    field.text = format(field.text);
    edited();
  }

  // edited keeps the sample's name only while the text is the sample's.
  function edited() {
    const sample = samples.find((s) => s.file === select.value);
    if (sample && sample.text.trimEnd() !== field.text) select.value = "";
    result.replaceChildren();
    shell.replaceChildren();
    if (!field.check()) return;
    const file = select.value;
    const texts = [];
    if (file && fn === "publish") texts.push(make.publish(file));
    const people = participants(field.text);
    if (people) texts.push(make.participants(...people));
    texts.push(invoke(fn, JSON.stringify(JSON.parse(field.text)) === field.text.replace(/\s+/g, "") ? field.text.replace(/\s+/g, "") : field.text, file));
    shell.replaceChildren(commands(...texts));
  }

  async function submit(event) {
    event.preventDefault();
    if (sending) return; // whoever is in a hurry has not asked for two
    if (!field.check()) {
      say("The request is not JSON");
      return;
    }
    const sent = field.text;
    send.ariaDisabled = sending = true;
    result.replaceChildren(h("p", { class: "muted" }, "Sending …"));
    try {
      show(await post("/invoke/" + fn, sent), sent);
    } catch (error) {
      result.replaceChildren(h("p", { class: "bad" }, error.message));
    }
    send.ariaDisabled = sending = false;
  }

  // show shows what became of a text, in the field only while that is still there.
  function show(out, sent) {
    const there = field.text === sent;
    if (there) field.clear();
    if (out.syntax) {
      if (there) field.syntaxAt(out.syntax.offset, out.syntax.message);
      result.replaceChildren();
      return;
    }
    const seen = h("button", { type: "button", class: "link", onclick: () => openTrace(out.traceId) }, "See the way it took");
    if (out.error) {
      const { type, field: name, message } = out.error;
      if (name && there) field.complain(name, message);
      result.replaceChildren(h("div", { class: "answer bad" }, h("p", {}, h("strong", {}, type), name ? [" at ", h("code", {}, name)] : "", ": " + message), h("p", {}, `after ${milliseconds(out.ms)}. `, seen)));
      say(`${type}: ${name} ${message}`);
      return;
    }
    result.replaceChildren(h("div", { class: "answer ok" }, h("pre", { tabindex: "0", "aria-label": "Answer" }, pretty(out.answer)), h("p", {}, `after ${milliseconds(out.ms)}. `, seen)));
    say("Answered " + JSON.stringify(out.answer));
  }

  return {
    node: form,
    async show() {
      await load();
      if (prepared.has(fn)) {
        select.value = "";
        field.text = prepared.get(fn);
        prepared.delete(fn);
        edited();
        field.focus();
      } else if (!field.text && samples.length > 0) {
        select.value = (samples.find((s) => s.file.endsWith(fn === "publish" ? "/messages-new.json" : "/set.json")) ?? samples[0]).file;
        choose();
      }
    },
  };
}

// participants is what make participants takes, of a request that it can make.
function participants(text) {
  const request = JSON.parse(text);
  const { op, conversationId, users } = request ?? {};
  const texts = Array.isArray(users) && users.length > 0 && users.every((u) => typeof u === "string" && !u.includes(","));
  return op === "participants.set" && typeof conversationId === "string" && texts ? [conversationId, users] : null;
}

function pretty(answer) {
  const line = JSON.stringify(answer);
  return line.length < 100 ? line : JSON.stringify(answer, null, 2);
}
