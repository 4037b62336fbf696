// The head of the page: what is asked first, whatever view is open.

import { h, show } from "./dom.js";
import { clock, count, plural, rate } from "./format.js";

const TONES = {
  running: "good", rebalancing: "busy", created: "busy", pending_shutdown: "busy",
  not_running: "off", pending_error: "bad", error: "bad",
};

// Kafka Streams' names, where they say little.
const WORDS = { pending_error: "ending, since it has failed" };

function figure(name, text, tone) {
  return h("div", { "data-key": name, "data-figure": name, class: tone ?? null }, h("dt", null, name), h("dd", null, text));
}

function figures(found) {
  const restores = found.tasks.filter((task) => task.restore !== null).map((task) => task.restore);
  const restored = restores.reduce((sum, restore) => sum + restore.restored, 0);
  const whole = restores.reduce((sum, restore) => sum + restore.remaining, restored);
  const share = whole === 0 ? 0 : Math.floor((100 * restored) / whole);
  const { length: standbys } = found.standbys;
  return [
    figure("throughput", rate(found.records_per_second)),
    figure("lag", plural(found.lag_records, "record") + (found.waits_for === null || found.lag_as_of === null ? "" : `, as of ${clock(found.lag_as_of)}`)),
    figure("tasks", standbys ? `${found.tasks.length} + ${standbys} standby` : count(found.tasks.length)),
    restores.length > 0 && figure("restoring", `${plural(restores.length, "task")}, ${share} %`, "busy"),
    figure("processed", count(found.records)),
    figure("dropped", count(found.dropped), found.dropped > 0 ? "warn" : null),
    figure("commits", count(found.commits)),
  ];
}

function trouble(found) {
  if (found.failure !== null) {
    return h(
      "details",
      { class: "failure", "data-key": "failure" },
      h("summary", null, h("strong", null, found.failure.error), " ended the application: ", found.failure.message),
      h("pre", { tabindex: 0 }, found.failure.traceback),
    );
  }
  if (found.state === "running" && found.waits_for === null) return null;
  const isOver = found.state === "not_running";
  return h("p", { class: isOver ? "" : "waits" }, isOver ? "It was stopped; figures are those of its end." : found.waits_for);
}

// What one glance is to tell.
export function showOverview(found) {
  document.title = `${found.application_id} – headrace`;
  show(document.getElementById("application"), found.application_id);
  const state = document.getElementById("state");
  const isPaused = found.is_paused && found.state === "running";
  state.className = isPaused ? "busy" : (TONES[found.state] ?? "busy");
  show(state, isPaused ? "paused" : (WORDS[found.state] ?? found.state.replaceAll("_", " ")));
  show(document.getElementById("figures"), figures(found));
  show(document.getElementById("trouble"), trouble(found));
  show(document.getElementById("about"), `headrace ${found.version} on ${found.log}`);
}

// That the server does not answer, and since when what is shown is old.
export function showSilence(since, problem) {
  const text = since === null ? "The server does not answer" : `The server has not answered since ${since}; what is shown is of then`;
  show(document.getElementById("trouble"), h("p", { class: "waits" }, `${text}: ${problem}`));
}
