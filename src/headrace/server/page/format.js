// Figures, times and values as people read them.

import { h } from "./dom.js";

const DAY_MS = 86_400_000;

export function count(number) {
  return number === null || number === undefined ? "–" : Math.round(number).toLocaleString("en-US");
}

// Records a second: with a digit behind the point below ten.
export function rate(number) {
  if (number === null || number === undefined) return "–";
  return `${number > 0 && number < 9.95 ? number.toFixed(1) : count(number)}/s`;
}

export function plural(number, word) {
  return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}

export function milliseconds(number) {
  if (number === null || number === undefined) return "–";
  return number < 10 ? `${number.toFixed(1)} ms` : `${count(number)} ms`;
}

// A length of time, in its two largest units.
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const units = [["d", DAY_MS], ["h", 3_600_000], ["m", 60_000], ["s", 1000]];
  const first = units.findIndex(([, size]) => ms >= size);
  const parts = [];
  let left = ms;
  for (const [unit, size] of units.slice(first, first + 2)) {
    const number = Math.floor(left / size);
    if (number > 0) parts.push(`${number} ${unit}`);
    left -= number * size;
  }
  return parts.join(" ");
}

const two = (number) => String(number).padStart(2, "0");

function isTime(ms) {
  return typeof ms === "number" && Math.abs(ms) <= 8.64e15;
}

export function clock(ms) {
  const date = new Date(ms);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

// A moment in the reader's time zone; in full where it is pointed at.
export function time(ms) {
  if (!isTime(ms)) return h("span", { class: "none" }, ms === null || ms === undefined ? "–" : String(ms));
  const date = new Date(ms);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const rest = ms % 1000 === 0 ? "" : `.${String(date.getMilliseconds()).padStart(3, "0")}`;
  return h("time", { datetime: date.toISOString(), title: date.toISOString() }, `${day} ${clock(ms)}${rest}`);
}

// A value of a store, or a key: text as it is, all else as JSON writes it.
export function value(found) {
  return typeof found === "string" ? found : JSON.stringify(found);
}
