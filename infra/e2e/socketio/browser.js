// The stock client in Chromium, on a page of another origin, as frontends load it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { chromium } from "playwright-core";
import { eventually, participants, path, publish, sweep, token, url } from "./system.js";

const bundle = readFileSync(new URL("node_modules/socket.io-client/dist/socket.io.min.js", import.meta.url));
const site = createServer((request, response) => {
  const script = request.url === "/socket.io.min.js";
  response.setHeader("Content-Type", script ? "text/javascript" : "text/html");
  response.end(script ? bundle : `<!doctype html><title>client</title><script src="/socket.io.min.js"></script>`);
});

let browser, page;

before(async () => {
  await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
});

after(async () => {
  await browser?.close();
  site.close();
});

beforeEach(async () => {
  await page?.close();
  page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${site.address().port}/`);
});

// connect connects in the page, with a token for each time that the client asks for one, the last of them again and again.
const connect = (...tokens) =>
  page.evaluate(
    ({ url, path, tokens }) => {
      const auth = (callback) => callback({ token: tokens.length > 1 ? tokens.shift() : tokens[0] });
      window.socket = io(url + "/ws/app", { path, transports: ["websocket"], auth });
      window.events = [];
      socket.onAny((...event) => events.push(event));
      socket.on("connect", () => events.push(["connect", socket.id]));
      socket.on("disconnect", (reason) => events.push(["disconnect", reason]));
      socket.on("connect_error", (error) => events.push(["connect_error", error.data]));
    },
    { url, path, tokens },
  );

// next takes the oldest event of that name out of the page, with members of its payload that must match.
async function next(name, members = {}) {
  const event = await page.waitForFunction(
    ([name, members]) => {
      const matches = ([n, payload]) => n === name && Object.entries(members).every(([key, value]) => payload[key] === value);
      const index = events.findIndex(matches);
      return index < 0 ? null : { payload: events.splice(index, 1)[0][1] };
    },
    [name, members],
    { polling: 20 },
  );
  return (await event.jsonValue()).payload;
}

const emitWithAck = (...event) => page.evaluate((event) => socket.emitWithAck(...event), event);

test("connect, ready, join with ack, receive, presence", async () => {
  await participants("browser", "browser.alice");
  await connect(token("browser.alice"));
  const id = await next("connect");
  assert.equal((await next("notifications:ready")).userId, "browser.alice");
  const snapshot = await next("presence:update", { userId: "browser.alice" });
  assert.equal(snapshot.sockets[0].socketId, id);
  assert.match(snapshot.sockets[0].userAgent, /Chrome/);
  assert.deepEqual(await emitWithAck("conversations:join", { conversationId: "browser" }), { success: true });
  assert.equal((await emitWithAck("conversations:join", { conversationId: "of.others" })).code, "socket_error:forbidden");
  const data = { conversationId: "browser", message: { id: "m1", body: "ü 😀 \u2028" }, senderId: "bob", recipients: ["bob"] };
  assert.equal((await publish({ event: "messages:new", data })).delivered, 1);
  assert.deepEqual(await next("messages:new"), data);
  await page.evaluate(() => socket.emit("presence:heartbeat"));
  const later = await next("presence:update", { userId: "browser.alice" });
  assert.ok(later.lastSeen > snapshot.lastSeen);
});

test("refused: connect_error with its data", async () => {
  await connect("garbage");
  assert.equal((await next("connect_error")).code, "socket_error:unauthorized");
});

test("reconnect after the transport is closed", async () => {
  await connect(token("browser.bob"));
  const id = await next("connect");
  await next("notifications:ready");
  await publish({ event: "system:disconnect", data: { reason: "maintenance" }, to: { connections: [id] }, reconnect: true });
  assert.equal(await next("disconnect"), "transport close");
  assert.notEqual(await next("connect"), id);
  await next("notifications:ready");
});

test("a token that expires: error, and back with a fresh one", async () => {
  await connect(token("browser.carol", 8), token("browser.carol")); // the first has to last until its CONNECT is through
  await next("notifications:ready");
  await eventually("the end of the token", async () => {
    await sweep();
    return page.evaluate(() => events.some(([name]) => name === "error"));
  });
  assert.equal((await next("error")).code, "socket_error:token_expired");
  assert.equal(await next("disconnect"), "transport close");
  await next("notifications:ready");
});

test("a page that is closed: its user goes offline", async () => {
  await connect(token("browser.dave"));
  await next("notifications:ready");
  const closed = page;
  page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${site.address().port}/`);
  await connect(token("browser.observer"));
  await next("notifications:ready");
  await closed.close();
  await next("presence:update", { userId: "browser.dave", isOnline: false });
});
