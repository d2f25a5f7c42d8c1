// What the page asks of the console's server, which is on its own origin.

export class Refused extends Error {
  constructor(status, { field = "", message = "" } = {}) {
    super(message || `the console answered ${status}`);
    this.field = field;
    this.status = status;
  }
}

async function call(path, options) {
  let response, text;
  try {
    response = await fetch("console/api" + path, options);
    text = await response.text();
  } catch {
    throw new Refused(0, { message: "the stack does not answer: start it with make run" });
  }
  let body = {};
  try {
    body = JSON.parse(text);
  } catch {
    body = { message: text.trim() };
  }
  if (!response.ok) throw new Refused(response.status, body);
  return body;
}

export const get = (path, query = {}) => {
  const text = new URLSearchParams(query).toString();
  return call(path + (text ? "?" + text : ""));
};

export const post = (path, body) =>
  call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: typeof body === "string" ? body : JSON.stringify(body) });
