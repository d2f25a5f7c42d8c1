// What the page costs a browser, and the stack, beside CONNECTIONS connections and EVENTS events a second.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { browse, eventually, open, text, view } from "./system.js";

const connections = Number(process.env.CONNECTIONS), events = Number(process.env.EVENTS);
const browser = await browse();
try {
  const page = await open(browser, process.env.CONSOLE_URL);
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const metrics = async () => Object.fromEntries((await session.send("Performance.getMetrics")).metrics.map((m) => [m.name, m.value]));
  const grouped = new Intl.NumberFormat("en").format(connections);

  await eventually(async () => assert.equal(await text(page.locator('nav a[href="#connections"] .badge')), grouped));
  const weight = await page.evaluate(() => performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation")).filter((e) => !e.name.includes("/api/")).reduce((sum, e) => sum + e.decodedBodySize, 0));
  console.log(`page weight: ${weight} bytes, as it travels`);

  for (const name of ["overview", "connections", "presence", "rooms", "trace"]) {
    await view(page, name);
    await page.waitForTimeout(500);
    // A frame is what the browser does between two pictures; the page scrolls meanwhile, where it can.
    const before = await metrics();
    const frames = await page.evaluate(() => new Promise((resolve) => {
      const took = [], end = performance.now() + 4000;
      let last = performance.now();
      const rows = document.querySelector("main .rows");
      const frame = (now) => {
        took.push(now - last);
        last = now;
        if (rows) rows.scrollTop = (rows.scrollTop + 400) % Math.max(1, rows.scrollHeight - rows.clientHeight);
        if (now < end) requestAnimationFrame(frame);
        else resolve(took.slice(1).sort((a, b) => a - b));
      };
      requestAnimationFrame(frame);
    }));
    const after = await metrics();
    const at = (share) => frames[Math.min(frames.length - 1, Math.floor(frames.length * share))].toFixed(1);
    const per = (...names) => ((names.reduce((sum, n) => sum + after[n] - before[n], 0) * 1000) / frames.length).toFixed(2);
    const inPage = await page.locator("main .row").count();
    console.log(`${name}: ${per("ScriptDuration")} ms of script and ${per("LayoutDuration", "RecalcStyleDuration")} ms of layout a frame (${frames.length} frames in 4 s, scrolling; between two of them p50 ${at(0.5)} ms, p99 ${at(0.99)} ms), ${inPage} rows in the page, heap ${(after.JSHeapUsedSize / 2 ** 20).toFixed(1)} MB`);
    assert.ok(inPage < 80, `${name}: ${inPage} rows are in the page`);
    assert.ok(after.JSHeapUsedSize < 64 * 2 ** 20, "the heap of the page stays small");
  }

  await view(page, "connections");
  await eventually(async () => assert.equal(await text(page.locator(".matched")), grouped));
  await page.locator("main .rows").evaluate((rows) => (rows.scrollTop = rows.scrollHeight));
  await eventually(async () => {
    assert.equal(await page.locator("main .row").last().getAttribute("aria-rowindex"), String(connections), "the last row is the last connection");
    assert.match(await text(page.locator("main .row").last()), /user-\d+/);
  });
  await page.fill("input[type=search]", "user-" + (connections - 1));
  await eventually(async () => assert.equal(await text(page.locator(".matched")), `1 of ${grouped}`));
  if (events > 100) await eventually(async () => assert.match(await text(page.locator("#banners")), /events a second: 100 of them are followed/));
  const memory = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${process.env.SERVER_PID}/status`, "utf8"))[1] / 1024;
  console.log(`the stack's process, with ${connections} connections, their rows and the console: ${memory.toFixed(0)} MB`);
  assert.deepEqual(page.problems, []);
} finally {
  await browser.close();
}
