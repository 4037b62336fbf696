// Rows of a store, and its changes as they come.

import { follow } from "./api.js";
import { h, row, show, table } from "./dom.js";
import { clock, plural, time, value } from "./format.js";

const CHANGES_MAX = 200;

const HEADS = {
  key_value: ["Key", "Value"],
  window: ["Key", "Start", "End", "Value"],
  session: ["Key", "Start", "End", "Value"],
  versioned: ["Key", "Value", "From", "Until"],
};

function valueOf(found) {
  return found === null ? h("span", { class: "none" }, "null") : h("code", null, value(found));
}

function cells(kind, each, key) {
  const name = h("code", null, value(each.key ?? key));
  if (kind === "key_value") return [name, valueOf(each.value)];
  if (kind === "versioned") return [name, valueOf(each.value), time(each.timestamp), time(each.until)];
  return [name, time(each.start), time(each.end), valueOf(each.value)];
}

// What an answer has: one row, or a page of them. `before` are those of the pages before.
export function rowsOf(answer) {
  return "rows" in answer ? answer.rows : [answer];
}

export function shownRows(spec, rows, key, at) {
  return [
    h("p", { class: "none", role: "status" }, `${plural(rows.length, "row")}, as of ${clock(at)}`),
    rows.length > 0 && table(`Rows of ${spec.name}`, HEADS[spec.kind], rows.map((each, place) => row(null, cells(spec.kind, each, key), { "data-row": place }))),
  ];
}

function change(kind, each, number) {
  const isWindowed = kind === "window" || kind === "session";
  const name = h("code", null, value(each.key));
  const what = each.value === null ? h("span", { class: "none" }, "deleted") : h("code", null, value(each.value));
  const found = isWindowed ? [name, time(each.start), time(each.end), what, time(each.timestamp)] : [name, what, time(each.timestamp)];
  return row(`change-${number}`, found, { "data-change": number });
}

// Follows a store until the signal ends it, and shows the newest changes in `place`.
export async function watch(spec, path, place, signal) {
  const changes = [];
  let number = 0;
  let isDue = false;
  let told = "waiting for changes …";
  const heads = spec.kind === "window" || spec.kind === "session" ? ["Key", "Start", "End", "Value", "Time"] : ["Key", "Value", "Time"];
  const draw = () => {
    isDue = false;
    const text = number === 0 ? told : `${plural(number, "change")}${number > CHANGES_MAX ? `, the newest ${CHANGES_MAX}` : ""}${told === "" ? "" : ` – ${told}`}`;
    show(place, h("p", { class: "none", role: "status" }, text), changes.length > 0 && table(`Changes of ${spec.name}`, heads, changes));
  };
  const later = () => {
    // However many come: they are drawn once a frame.
    if (!isDue) requestAnimationFrame(draw);
    isDue = true;
  };
  draw();
  try {
    await follow(path, signal, (kind, found) => {
      if (kind === "begin") place.dataset.watching = "true";
      if (kind === "error") told = found.error;
      if (kind !== "change") return;
      told = "";
      number += 1;
      changes.unshift(change(spec.kind, found, number));
      changes.length = Math.min(changes.length, CHANGES_MAX);
      later();
    });
    told = told || "the server has ended it";
  } catch (error) {
    told = signal.aborted ? "stopped" : error.message;
  }
  delete place.dataset.watching;
  draw();
}
