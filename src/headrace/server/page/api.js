// Asks the server: JSON documents, and changes as they come. Everything the page shows comes through here.

const TOKEN = "headrace-token";

// What a route has answered with instead of a document.
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export function keepToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

export function hasToken() {
  return sessionStorage.getItem(TOKEN) !== null;
}

async function asked(path, signal, accept) {
  const headers = { accept };
  const token = sessionStorage.getItem(TOKEN);
  if (token !== null) headers.authorization = `Bearer ${token}`;
  return fetch(path, { headers, signal, cache: "no-store", credentials: "omit", redirect: "error" });
}

// Numbers that would be others in JavaScript, such as 2^63 or 1.0, stay as they are written.
function exact(_, found, context) {
  const source = context?.source;
  return typeof found === "number" && source !== undefined && String(found) !== source ? JSON.rawJSON(source) : found;
}

async function refusal(response) {
  const document = await response.json().catch(() => ({}));
  return new Refused(response.status, document.error ?? `the server answers ${response.status}`);
}

// A document. Paths are relative, since an application may be mounted anywhere.
export async function get(path, signal) {
  const response = await asked(path, signal, "application/json");
  if (!response.ok) throw await refusal(response);
  return response.json();
}

// The same for what users have stored.
export async function getRows(path) {
  const response = await asked(path, null, "application/json");
  if (!response.ok) throw await refusal(response);
  return JSON.parse(await response.text(), exact);
}

// Path and query of what takes parameters; those that are empty are left out.
export function target(path, parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(given).toString();
  return query === "" ? path : `${path}?${query}`;
}

// Server-sent events until the signal or the server ends them. The browser's own reader of them sends no token.
export async function follow(path, signal, on) {
  const response = await asked(path, signal, "text/event-stream");
  if (!response.ok) throw await refusal(response);
  on("begin", null);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let left = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (left + value).split("\n\n");
    left = events.pop();
    for (const event of events) {
      const lines = event.split("\n");
      const field = (name) => lines.find((line) => line.startsWith(name))?.slice(name.length);
      const data = field("data: ");
      if (data !== undefined) on(field("event: "), JSON.parse(data, exact));
    }
  }
}
