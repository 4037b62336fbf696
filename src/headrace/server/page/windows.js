// Why is my window not closing: how far stream time is in each task, and who holds it back.

import { get } from "./api.js";
import { h, row, s, table } from "./dom.js";
import { count, duration, plural, time } from "./format.js";

const TRACK = { width: 160, height: 14 };

// From what has closed, over the grace, to stream time; all tasks of a node on one scale.
function track(task, low, high) {
  if (task.stream_time === null) return h("span", { class: "none" }, "–");
  const scale = (at) => (high === low ? TRACK.width : ((at - low) / (high - low)) * (TRACK.width - 6)) + 3;
  const from = Math.min(scale(task.closed_until), TRACK.width - 3);
  const to = Math.min(scale(task.stream_time), TRACK.width - 3);
  return s(
    "svg",
    { class: "track", viewBox: `0 0 ${TRACK.width} ${TRACK.height}`, width: TRACK.width, height: TRACK.height, "aria-hidden": "true" },
    s("rect", { class: "whole", x: 0, y: 6, width: TRACK.width, height: 2 }),
    s("rect", { class: "closed", x: 0, y: 5, width: Math.max(0, from), height: 4 }),
    s("rect", { class: "grace", x: from, y: 5, width: Math.max(1, to - from), height: 4 }),
    s("circle", { cx: to, cy: 7, r: 3 }),
  );
}

function inputs(task, isBack) {
  if (task.inputs.length === 0) return h("span", { class: "none" }, "–");
  return h(
    "ul",
    { class: "plain" },
    task.inputs.map((each) =>
      h(
        "li",
        { "data-partition": each.partition },
        h("span", null, each.partition),
        h("span", { class: "small" }, "last record ", time(each.partition_time), each.lag_records > 0 ? `, ${count(each.lag_records)} behind` : ""),
        each.holds_back && isBack && h("b", { class: "back" }, "holds it back"),
      ),
    ),
  );
}

const WAITS = {
  silent: "a later record", behind: "records that are there", restoring: "its restore", paused: "the pause", "no record": "a first record",
};

function taskRow(task, node, low, high) {
  const isBack = task.task === node.held_back_by;
  return row(
    task.task,
    [
      [task.task, task.instance !== null && node.isSpread ? h("span", { class: "small" }, ` at ${task.instance}`) : "", isBack && node.tasks.length > 1 ? h("b", { class: "back" }, " furthest behind") : ""],
      time(task.stream_time),
      [time(task.closed_until), track(task, low, high)],
      task.held === 0 ? "–" : [`${task.held_is_exact ? "" : "at least "}${count(task.held)}`, h("span", { class: "small" }, " until ", time(task.first_leaves_at))],
      h("span", { title: task.text, "data-reason": task.reason }, WAITS[task.reason]),
      inputs(task, isBack),
    ],
    { "data-task": task.task, class: isBack ? "warn" : null },
  );
}

function answer(node) {
  const back = node.tasks.find((each) => each.task === node.held_back_by);
  if (back === undefined) return h("p", { class: "none" }, "No instance tells of a task that has it.");
  const leaves = back.held === 0 ? "" : [` The first of ${back.held_is_exact ? "" : "at least "}${plural(back.held, "result")} leaves when stream time is `, time(back.first_leaves_at), "."];
  return h("p", { class: `answer ${back.reason}` }, h("strong", null, `Task ${back.task}`), `: ${back.text}.`, leaves);
}

function card(node) {
  const known = node.tasks.filter((each) => each.stream_time !== null);
  const low = Math.min(...known.map((each) => each.closed_until));
  const high = Math.max(...known.map((each) => each.stream_time));
  const isHeld = node.windows === null; // by suppression, or by a join until there is a match
  const facts = [
    isHeld ? "results are held back" : node.windows.replace(/(\d+) ms/g, (_, ms) => duration(Number(ms))),
    node.grace_ms === null ? null : isHeld ? `until stream time is ${duration(node.grace_ms)} past them` : node.grace_ms === 0 ? "no grace" : `closed ${duration(node.grace_ms)} after their end`,
    node.emits_final === null || isHeld ? null : node.emits_final ? "results leave when windows close" : "results leave with each update",
    node.idle_ms === null ? null : `or after ${duration(node.idle_ms)} of silence`,
  ].filter(Boolean);
  const heads = ["Task", "Stream time", "Closed until", "Held back", "Waits for", "Inputs"];
  return h(
    "section",
    { class: "card", "data-key": node.node, "data-windowed": node.node, "aria-label": node.node },
    h("h2", null, h("a", { href: `#/topology/${encodeURIComponent(node.node)}` }, node.node), h("small", null, node.declared)),
    h("p", { class: "facts" }, facts.join(" · ")),
    answer(node),
    node.tasks_not_told_of.length > 0 &&
      h("p", { class: "waits" }, `Nobody tells of ${node.tasks_not_told_of.length === 1 ? "task" : "tasks"} ${node.tasks_not_told_of.join(", ")}: whoever holds the window back may be among them.`),
    table(`Tasks of ${node.node}`, heads, node.tasks.map((task) => taskRow(task, node, low, high))),
  );
}

export const windows = {
  title: "Why is my window not closing?",
  question: "A window closes when stream time, the time of the latest record, is past its end and its grace. Each task has its own.",
  load: (_, signal) => get("windows", signal),
  show(place, found, _, show) {
    show(
      place,
      found.nodes.length === 0
        ? h("p", { class: "none" }, "Nothing in this topology waits for stream time.")
        : [
            h("p", { class: "none" }, `${plural(found.nodes.length, "node")}, by what ${plural(found.instances.length, "instance")} ${found.instances.length === 1 ? "tells" : "tell"}.`),
            found.unanswered.map((each) => h("p", { class: "waits", "data-unanswered": each.instance }, `Not told: ${each.reason}.`)),
            found.nodes.map((node) => card({ ...node, isSpread: found.instances.length + found.unanswered.length > 1 })),
          ],
    );
  },
};
