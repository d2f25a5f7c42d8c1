// Where things are in a JSON text: the place where it ceases to be JSON, and the place of a field that a function complains about.

// locate reads a text. It returns { error: { offset, message } } or { places }, a Map from a field's path, such as data.recipients[2], to
// [start, end] of its value; "" is the whole.
export function locate(text) {
  const places = new Map();
  let at = 0;

  const fail = (message, offset = at) => {
    throw Object.assign(new Error(message), { offset });
  };
  const space = () => {
    while (" \t\r\n".includes(text[at]) && at < text.length) at++;
  };
  const expect = (c, what) => {
    space();
    if (text[at] !== c) fail(at >= text.length ? `the text ends where ${what} is expected` : `${what} is expected here`);
    at++;
  };

  function string() {
    const start = at;
    expect('"', "a name in double quotes");
    while (at < text.length && text[at] !== '"') {
      if (text[at] < " ") fail("a line ends inside a string: write \\n");
      at += text[at] === "\\" ? 2 : 1;
    }
    if (at >= text.length) fail("this string has no end", start);
    at++;
    try {
      return JSON.parse(text.slice(start, at));
    } catch {
      return fail("this string has an escape that is none", start);
    }
  }

  function value(path) {
    space();
    const start = at;
    const c = text[at];
    if (c === "{") object(path);
    else if (c === "[") array(path);
    else if (c === '"') string();
    else {
      const word = /^[^\s,:[\]{}"]*/.exec(text.slice(at))[0];
      if (word === "") fail(at >= text.length ? "the text ends where a value is expected" : "a value is expected here");
      try {
        JSON.parse(word);
      } catch {
        fail(word.startsWith("'") ? "strings are in double quotes" : `${word.slice(0, 20)} is no JSON value`);
      }
      at += word.length;
    }
    places.set(path, [start, at]);
  }

  function object(path) {
    at++;
    space();
    if (text[at] === "}") return void at++;
    for (;;) {
      space();
      if (text[at] === "}") fail("a comma before the closing brace");
      const name = string();
      expect(":", "a colon");
      value(path === "" ? name : `${path}.${name}`);
      space();
      if (text[at] === "}") return void at++;
      expect(",", "a comma or a closing brace");
    }
  }

  function array(path) {
    at++;
    space();
    if (text[at] === "]") return void at++;
    for (let i = 0; ; i++) {
      space();
      if (text[at] === "]") fail("a comma before the closing bracket");
      value(`${path}[${i}]`);
      space();
      if (text[at] === "]") return void at++;
      expect(",", "a comma or a closing bracket");
    }
  }

  try {
    value("");
    space();
    if (at < text.length) fail("the JSON ends before this");
  } catch (error) {
    if (error.offset === undefined) throw error;
    return { error: { offset: Math.min(error.offset, text.length), message: error.message } };
  }
  return { places };
}

// placeOf is where a field is, or the nearest that holds it: a field that is missing has no place of its own.
export function placeOf(text, field) {
  const { places } = locate(text);
  if (!places) return null;
  for (let path = field; path; path = path.replace(/(^|\.)[^.[]+$|\[\d+\]$/, "")) {
    if (places.has(path)) return places.get(path);
  }
  return places.get("");
}

// position of an offset, for people: line and column from 1.
export function position(text, offset) {
  const before = text.slice(0, offset).split("\n");
  return { line: before.length, column: [...before.at(-1)].length + 1 };
}

// format indents a JSON text, and changes nothing else of it: a number keeps all its digits.
export function format(text) {
  let out = "", depth = 0;
  const line = () => "\n" + "  ".repeat(depth);
  for (const [token] of text.matchAll(/"(?:\\.|[^"\\])*"|[{[]\s*[}\]]|[^\s{}[\],:"]+|[{}[\],:]/g)) {
    if (/^[{[]\s*[}\]]$/.test(token)) out += token[0] + token.at(-1);
    else if (token === "{" || token === "[") {
      depth++;
      out += token + line();
    } else if (token === "}" || token === "]") {
      depth--;
      out += line() + token;
    } else out += token === "," ? token + line() : token === ":" ? ": " : token;
  }
  return out;
}
