// The commands that do what the page does, ready to copy.
import { h, say } from "./dom.js";
import { live } from "./live.js";

// quote is one word for the shell.
export const quote = (text) => (/^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : "'" + text.replaceAll("'", "'\\''") + "'");

// port is what a setting has to say where the stack is, "" for its default.
const port = (name, at, usual) => (String(at || usual) === String(usual) ? "" : `${name}=${at} `);
const wsPort = () => port("WS_PORT", location.port, 3001);
const lambdaPort = () => port("LAMBDA_PORT", new URL(live.hello.lambdaEndpoint).port, 3002);

export const make = {
  client: (user) => `${wsPort()}make client USER=${quote(user)}`,
  token: (user, life) => `make token USER=${quote(user)}${life ? " TTL=" + life : ""}`,
  publish: (file) => `${lambdaPort()}make publish FILE=${quote(file)}`,
  participants: (conversation, users) => `${lambdaPort()}make participants CONVERSATION=${quote(conversation)} USERS=${quote(users.join(","))}`,
  run: (faults, shuffle) => `${faults ? `FAULTS=${quote(faults)} ` : ""}${shuffle ? `SHUFFLE=${quote(shuffle)} ` : ""}${wsPort()}make run`,
};

// invoke is the AWS CLI's way. With a file the payload stays there.
export const invoke = (fn, payload, file) =>
  "AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1 \\\n" +
  `aws lambda invoke --endpoint-url ${quote(live.hello.lambdaEndpoint)} --function-name ${fn} \\\n` +
  (file ? `    --payload ${quote("fileb://" + file)} /dev/stdout` : `    --cli-binary-format raw-in-base64-out --payload ${quote(payload)} /dev/stdout`);

// socketio is a stock client in Node, where socket.io-client is installed.
export const socketio = (user) =>
  `TOKEN=$(make -s token USER=${quote(user)}) node -e '\n` +
  `require("socket.io-client").io("ws://${location.host}/ws/app", { path: "${live.hello.stage}", transports: ["websocket"],\n` +
  `  auth: { token: process.env.TOKEN } }).onAny(console.log)'`;

// command shows one, with a button that copies it.
export function command(text) {
  const code = h("code", {}, text);
  const button = h("button", { type: "button", class: "small", onclick: copy }, "Copy");
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      say("Copied the command");
    } catch {
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  }
  return h("div", { class: "command" }, h("pre", { tabindex: "0", "aria-label": "Command" }, code), button);
}

// commands are several, for the same.
export const commands = (...texts) => h("section", { class: "commands" }, h("h3", {}, texts.length > 1 ? "The same in a terminal, either" : "The same in a terminal"), texts.map(command));
