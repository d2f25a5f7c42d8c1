// The console in a browser, beside the program that make run starts: its views, and what can be done in them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { undocumented } from "./contract.js";
import { browse, client, eventually, fits, named, open, screenshot, start, text, view } from "./system.js";

const markup = `<img src=x onerror="document.title='hacked'"><script>document.title='hacked'</script>`;
let stack, browser, page;

before(async () => {
  [stack, browser] = await Promise.all([start(), browse()]);
  page = await open(browser, stack.console);
});

after(async () => {
  await browser?.close();
  await stack?.stop();
});

const rows = (p = page) => p.locator("main .row");
const answer = (p = page) => p.locator(".answer");

// request sends a request to a function in its view.
async function request(fn, body) {
  await view(page, fn);
  await page.waitForFunction(() => document.querySelector("main textarea")?.value);
  await page.getByLabel("Request to " + fn).fill(typeof body === "string" ? body : JSON.stringify(body, null, 2));
  await page.locator("main button.primary").click();
}

async function answered(fn, body) {
  await request(fn, body);
  await answer().waitFor();
  return text(answer());
}

const message = { event: "messages:new", data: { conversationId: "c1", message: { id: "m1", body: markup }, senderId: "alice", recipients: ["bob"] } };

test("empty views say what to do next, at every size, light and dark", async () => {
  const wants = { overview: /Connect somebody/, connections: /Nobody is connected\. Connect somebody/, rooms: /Say who takes part/, presence: /Whoever connects/, trace: /each event is a line/ };
  for (const [size, width] of [["wide", 1280], ["narrow", 400]]) {
    for (const colorScheme of ["light", "dark"]) {
      const p = await open(browser, stack.console, { viewport: { width, height: 800 }, colorScheme });
      for (const name of ["overview", "connections", "rooms", "presence", "trace", "clients", "publish", "control", "faults"]) {
        await view(p, name);
        await eventually(async () => assert.match(await text(p.locator("main")), wants[name] ?? /./));
        if (["publish", "control"].includes(name)) await p.waitForFunction(() => document.querySelector("textarea")?.value);
        if (name === "faults") await p.locator("#fault-kill").waitFor();
        await fits(p, `${name}, ${size}`);
        await named(p, name);
        await screenshot(p, `${name}-empty-${size}-${colorScheme}`);
      }
      assert.deepEqual(p.problems, []);
      await p.context().close();
    }
  }
});

test("a page that still looks for the stack names what is in it", async () => {
  const p = await open(browser, stack.console);
  await p.route("**/console/api/stream", () => {}); // no answer
  await p.reload();
  await eventually(async () => assert.equal(await text(p.locator("#status")), "Looking for the stack"));
  await named(p, "overview");
  assert.deepEqual(p.problems, []);
  await p.context().close();
});

test("control says who takes part, and shows the commands that do the same", async () => {
  await view(page, "control");
  await page.waitForFunction(() => document.querySelector("main textarea")?.value);
  assert.equal(await page.locator("#control-sample").inputValue(), "events/control/set.json");
  await page.locator("main button.primary").click();
  await answer().waitFor();
  assert.match(await text(answer()), /\{"added":2,"removed":0\}/);
  const shown = await text(page.locator(".commands"));
  assert.match(shown, /make participants CONVERSATION=c1 USERS=alice,bob/);
  assert.match(shown, /aws lambda invoke --endpoint-url http:\/\/127\.0\.0\.1:\d+ --function-name control \\ --payload fileb:\/\/events\/control\/set\.json/);
  await page.locator(".command button").first().click();
  await eventually(async () => assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^LAMBDA_PORT=\d+ make participants CONVERSATION=c1 USERS=alice,bob$/));
});

test("clients of both protocols connect, join and receive, side by side", async () => {
  const alice = await client(page, "alice");
  const bob = await client(page, "bob", "socketio");
  await alice.getByRole("button", { name: "Join" }).click();
  await eventually(async () => assert.match(await alice.locator(".frames").textContent(), /"event":"ack","id":"1","data":\{"success":true\}/));
  await bob.getByRole("button", { name: "Join" }).click();
  await eventually(async () => assert.match(await bob.locator(".frames").textContent(), /43\/ws\/app,1\[\{"success":true\}\]/));
  await alice.getByRole("button", { name: "Heartbeat" }).click();
  await eventually(async () => assert.match(await alice.locator(".frames").textContent(), /"event":"ack","id":"2","data":\{"success":true\}/));
  await alice.getByLabel("Frame", { exact: true }).fill('{"event":"nonsense","id":"x"}');
  await alice.getByRole("button", { name: "Send" }).click();
  await eventually(async () => assert.match(await alice.locator(".frames").textContent(), /socket_error:unknown_event/));
  await screenshot(page, "clients-full-wide-light");
});

test("a token is never shown whole", async () => {
  const tokens = /eyJ[\w-]+\.[\w-]+\.[\w-]+/;
  const shown = await page.evaluate(() => document.documentElement.outerHTML + [...document.querySelectorAll("input, textarea")].map((i) => i.value).join());
  assert.match(shown, /40\/ws\/app,\{"token":"eyJhbGci…"\}/, "the frame with the token is shown, shortened");
  assert.doesNotMatch(shown, tokens);
  assert.doesNotMatch(stack.said(), tokens);
});

test("a token that somebody pastes is not shown whole either", async () => {
  const pane = page.locator(".pane").first();
  const pasted = `eyJhbGciOiJIUzI1NiJ9.${"e30".repeat(8)}.${"c2ln".repeat(8)}`;
  await pane.getByLabel("Frame", { exact: true }).fill(JSON.stringify({ event: pasted, id: "pasted" }));
  await pane.getByRole("button", { name: "Send" }).click();
  await eventually(async () => assert.match(await pane.locator(".frames").textContent(), /"event":"eyJhbGci…","id":"pasted"}.*"id":"pasted"/));
  await page.click("text=Add a client");
  const other = page.locator(".pane").last();
  await other.getByText("A token of your own").click();
  await other.locator("input[type=password]").fill(pasted + " (of mine)");
  await other.getByRole("button", { name: "Connect" }).click();
  await eventually(async () => assert.match(await text(other.locator(".note")), /^This cannot be a token: it has a character/));
  await other.getByRole("button", { name: /Remove client/ }).click();
  assert.ok(!(await page.evaluate(() => document.documentElement.outerHTML)).includes(pasted));
  await view(page, "trace");
  await eventually(async () => assert.equal(await rows().filter({ hasText: "eyJhbGci…" }).count(), 1, "where its event is named"));
  await eventually(async () => assert.match(stack.said(), /eyJhbGci…/));
  assert.ok(!stack.said().includes(pasted));
});

test("the page opens at any address, whatever that says", async () => {
  for (const address of ["publish", "control", "faults", "rooms/conversation%3Ac1", "presence/alice", "connections/%", "trace/id:none", "%E0%A4%A/x", "nonsense"]) {
    const p = await open(browser, stack.console + "#" + address);
    await eventually(async () => assert.equal(await text(p.locator("#status")), "Live", address));
    if (address === "publish") await eventually(async () => assert.match(await text(p.locator(".commands")), /make publish FILE=/));
    if (address.startsWith("rooms/")) await eventually(async () => assert.match(await text(p.locator("dialog[open]")), /Sockets \(2\)/));
    if (address === "connections/%") assert.equal(await p.locator("input[type=search]").inputValue(), "%");
    assert.deepEqual(p.problems, [], address);
    await p.context().close();
  }
});

test("the terminal's way is beside each client", async () => {
  await view(page, "clients");
  const alice = page.locator(".pane").first();
  await alice.getByText("In a terminal").click();
  await eventually(async () => assert.match(await text(alice.locator(".commands")), /WS_PORT=\d+ make client USER=alice # then type: join c1.*make token USER=alice TTL=600s/));
  const bob = page.locator(".pane").nth(1);
  await bob.getByText("In a terminal").click();
  await eventually(async () => assert.match(await text(bob.locator(".commands")), /TOKEN=\$\(make -s token USER=bob\) node -e .*socket\.io-client/));
});

test("a user id that the contract refuses is refused in the page, with the reason", async () => {
  await view(page, "clients");
  await page.click("text=Add a client");
  const pane = page.locator(".pane").last();
  for (const user of ["a/b", "", markup]) {
    await pane.getByLabel("User").fill(user);
    await pane.getByRole("button", { name: "Connect" }).click();
    await eventually(async () => assert.match(await text(pane.locator(".note")), /cannot be a user id: use 1 to 128 characters of A-Z a-z 0-9/));
    assert.equal(await pane.getByLabel("User").getAttribute("aria-invalid"), "true");
  }
  await pane.getByLabel("User").fill("late");
  await pane.getByLabel("Token", { exact: true }).selectOption("-60");
  await pane.getByRole("button", { name: "Connect" }).click();
  await eventually(async () => assert.match(await pane.locator(".frames").textContent(), /socket_error:token_expired.*Closed with/));
  await pane.getByRole("button", { name: /Remove client/ }).click();
});

test("connections, rooms and presence show who is there", async () => {
  await view(page, "connections");
  await eventually(async () => assert.equal(await rows().count(), 2));
  assert.match(await text(rows().filter({ hasText: "bob" })), /^bobSocket\.IO\S+=127\.0\.0\.1\d+ (s|min)\d+ (s|min) ago1in \d+ (s|min)open$/);
  await eventually(async () => assert.equal(await text(page.locator('nav a[href="#connections"] .badge')), "2"));
  await page.fill("input[type=search]", "socketio");
  await eventually(async () => assert.equal(await rows().count(), 1));
  assert.equal(await text(page.locator(".matched")), "1 of 2");
  await page.fill("input[type=search]", "nobody of that name");
  await eventually(async () => assert.match(await text(page.locator(".empty")), /Nothing matches\./));
  await page.fill("input[type=search]", "");

  await view(page, "rooms");
  await eventually(async () => assert.match(await text(rows()), /conversation:c1\s*2\s*2/));
  await rows().click();
  await eventually(async () => assert.match(await text(page.locator("dialog")), /Sockets \(2\).*Participants \(2\).*alice.*bob/));
  await screenshot(page, "room-wide-light");
  await page.keyboard.press("Escape");

  await view(page, "presence");
  await eventually(async () => assert.equal(await rows().count(), 2));
  assert.match(await text(rows().first()), /alice\s*online\s*1/);
});

test("the keyboard is enough", async () => {
  await page.keyboard.press("2");
  await page.waitForSelector('main[data-view="connections"]');
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.type), "search");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("role")), "grid");
  await page.keyboard.press("ArrowDown");
  const second = await text(rows().nth(1).locator(".cell").first());
  await page.keyboard.press("Enter");
  await eventually(async () => assert.equal(await text(page.locator("#drawer-title")), second));
  assert.match(await text(page.locator("dialog")), /User agent.*Chrome.*Rooms\s*conversation:c1/);
  await screenshot(page, "connection-wide-light");
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("dialog[open]").count(), 0);
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("role")), "grid", "the focus is back in the list");
});

test("a publish arrives, and its trace has each step with units and cost", async () => {
  assert.match(await answered("publish", message), /"matched":2,"delivered":2/);
  await page.click("text=See the way it took");
  await eventually(async () => assert.match(await text(page.locator("dialog")), /Outcomedelivered 2 of 2.*Would cost\$[\d.]+ if it happened a million times: 2 messages, 1 invocation, 0 write and 3 read units/));
  const steps = await page.locator(".step:not(.steps-head)").allTextContents();
  assert.match(steps[0], /^publish messages:new/);
  assert.equal(steps.filter((s) => s.startsWith("GetItem user:")).length, 2);
  assert.equal(steps.filter((s) => s.startsWith("Query conversation:c1")).length, 1);
  assert.equal(steps.filter((s) => s.startsWith("Post ")).length, 2);
  assert.ok(steps.slice(1).every((s) => s.includes("+")));
  assert.match(await text(page.locator(".log")), /publish\s*invocation.*delivered=2.*outcome=ok/);
  await screenshot(page, "trace-one-wide-light");
  const id = await page.locator("dialog code").first().textContent();
  assert.match(id, /^1-[0-9a-f]{8}-[0-9a-f]{24}$/);
  await page.keyboard.press("Escape");
  await view(page, "clients");
  const frames = page.locator(".pane .frames").first();
  await eventually(async () => assert.match(await frames.textContent(), /messages:new[^]*<img src=x onerror=/));
  assert.ok(await frames.evaluate((list) => list.scrollHeight - list.scrollTop - list.clientHeight < 40), "the newest frame is in sight after another view");
});

test("the trace of a client's event has the functions, the table and the posts that it caused", async () => {
  await view(page, "trace");
  await page.selectOption("main select", "connect");
  await eventually(async () => assert.match((await rows().allTextContents()).join(), /\$connectalice/));
  await rows().filter({ hasText: "alice" }).first().click();
  await eventually(async () => {
    const steps = (await page.locator(".step:not(.steps-head)").allTextContents()).map((s) => /^\S+/.exec(s)[0]);
    for (const name of ["Handshake", "authorizer", "connect", "Connected", "PutItem", "UpdateItem", "publish", "Post"]) assert.ok(steps.includes(name), `${name} in ${steps}`);
    assert.ok(steps.indexOf("authorizer") < steps.indexOf("connect") && steps.indexOf("connect") < steps.indexOf("publish"), String(steps));
  });
  await screenshot(page, "trace-connect-wide-light");
  await page.keyboard.press("Escape");
  await page.selectOption("main select", "event");
  await page.fill("input[type=search]", "conversations:join");
  await eventually(async () => assert.equal(await rows().count(), 2));
  assert.deepEqual((await rows().allTextContents()).map((s) => /conversations:join(alice|bob)/.exec(s)?.[1]).sort(), ["alice", "bob"], "a Socket.IO event has its name too");
  await page.fill("input[type=search]", "");
  await page.selectOption("main select", "");
});

test("the trace is paused, and goes on", async () => {
  await view(page, "trace");
  await page.locator("h2").first().click();
  await page.keyboard.press("p");
  await eventually(async () => assert.equal(await text(page.locator("main button[aria-pressed=true]")), "Go on"));
  const before = await text(page.locator(".matched"));
  await page.evaluate(() => fetch("console/api/invoke/control", { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"op":"participants.list","conversationId":"c1"}' }));
  await page.waitForTimeout(600);
  assert.equal(await text(page.locator(".matched")), before);
  await page.keyboard.press("p");
  await eventually(async () => assert.match(await text(rows().first()), /participants\.list/));
});

test("JSON that is broken is marked at its place, before and after it is sent", async () => {
  await request("publish", '{\n  "event": "messages:new",\n  "data": {"a": 1,}\n}');
  assert.match(await text(page.locator(".note.bad")), /Not JSON: a comma before the closing brace \(line 3, column 19\)/);
  assert.equal(await page.locator(".lines-below mark").textContent(), "}");
  assert.equal(await answer().count(), 0, "it was not sent");
  await page.click(".note button");
  assert.equal(await page.evaluate(() => document.activeElement.value.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)), "}");
  const server = await page.evaluate(async () => (await fetch("console/api/invoke/publish", { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"ü😀": 1,\n }' })).json());
  assert.deepEqual([server.syntax.line, server.syntax.column, server.syntax.offset], [2, 2, 12]);
});

test("the function's own error is shown at the field that it names", async () => {
  await view(page, "publish");
  await page.selectOption("#publish-sample", "events/publish/errors/wrong-type.json");
  await page.locator("main button.primary").click();
  await eventually(async () => assert.match(await text(answer()), /ValidationError at data\.recipients\[1\]: must be a string/));
  assert.equal(await page.locator(".lines-below mark").textContent(), "7");
  assert.match(await text(page.locator(".note.bad")), /^data\.recipients\[1\]: must be .* \(line 3, column \d+\)$/);
  await screenshot(page, "publish-refused-wide-light");
  assert.match(await answered("publish", { event: "messages:new", data: { conversationId: "c1" } }), /ValidationError at data\.message: required/);
  assert.match(await page.locator(".lines-below mark").first().textContent(), /^\{/, "a field that is missing is marked at what lacks it");
  assert.match(await answered("control", { op: markup, conversationId: "c1" }), /ValidationError at op/);
});

test("who asks twice is answered once, and what is typed meanwhile stays", async () => {
  const p = await open(browser, stack.console);
  const asked = [];
  let sockets = 0, go;
  p.on("request", (r) => asked.push(new URL(r.url()).pathname));
  p.on("websocket", () => sockets++);
  // hold keeps the answers of a path back until go().
  const hold = async (path) => {
    const held = new Promise((resolve) => (go = resolve));
    await p.route("**/console/api" + path, async (route) => (await held, route.continue()), { times: 1 });
  };

  await view(p, "clients");
  await p.locator(".pane form").first().evaluate((form) => (form.requestSubmit(), form.requestSubmit()));
  await eventually(async () => assert.match(await p.locator(".pane .frames").textContent(), /notifications:ready/));
  assert.equal(sockets, 1, "connected once");
  await p.click("text=Add a client");
  await hold("/token");
  await p.locator(".pane").last().getByRole("button", { name: "Connect" }).click();
  await p.locator(".pane").last().getByRole("button", { name: /Remove client/ }).click();
  const minted = p.waitForResponse("**/console/api/token");
  go();
  await (await minted).finished();
  await p.evaluate(() => new Promise(requestAnimationFrame));
  assert.equal(sockets, 1, "a client that was removed meanwhile does not connect");

  await view(p, "publish");
  const field = p.getByLabel("Request to publish");
  await eventually(async () => assert.notEqual(await field.inputValue(), ""));
  await field.fill('{"event":"messages:new","data":{"n":12345678901234567890,"e":[ ],"o":{},"s":"a\\"{,:}","x":[1.0,true]}}');
  await p.getByRole("button", { name: "Format" }).click();
  assert.equal(await field.inputValue(), `{
  "event": "messages:new",
  "data": {
    "n": 12345678901234567890,
    "e": [],
    "o": {},
    "s": "a\\"{,:}",
    "x": [
      1.0,
      true
    ]
  }
}`);
  await hold("/invoke/publish");
  await p.locator("main button.primary").focus();
  await p.keyboard.press("Enter");
  await p.keyboard.press("Enter");
  await field.evaluate((area) => {
    area.value = "{}";
    area.dispatchEvent(new Event("input"));
  });
  go();
  await eventually(async () => assert.match(await text(answer(p)), /ValidationError at data\.conversationId: required/));
  assert.equal(await p.locator(".lines-below mark").count(), 0, "what is there now is not what was refused");
  assert.equal(asked.filter((path) => path.endsWith("/invoke/publish")).length, 1, "sent once");
  assert.equal(await p.evaluate(() => document.activeElement.textContent), "Publish", "the focus stays where it was");

  await hold("/faults");
  await view(p, "faults");
  await p.locator("#shuffle").fill("7ms");
  go();
  await p.locator("#fault-kill").waitFor();
  assert.equal(await p.locator("#shuffle").inputValue(), "7ms");
  assert.deepEqual(p.problems, []);
  await p.context().close();
});

test("each sample of the repository is there, and says what it says in a terminal", async () => {
  await view(page, "publish");
  const samples = await page.locator("#publish-sample option").evaluateAll((options) => options.map((o) => o.value).filter(Boolean));
  assert.ok(samples.length > 20, samples.join());
  for (const sample of ["events/publish/notifications-new.json", "events/publish/to-all.json"]) {
    await page.selectOption("#publish-sample", sample);
    assert.match(await text(page.locator(".commands")), new RegExp(`make publish FILE=${sample}Copy`));
    await page.locator("main button.primary").click();
    await eventually(async () => assert.match(await text(answer()), /"delivered":\d/));
  }
});

test("markup in a user agent, a user id and a payload is text", async () => {
  const p = await open(browser, stack.console, { userAgent: "Agent " + markup });
  await client(p, "mallory@example.com");
  await view(page, "connections");
  await page.fill("input[type=search]", "mallory");
  await eventually(async () => assert.equal(await rows().count(), 1));
  await rows().click();
  await eventually(async () => assert.match(await text(page.locator("dialog")), /Agent <img src=x onerror=/));
  await page.keyboard.press("Escape");
  await page.fill("input[type=search]", markup);
  await eventually(async () => assert.equal(await rows().count(), 1, "the user agent is searched"));
  await page.fill("input[type=search]", "");
  await p.context().close();
  for (const each of [page, p]) if (!each.isClosed()) assert.notEqual(await each.title(), "hacked");
  assert.equal(await page.locator("main img, main script, dialog img, dialog script").count(), 0);
});

test("somebody is disconnected from the list of connections", async () => {
  await client(page, "kicked");
  await view(page, "connections");
  await page.fill("input[type=search]", "kicked");
  await eventually(async () => assert.equal(await rows().count(), 1));
  await rows().click();
  await page.locator("dialog").getByText("Disconnect…").click();
  await page.waitForSelector('main[data-view="control"]');
  assert.match(await page.getByLabel("Request to control").inputValue(), /"op": "sockets\.disconnect"/);
  await page.locator("main button.primary").click();
  await eventually(async () => assert.match(await text(answer()), /"delivered": ?1/));
  await view(page, "clients");
  await eventually(async () => assert.match(await page.locator(".pane .frames").last().textContent(), /system:disconnect.*kicked.*Closed with 1000/));
  await page.locator(".pane").last().getByRole("button", { name: /Remove client/ }).click();
});

test("faults are switched on and off, and refused at the field", async () => {
  await view(page, "faults");
  await page.locator("#fault-throttled").fill("2");
  await page.click("main button.primary");
  await eventually(async () => assert.match(await text(page.locator(".note.bad")), /^throttled: "2" is not a number from 0 to 1/));
  assert.equal(await page.locator("#fault-throttled").getAttribute("aria-invalid"), "true");
  await page.locator("#fault-throttled").fill("");
  await page.locator("#fault-failed").fill("1");
  await page.locator("#shuffle").fill("5ms");
  assert.match(await text(page.locator(".commands")), /FAULTS=failed=1 SHUFFLE=5ms WS_PORT=\d+ make run/);
  await page.click("main button.primary");
  await eventually(async () => assert.match(await text(page.locator("main")), /on failed=1, shuffle=5ms\./));
  await screenshot(page, "faults-on-wide-light");
  assert.match(await answered("publish", message), /"delivered":0,"gone":0,"failed":2/);
  await view(page, "trace");
  await page.selectOption("main select", "failed");
  await eventually(async () => assert.match(await text(rows().first()), /PostToConnection: 500/));
  await page.selectOption("main select", "");
  await view(page, "faults");
  await eventually(async () => assert.match(await text(page.locator("main")), /So far: failed \d+/));
  await page.click("text=Nothing goes wrong");
  await eventually(async () => assert.match(await text(page.locator("main")), /off Nothing goes wrong on purpose/));
  assert.match(await answered("publish", message), /"delivered":2/);
});

test("figures over time are counted and drawn", async () => {
  await view(page, "overview");
  await eventually(async () => {
    const shown = await page.locator(".plot").allTextContents();
    assert.match(shown[0], /Active connections2.*peak [3-9]/);
    assert.match(shown[1], /Events of clients a second.*\d+ in all/);
    assert.match(shown[2], /Posts to clients a second.*[1-9]\d* in all, \d+ × 410, [1-9]\d* failed/);
    assert.match(shown[4], /Write units.*[1-9]\d* in all/);
    assert.match(shown[6], /Would cost on AWS, an hour\$[\d.e-]+.*\$0\.0\d+ since the start/);
  });
  assert.ok((await page.locator(".plot .line").first().getAttribute("d")).length > 20);
});

test("a page that has lost the stack for a moment has each second once", async () => {
  const at = () => page.evaluate(async () => (await import("/console/live.js")).live.metrics?.samples.map((s) => s.at) ?? []);
  await eventually(async () => assert.ok((await at()).length > 2));
  const before = await page.evaluate(async () => {
    const { connect, live } = await import("/console/live.js");
    connect();
    return live.news.at;
  });
  await eventually(async () => assert.ok(Math.max(...(await at())) > before, "there are newer ones"));
  const all = await at();
  assert.deepEqual(all, [...new Set(all)].sort((a, b) => a - b));
});

test("full views fit, at every size, light and dark", async () => {
  for (const [size, width] of [["wide", 1280], ["narrow", 400]]) {
    for (const colorScheme of ["light", "dark"]) {
      const p = await open(browser, stack.console, { viewport: { width, height: 800 }, colorScheme });
      for (const name of ["overview", "connections", "rooms", "presence", "trace"]) {
        await view(p, name);
        if (name === "overview") await eventually(async () => assert.match(await text(p.locator(".plot").first()), /connections2/));
        else await eventually(async () => assert.ok((await rows(p).count()) > 0));
        await fits(p, `${name}, ${size}`);
        await screenshot(p, `${name}-full-${size}-${colorScheme}`);
        if (name === "overview" || name === "trace" && size === "wide") continue;
        await rows(p).first().click();
        await p.locator("dialog[open] .facts, dialog[open] .lines, dialog[open] .steps").first().waitFor();
        await fits(p, `${name}, one, ${size}`);
        await named(p, `${name}, one`);
        if (name === "trace") await screenshot(p, `trace-one-${size}-${colorScheme}`);
        await p.keyboard.press("Escape");
      }
      await view(p, "publish");
      await p.waitForFunction(() => document.querySelector("textarea")?.value);
      await p.click("main button.primary");
      await answer(p).waitFor();
      await fits(p, `publish, answered, ${size}`);
      await screenshot(p, `publish-full-${size}-${colorScheme}`);
      await client(p, `somebody-${size}-${colorScheme}`);
      await fits(p, `clients, connected, ${size}`);
      if (size === "narrow") await screenshot(p, `clients-full-narrow-${colorScheme}`);
      assert.deepEqual(p.problems, []);
      await p.context().close();
    }
  }
});

test("hundreds of frames at once are drawn in one go, the last of them", async () => {
  const p = await open(browser, stack.console);
  const pane = await client(p, "flood");
  const drawn = await pane.locator(".frames").evaluate((frames) => new Promise((resolve) => {
    new MutationObserver(() => resolve({ lines: frames.children.length, last: frames.textContent.includes("flood 299") })).observe(frames, { childList: true });
    const raw = document.querySelector('[aria-label="Frame"]');
    for (let i = 0; i < 300; i++) {
      raw.value = `{"event":"flood ${i}","id":"${i}"}`;
      raw.form.requestSubmit();
    }
  }));
  assert.deepEqual(drawn, { lines: 200, last: true }, "the first time that anything is drawn");
  assert.deepEqual(p.problems, []);
  await p.context().close();
});

test("the newest frame stays in sight while panes are added beside it, until somebody scrolls up", async () => {
  const p = await open(browser, stack.console);
  const pane = await client(p, "follows");
  const frames = pane.locator(".frames");
  const below = () => frames.evaluate((list) => list.scrollHeight - list.scrollTop - list.clientHeight);
  const send = async (id) => {
    await pane.getByLabel("Frame", { exact: true }).fill(JSON.stringify({ event: "words ".repeat(60), id }));
    await pane.getByRole("button", { name: "Send" }).click();
    await eventually(async () => assert.match(await frames.textContent(), new RegExp(`"ack","id":"${id}"`)));
  };
  await send("one");
  await send("two");
  const lines = () => frames.evaluate((list) => list.scrollHeight);
  const before = await lines();
  await p.click("text=Add a client");
  await eventually(async () => assert.ok((await lines()) > before + 40, "the frames wrap anew"));
  await eventually(async () => assert.ok((await below()) <= 1, "in the narrower pane"));
  await send("three");
  await eventually(async () => assert.ok((await below()) <= 1, "and whatever comes then"));
  await frames.hover();
  await eventually(async () => {
    await p.mouse.wheel(0, -5000); // again, if a frame that came meanwhile has ended the way up
    assert.equal(await frames.evaluate((list) => list.scrollTop), 0);
  });
  await send("four");
  assert.equal(await frames.evaluate((list) => list.scrollTop), 0, "who reads what was before is left alone");
  await p.context().close();
});

test("it can be used at twice the size, and at the width of a small phone", async () => {
  for (const viewport of [{ width: 640, height: 400 }, { width: 320, height: 568 }]) {
    const p = await open(browser, stack.console, { viewport, deviceScaleFactor: 2 });
    for (const name of ["overview", "connections", "rooms", "presence", "trace", "clients", "publish", "control", "faults"]) {
      await view(p, name);
      if (["publish", "control"].includes(name)) await p.waitForFunction(() => document.querySelector("textarea")?.value);
      if (name === "faults") await p.locator("#fault-kill").waitFor();
      await fits(p, `${name}, ${viewport.width}`);
      await screenshot(p, `${name}-${viewport.width}`);
    }
    await p.context().close();
  }
});

test("the page says when the stack stops, and finds it again when it is started again", async () => {
  await view(page, "connections");
  await page.fill("input[type=search]", "");
  const other = await open(browser, stack.console);
  await eventually(async () => assert.equal(await text(other.locator("#status")), "Live"));
  const { ports } = stack;
  await stack.stop();
  await eventually(async () => assert.equal(await text(page.locator("#status")), "The stack does not answer"));
  assert.match(await text(page.locator(".banner.bad")), /Start it with make run: this page finds it by itself/);
  await screenshot(page, "stopped-wide-light");
  await view(page, "publish");
  await page.locator("main button.primary").click();
  await eventually(async () => assert.match(await text(page.locator(".result")), /the stack does not answer: start it with make run/));
  await view(other, "publish");
  await eventually(async () => assert.match(await text(other.locator(".result")), /the stack does not answer/));
  stack = await start({ ports });
  await eventually(async () => assert.equal(await text(page.locator("#status")), "Live"));
  assert.match(await text(page.locator("#banners")), /The stack was started again/);
  await eventually(async () => assert.match(await text(other.locator("main")), /make publish FILE=events/, "what a view asked for in vain it asks for again"));
  assert.doesNotMatch(await text(other.locator("main")), /does not answer/);
  await other.context().close();
  await view(page, "connections");
  await eventually(async () => assert.match(await text(page.locator(".empty")), /Nobody is connected/));
  await view(page, "clients");
  assert.match(await page.locator(".pane .frames").first().textContent(), /Closed with 1001|without a close frame/);
});

test("nothing went wrong in the page, nothing left its origin, and its clients got what the contract has", () => {
  assert.deepEqual(page.problems, []);
  assert.ok(page.frames > 20, `only ${page.frames} frames`);
  assert.match(undocumented('42/ws/app,["notifications:ready",{"message":"hi"}]'), /userId/, "and what it has not is seen");
});
