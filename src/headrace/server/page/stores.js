// What is in the stores: look up a key, browse, watch.

import { get, getRows, target } from "./api.js";
import { h, row, show, table } from "./dom.js";
import { count, duration } from "./format.js";
import { rowsOf, shownRows, watch } from "./store_rows.js";

const LIMIT = 50;

let list = null;
let panel = null;
let chosen = null;
let watching = null; // ends the watch that is under way

async function load(_, signal) {
  const [found, { tasks, standbys }] = await Promise.all([get("stores", signal), get("tasks", signal)]);
  return { stores: found.stores, tasks: [...tasks, ...standbys] };
}

// How far the copies here are behind their changelogs, together.
function behind(tasks, store) {
  const lags = tasks.filter((task) => store in task.stores).map((task) => task.stores[store].offset_lag);
  return lags.length === 0 ? "–" : count(lags.reduce((sum, lag) => sum + lag, 0));
}

function storeRow(store, tasks) {
  const kept = store.retention_ms ?? store.history_ms;
  return row(
    store.name,
    [
      h("a", { href: `#/stores/${encodeURIComponent(store.name)}`, "aria-current": store.name === chosen ? "true" : null }, store.name),
      store.kind.replace("_", "-") + (store.is_global ? ", global" : ""),
      h("code", null, store.key),
      h("code", null, store.value),
      kept === null ? "–" : duration(kept),
      behind(tasks, store.name),
      h("code", null, store.where),
    ],
    { "data-store": store.name },
  );
}

// ── one store ──────────────────────────────────────────────────────────────────────────────────────────────────────

const text = (name, label, hint) => h("label", null, `${label} `, h("input", { name, type: "text", autocomplete: "off", spellcheck: "false", placeholder: hint ?? null }));
const flag = (name, label) => h("label", { class: "check" }, h("input", { name, type: "checkbox" }), ` ${label}`);
const moment = (name, label) => text(name, label, "2024-05-01T12:00Z or ms");

const FIELDS = {
  key_value: (key) => [key, text("from", "From"), text("to", "To"), text("prefix", "Prefix"), flag("reverse", "backwards")],
  window: (key) => [key, moment("start", "From"), moment("end", "To"), flag("reverse", "backwards")],
  session: (key) => [key, moment("start", "From"), moment("end", "To"), flag("reverse", "backwards")],
  versioned: (key) => [key, moment("as_of", "As of"), flag("history", "all versions")],
};
const TIMES = new Set(["start", "end", "as_of"]);

function momentOf(written) {
  if (written === "" || /^\d+$/.test(written)) return written;
  const found = Date.parse(written);
  if (Number.isNaN(found)) throw new Error(`${written} is no time: write 2024-05-01T12:00Z, or milliseconds since 1970`);
  return String(found);
}

function asked(form) {
  const parameters = {};
  for (const field of form.querySelectorAll("input")) {
    if (field.type === "checkbox") parameters[field.name] = field.checked ? "true" : "";
    else parameters[field.name] = TIMES.has(field.name) ? momentOf(field.value.trim()) : field.value;
  }
  return parameters;
}

async function browse(spec, form, into) {
  const begun = { rows: [], at: Date.now(), key: form.elements.key?.value };
  const more = async (cursor) => {
    try {
      const parameters = { ...asked(form), limit: LIMIT, cursor };
      const answer = await getRows(target(`stores/${encodeURIComponent(spec.name)}`, parameters));
      begun.rows.push(...rowsOf(answer));
      const next = answer.next ? h("button", { type: "button" }, "More") : null;
      next?.addEventListener("click", () => more(answer.next));
      into.replaceChildren(...shownRows(spec, begun.rows, begun.key, begun.at).filter(Boolean), ...(next === null ? [] : [next]));
    } catch (error) {
      show(into, h("p", { class: "waits", role: "status" }, error.message));
    }
    into.dataset.answered = String(Number(into.dataset.answered ?? 0) + 1);
  };
  await more("");
}

function stopWatching() {
  watching?.abort();
  watching = null;
}

function open(spec) {
  const rows = h("div", { class: "rows" });
  const changes = h("div", { class: "changes" });
  const follow = h("button", { type: "button", "aria-pressed": "false" }, "Watch live");
  const form = h("form", { class: "asked", "aria-label": `Ask ${spec.name}` }, FIELDS[spec.kind](text("key", "Key", spec.key === "string" ? null : "as JSON")), flag("committed", "committed only"), h("button", { type: "submit" }, "Look"), follow);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    browse(spec, form, rows);
  });
  follow.addEventListener("click", async () => {
    const isBegin = watching === null;
    stopWatching();
    if (!isBegin) return;
    const own = (watching = new AbortController());
    follow.setAttribute("aria-pressed", "true");
    follow.textContent = "Stop watching";
    await watch(spec, target(`stores/${encodeURIComponent(spec.name)}/watch`, { key: form.elements.key.value }), changes, own.signal);
    if (watching === own) watching = null;
    follow.setAttribute("aria-pressed", "false");
    follow.textContent = "Watch live";
  });
  panel.replaceChildren(h("h2", null, spec.name, h("small", null, `${spec.kind.replace("_", "-")} store, ${spec.key} → ${spec.value}`)), form, rows, changes);
  if (spec.kind !== "versioned") browse(spec, form, rows);
}

function choose(spec, name) {
  chosen = name;
  stopWatching();
  panel.hidden = name === null;
  if (name === null) panel.replaceChildren();
  else if (spec === undefined) panel.replaceChildren(h("p", { class: "waits" }, `There is no store ${name}.`));
  else if (!spec.can_be_read) panel.replaceChildren(h("h2", null, name), h("p", { class: "none" }, "A store of this kind cannot be read."));
  else open(spec);
}

const HEADS = ["Store", "Kind", "Key", "Value", "Kept", "Behind", "Declared"];

export const stores = {
  title: "Stores",
  question: "What is in the state, wherever its tasks run: look a key up, browse, or watch changes as they are committed.",
  load,
  enter(place) {
    list = h("div");
    panel = h("section", { class: "card panel", "aria-label": "The store that was chosen", hidden: true });
    place.replaceChildren(list, panel);
    chosen = null;
  },
  show(_, { stores: found, tasks }, name) {
    if (name !== chosen) choose(found.find((each) => each.name === name), name);
    show(list, found.length === 0 ? h("p", { class: "none" }, "The topology has no store.") : table("Stores", HEADS, found.map((each) => storeRow(each, tasks))));
  },
  leave: stopWatching,
};
