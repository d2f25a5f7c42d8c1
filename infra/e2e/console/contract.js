// What the page's clients get, held to the contract's schema.
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";

const schema = JSON.parse(readFileSync(new URL("../../../events/contract/schema/server-to-client.json", import.meta.url), "utf8"));
const ajv = new Ajv2020({ allowUnionTypes: true, allErrors: true });
const documented = ajv.compile(schema);

// envelope is a frame as a JSON client gets it, or null: what only makes a Socket.IO connection, and what API Gateway says by itself.
function envelope(frame) {
  const [, type, id, rest] = /^4([23])\/ws\/app,(\d*)(\[.*\])$/s.exec(frame) ?? [];
  if (type) {
    const [first, data] = JSON.parse(rest);
    return type === "2" ? { event: first, data } : { event: "ack", id: Number(id), data: first };
  }
  return frame.startsWith("{") && !frame.startsWith('{"message": "') ? JSON.parse(frame) : null;
}

// undocumented says what is wrong with a frame; "" when nothing is.
export function undocumented(frame) {
  const message = envelope(String(frame));
  return message === null || documented(message) ? "" : `${frame}: ${ajv.errorsText(documented.errors)}`;
}
