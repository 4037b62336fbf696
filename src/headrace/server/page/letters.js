// What has failed and was put aside, the newest first.

import { get, target } from "./api.js";
import { h } from "./dom.js";
import { plural, time } from "./format.js";

const LETTERS = 50;

function place(origin) {
  return origin === null ? "a punctuation" : `${origin.topic}-${origin.partition} at ${origin.offset}`;
}

function shortName(reason) {
  return reason.slice(reason.lastIndexOf(".") + 1) || "unknown reason";
}

function letter(each) {
  const facts = [
    ["reason", each.reason || "–"],
    ["node", each.node || "–"],
    ["stage", each.stage || "–"],
    ["record", place(each.origin)],
    ["dead letter", `${each.topic}-${each.partition} at ${each.offset}`],
    ["key", h("code", null, each.key ?? "null")],
    ["value", h("code", null, each.value ?? "null")],
  ];
  const key = `${each.topic}-${each.partition}-${each.offset}`;
  return h(
    "details",
    { class: "letter", "data-key": key, "data-letter": key },
    h(
      "summary",
      null,
      time(each.timestamp),
      h("strong", null, shortName(each.reason)),
      h("span", { class: "message" }, each.message.split("\n")[0]),
      h("span", { class: "from" }, place(each.origin)),
    ),
    h("dl", { class: "facts" }, facts.map(([name, text]) => h("div", null, h("dt", null, name), h("dd", null, text)))),
    each.traceback && h("pre", { tabindex: 0, "aria-label": "Traceback" }, each.traceback),
  );
}

function sums(letters) {
  const found = new Map();
  for (const each of letters) {
    const kind = `${shortName(each.reason)} in ${each.node || "an unknown node"}`;
    found.set(kind, (found.get(kind) ?? 0) + 1);
  }
  return h("ul", { class: "sums" }, [...found].sort((a, b) => b[1] - a[1]).map(([kind, number]) => h("li", { "data-key": kind }, h("b", null, String(number)), ` ${kind}`)));
}

// Who may know of more topics.
function silent(found) {
  return found.unanswered.map((each) => h("p", { class: "waits", "data-unanswered": each.instance }, `Not told which topics it has written to: ${each.reason}.`));
}

export const letters = {
  title: "Dead letters",
  question: "Which records failed, where, and why. headrace dlq puts them back, or drops them.",
  everyMs: 5000, // each time the log is read
  load: (_, signal) => get(target("dead-letters", { limit: LETTERS }), signal),
  show(view, found, _, show) {
    if (found.topics.length === 0) {
      show(view, h("p", { class: "none" }, "No topic of dead letters is named: set ", h("code", null, "errors.dead.letter.queue.topic.name"), ". Topics that handlers name are known once an instance has written to them."), silent(found));
      return;
    }
    const said = found.has_more ? `the newest ${found.letters.length}` : plural(found.letters.length, "dead letter");
    show(
      view,
      h("p", null, `${found.topics.length === 1 ? "Topic" : "Topics"} ${found.topics.join(", ")}: ${found.letters.length === 0 ? "there are none" : said}.`),
      silent(found),
      found.letters.length > 0 && sums(found.letters),
      h("div", { class: "letters", "data-key": "letters" }, found.letters.map(letter)),
    );
  },
};
