// What the tests of the page share: a stack as make run starts it, and a browser.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";
import { undocumented } from "./contract.js";

const patience = 300_000; // ms for the stack to come up
const limit = Number(process.env.CONSOLE_LIMIT_MS ?? 20_000); // ms for what has to happen in the page
export const root = new URL("../../..", import.meta.url).pathname;

// start runs the program of the local stack (CONSOLE_STACK) on ports, free ones by default. Its functions are built in a second.
export async function start({ ports = {}, env = {} } = {}) {
  const child = spawn(process.env.CONSOLE_STACK, [], {
    cwd: root,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, GOCACHE: process.env.GOCACHE ?? "", GOPATH: process.env.GOPATH ?? "", WS_PORT: "0", LAMBDA_PORT: "0", DYNAMODB_PORT: "0", SCHEDULE: "24h", ...ports, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  const up = new Promise((resolve, reject) => {
    const read = (chunk) => {
      said += chunk;
      if (said.includes("Ctrl-C ends everything.")) resolve();
    };
    child.stdout.on("data", read);
    child.stderr.on("data", (chunk) => (said += chunk));
    child.on("exit", (code) => reject(new Error(`the stack ended with ${code}:\n${said}`)));
    setTimeout(() => reject(new Error("the stack did not come up:\n" + said)), patience).unref();
  });
  await up;
  const at = (name) => new RegExp(`^ {2}${name} +(\\S+)`, "m").exec(said)?.[1];
  return {
    console: at("console"),
    invokeAPI: at("Invoke API"),
    ports: { WS_PORT: new URL(at("console")).port, LAMBDA_PORT: new URL(at("Invoke API")).port, DYNAMODB_PORT: new URL(at("table realtime")).port },
    said: () => said,
    async stop() {
      child.removeAllListeners("exit");
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}

// browse starts the browser.
export const browse = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });

// open opens the page, at a view. Whatever the page complains about, and any request to another origin, is kept in page.problems; so is a
// frame of one of its clients that is not in the contract. page.frames counts them all.
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "light", reducedMotion: "reduce", ...options });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const page = await context.newPage();
  page.setDefaultTimeout(limit);
  page.problems = [];
  page.frames = 0;
  page.on("pageerror", (error) => page.problems.push("error: " + error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource|ERR_CONNECTION_REFUSED|WebSocket connection to/.test(message.text())) page.problems.push("console: " + message.text());
  });
  page.on("request", (request) => {
    if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).host !== new URL(url).host) page.problems.push("request to " + request.url());
  });
  page.on("websocket", (socket) =>
    socket.on("framereceived", ({ payload }) => {
      page.frames++;
      const wrong = undocumented(payload);
      if (wrong) page.problems.push("frame: " + wrong);
    }),
  );
  await page.goto(url);
  return page;
}

// view shows a view of the page, as its link does.
export async function view(page, name) {
  if ((await page.locator("dialog[open]").count()) > 0) await page.keyboard.press("Escape");
  await page.click(`nav a[href="#${name}"]`);
  await page.waitForSelector(`main[data-view="${name}"]`);
}

// eventually waits until check does not throw.
export async function eventually(check, within = limit) {
  for (const end = Date.now() + within; ; ) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

// client adds a client, or takes the one that is there, and connects it.
export async function client(page, user, protocol = "json") {
  await view(page, "clients");
  let pane = page.locator(".pane").last();
  if ((await pane.count()) === 0 || (await pane.locator("button.primary").textContent()) === "Disconnect") {
    await page.click("text=Add a client");
    pane = page.locator(".pane").last();
  }
  const index = (await page.locator(".pane").count()) - 1;
  pane = page.locator(".pane").nth(index);
  await pane.getByLabel("User").fill(user);
  await pane.getByLabel("Protocol").selectOption(protocol);
  await pane.getByRole("button", { name: "Connect" }).click();
  await eventually(async () => assert.match(await pane.locator(".frames").textContent(), /notifications:ready/));
  return pane;
}

// text is what a node says, in one line.
export const text = async (locator) => (await locator.textContent()).replaceAll(/\s+/g, " ").trim();

// screenshot keeps a picture where CONSOLE_SCREENSHOTS says, if it does.
export async function screenshot(page, name) {
  const folder = process.env.CONSOLE_SCREENSHOTS;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: `${folder}/${name}.png`, animations: "disabled", caret: "initial" });
}

// fits tells that nothing of the page is beyond its edges.
export async function fits(page, what) {
  const beyond = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const seen = (node) => {
      for (let n = node.parentElement; n; n = n.parentElement) if (["hidden", "auto", "scroll", "clip"].includes(getComputedStyle(n).overflowX) && n !== document.body && n !== document.documentElement) return false;
      return true;
    };
    return [...document.querySelectorAll("body *")].filter((node) => {
      const box = node.getBoundingClientRect();
      return box.width > 0 && box.height > 0 && (box.right > width + 1 || box.left < -1) && !node.matches(".skip, .visually-hidden") && seen(node);
    }).map((node) => node.outerHTML.slice(0, 80));
  });
  assert.deepEqual(beyond, [], `${what}: beyond the edge of the page`);
  const cut = await page.evaluate(() => [...document.querySelectorAll("nav a, button, .button, label, h2, .figure, .step .num")].filter((node) => node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0).map((node) => node.textContent));
  assert.deepEqual(cut, [], `${what}: wider than its place`);
}

// named tells that whoever cannot see the page is told what each thing in it is that can be used.
export async function named(page, what) {
  const nameless = await page.evaluate(() => [...document.querySelectorAll("a, button, input, select, textarea, [tabindex='0'], [role=img]")].filter((node) => {
    const label = node.getAttribute("aria-label") || [...(node.labels ?? [])].map((l) => l.textContent).join("") || (node.matches("a, button") ? node.textContent : "");
    return node.checkVisibility() && label.trim() === "";
  }).map((node) => node.outerHTML.slice(0, 120)));
  assert.deepEqual(nameless, [], `${what}: without a name`);
}
