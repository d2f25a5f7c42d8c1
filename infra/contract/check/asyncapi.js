// What AsyncAPI's own parser says of events/contract/asyncapi.yaml.
import { Parser } from "@asyncapi/parser";
import { readFile } from "node:fs/promises";

const file = new URL("../../../events/contract/asyncapi.yaml", import.meta.url);
const { document, diagnostics } = await new Parser().parse(await readFile(file, "utf8"));
for (const { code, message, path, range } of diagnostics) {
  console.error(`asyncapi.yaml:${range.start.line + 1}: ${code}: ${message} (${path.join(".")})`);
}
if (diagnostics.length > 0 || !document) {
  process.exit(1);
}
const operations = document.operations().all();
console.log(`asyncapi.yaml: ${operations.length} operations, ${document.messages().all().length} messages`);
