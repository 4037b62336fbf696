// Who does what, and how far each is.

import { get } from "./api.js";
import { h, row, table } from "./dom.js";
import { count, duration, plural, rate, time } from "./format.js";

async function load(_, signal) {
  const [tasks, instances] = await Promise.all([
    get("tasks", signal),
    get("instances", signal).catch((error) => ({ instances: null, problem: error.message })),
  ]);
  return { tasks, instances };
}

function progress(task) {
  const whole = task.restored + task.remaining;
  if (task.state !== "restoring") return h("span", { class: "none" }, "–");
  const share = whole === 0 ? 0 : Math.floor((100 * task.restored) / whole);
  return h(
    "div",
    { class: "progress" },
    h("progress", { max: 100, value: share, "aria-label": `Restore of task ${task.id}` }),
    h("span", null, `${share} % · ${count(task.restored)} of ${count(whole)} · ${rate(task.records_per_second)}`),
  );
}

function inputs(task) {
  const found = Object.entries(task.inputs);
  if (found.length === 0) return h("span", { class: "none" }, "–");
  return h(
    "ul",
    { class: "plain" },
    found.map(([partition, each]) => {
      const age = each.oldest_timestamp === null || each.lag_records === 0 ? "" : `, ${duration(Math.max(0, Date.now() - each.oldest_timestamp))} old`;
      return h("li", { "data-partition": partition, class: each.lag_records > 0 ? "warn" : null }, h("span", null, partition), h("span", { class: "small" }, ` ${count(each.lag_records)} behind${age}`));
    }),
  );
}

function stores(task) {
  const found = Object.entries(task.stores);
  if (found.length === 0) return h("span", { class: "none" }, "–");
  return h(
    "ul",
    { class: "plain" },
    found.map(([store, each]) =>
      h("li", { "data-store": store, class: each.offset_lag > 0 ? "warn" : null }, h("a", { href: `#/stores/${encodeURIComponent(store)}` }, store), h("span", { class: "small" }, ` ${count(each.offset_lag)} behind`)),
    ),
  );
}

const TONES = { running: "good", restoring: "busy", standby: "off" };

function taskRow(task, threads) {
  const thread = threads.find((each) => each.tasks.includes(task.id) || each.standbys.includes(task.id));
  return row(
    `${task.state === "standby" ? "standby " : ""}${task.id}`,
    [
      task.id,
      h("span", { class: `pill ${TONES[task.state]}` }, task.state),
      thread?.name ?? "–",
      time(task.stream_time),
      inputs(task),
      stores(task),
      progress(task),
    ],
    { "data-task": task.id },
  );
}

function instanceRow(instance) {
  const isKnown = instance.port > 0;
  return row(`${instance.host}:${instance.port}`, [
    isKnown ? `${instance.host}:${instance.port}` : "this one (application.server is not set)",
    instance.partitions.join(" ") || "–",
    instance.stores.join(" ") || "–",
    instance.standby_stores.join(" ") || "–",
  ]);
}

export const tasks = {
  title: "Tasks and instances",
  question: "Who does what, how far each is behind, and how a restore gets on.",
  load,
  show(place, { tasks: found, instances }, _, show) {
    const all = [...found.tasks, ...found.standbys, ...(found.global_stores === null ? [] : [{ ...found.global_stores, id: "global stores" }])];
    const heads = ["Task", "State", "Thread", "Stream time", "Inputs", "Stores behind changelogs", "Restore"];
    show(
      place,
      h("h2", null, "Tasks of this instance"),
      all.length === 0 ? h("p", { class: "none" }, "It has none now.") : table("Tasks of this instance", heads, all.map((each) => taskRow(each, found.threads))),
      h("h2", null, "Stream threads"),
      found.threads.length === 0
        ? h("p", { class: "none" }, "There are none.")
        : table("Stream threads", ["Thread", "State", "Tasks", "Standbys"], found.threads.map((each) => row(each.name, [each.name, each.state, each.tasks.join(" ") || "–", each.standbys.join(" ") || "–"]))),
      h("h2", null, "All instances"),
      instances.instances === null
        ? h("p", { class: "none" }, instances.problem)
        : table(plural(instances.instances.length, "instance"), ["Instance", "Partitions", "Stores", "Standby stores"], instances.instances.map(instanceRow)),
    );
  },
};
