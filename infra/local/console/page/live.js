// What the server tells by itself. It survives the stack: a page that has lost it says so and finds it again.
import { count } from "./dom.js";

const silence = 3000; // ms without a word, of a server that speaks four times a second
const keptSamples = 300;

export const live = {
  hello: null,
  news: null,
  metrics: null, // { total, peak, since, samples }
  traces: new Map(), // by id
  state: "connecting", // connecting, up, slow, down
  restarted: false,
};

let greeted;
// ready resolves when the server has said where things are: live.hello is there from then on.
export const ready = new Promise((resolve) => (greeted = resolve));

// now is the server's time, in Unix epoch milliseconds.
export const now = () => live.news?.at ?? Date.now();

const listeners = new Set();

// onNews calls back for every word of the server, and when its state changes.
export function onNews(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell() {
  for (const listener of listeners) listener(live);
}

let source, heard, retry;

export function connect() {
  clearTimeout(retry);
  source?.close();
  source = new EventSource("console/api/stream");
  source.addEventListener("hello", (event) => {
    const hello = JSON.parse(event.data);
    live.restarted = live.hello !== null && live.hello.boot !== hello.boot;
    if (live.restarted) live.traces.clear();
    live.metrics = null; // all of them come anew
    live.hello = hello;
    greeted();
    hear();
  });
  source.addEventListener("news", (event) => {
    take(JSON.parse(event.data));
    hear();
  });
  source.onerror = () => {
    source.close();
    live.state = "down";
    tell();
    retry = setTimeout(connect, 1000);
  };
}

function hear() {
  heard = Date.now();
  live.state = "up";
  tell();
}

setInterval(() => {
  if (live.state === "up" && Date.now() - heard > silence) {
    live.state = "slow";
    tell();
  }
}, 500);

function take(news) {
  live.news = news;
  for (const trace of news.traces) {
    live.traces.set(trace.id, trace);
  }
  for (const id of live.traces.keys()) {
    if (live.traces.size <= live.hello.traces) break;
    live.traces.delete(id);
  }
  if (news.metrics) {
    const samples = (live.metrics?.samples ?? []).concat(news.metrics.samples);
    live.metrics = { ...news.metrics, samples: samples.slice(-keptSamples) };
  }
}

// sampling says that not every event is followed, "" when all are.
export function sampling() {
  const rate = live.news?.rate;
  if (!rate || rate.kept >= rate.seen) return "";
  return `${count(rate.seen)} events a second: ${count(rate.kept)} of them are followed. Counts and costs are of all.`;
}
