// What Ajv, in its strict mode, says of the schemas in events/contract, and of the samples in events by them.
import { Ajv2020 } from "ajv/dist/2020.js";
import { readdir, readFile } from "node:fs/promises";

const events = new URL("../../../events/", import.meta.url);
const read = async (path) => JSON.parse(await readFile(new URL(path, events), "utf8"));
const list = async (folder, options) => (await readdir(new URL(folder, events), options)).filter((name) => name.endsWith(".json"));

const ajv = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true });
const names = await list("contract/schema/", { recursive: true });
for (const name of names) {
  ajv.addSchema(await read(`contract/schema/${name}`), name);
  ajv.getSchema(name);
}

let samples = 0;
for (const request of ["publish", "control"]) {
  const fits = ajv.getSchema(`${request}/request.json`);
  for (const folder of [`${request}/`, `${request}/errors/`]) {
    for (const name of await list(folder)) {
      samples++;
      if (fits(await read(folder + name)) === folder.includes("errors")) {
        console.error(`${folder}${name}:`, fits.errors ?? "fits");
        process.exitCode = 1;
      }
    }
  }
}
console.log(`schema: ${names.length} schemas, ${samples} samples`);
