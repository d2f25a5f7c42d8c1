// What the page costs a browser, and the stack, beside CONNECTIONS connections and EVENTS events a second.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { browse, eventually, fits, open, text, view } from "./system.js";

const connections = Number(process.env.CONNECTIONS), events = Number(process.env.EVENTS);
const browser = await browse();
try {
  const page = await open(browser, process.env.CONSOLE_URL);
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const metrics = async () => Object.fromEntries((await session.send("Performance.getMetrics")).metrics.map((m) => [m.name, m.value]));
  const grouped = new Intl.NumberFormat("en").format(connections);

  // reached is how many events of clients the stack has counted, and when: what was asked for is not always what a machine can do.
  const reached = () => page.evaluate(() => new Promise((resolve) => {
    const source = new EventSource("console/api/stream");
    source.addEventListener("news", ({ data }) => {
      const { at, metrics } = JSON.parse(data);
      source.close();
      resolve({ at, events: metrics.total.events });
    });
  }));

  await eventually(async () => assert.equal(await text(page.locator('nav a[href="#connections"] .badge')), grouped));
  const first = await reached();
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
        if (now < end || took.length < 10) requestAnimationFrame(frame); // enough to say something, however slow the machine
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
  await page.setViewportSize({ width: 400, height: 800 });
  for (const name of ["overview", "connections", "trace"]) {
    await view(page, name);
    await fits(page, `${name}, 400 pixels wide`);
  }
  const last = await reached();
  const rate = ((last.events - first.events) * 1000) / (last.at - first.at);
  console.log(`events: ${events} a second were asked for, ${rate.toFixed(0)} came`);
  assert.ok(rate > 100, "as few events as these are followed one and all: no sampling was seen");
  const notice = await eventually(async () => {
    const said = /([\d,]+) events a second: 100 of them are followed\. Counts and costs are of all\./.exec(await text(page.locator("#banners")));
    assert.ok(said, "the page says that it samples");
    return said;
  });
  console.log(`the page says: ${notice[0]}`);
  assert.ok(Number(await page.locator(".matched").textContent()) <= 500, "traces in the page");
  const memory = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${process.env.SERVER_PID}/status`, "utf8"))[1] / 1024;
  console.log(`the stack's process, with ${connections} connections, their rows and the console: ${memory.toFixed(0)} MB`);
  assert.deepEqual(page.problems, []);
} finally {
  await browser.close();
}
