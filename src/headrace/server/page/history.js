// The last hour: records a second, and how long commits took.

import { get } from "./api.js";
import { h, row, s, table } from "./dom.js";
import { clock, count, duration, milliseconds, rate } from "./format.js";

// What the charts go back: all there is, an hour at most.
const SPANS_MS = [360_000, 900_000, 1_800_000, 3_600_000];
const SIZE = { height: 170, left: 58, right: 8, bottom: 20, top: 10 };

function roundUp(number) {
  const power = 10 ** Math.floor(Math.log10(number));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= number);
}

function points(samples, of, x, y) {
  return samples.filter((each) => of(each) !== null).map((each) => `${x(each.begin).toFixed(1)},${y(of(each)).toFixed(1)}`);
}

// Lines over time; the first one has its area filled.
function chart(name, samples, lines, unit, width) {
  const end = samples.at(-1).begin;
  const span = SPANS_MS.find((each) => each >= end - samples[0].begin) ?? SPANS_MS.at(-1);
  const most = Math.max(...samples.flatMap((each) => lines.map(({ of }) => of(each) ?? 0)));
  const top = most > 0 ? roundUp(most) : 1;
  const { height, left, right, bottom } = SIZE;
  const x = (at) => left + ((at - end + span) / span) * (width - left - right);
  const y = (value) => height - bottom - (value / top) * (height - bottom - SIZE.top);
  const floor = y(0);
  const found = lines.map(({ of, tone }) => ({ tone, at: points(samples, of, x, y) }));
  return s(
    "svg",
    { class: "chart", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name },
    [0, 0.5, 1].map((share) => [
      s("line", { class: "grid", x1: left, x2: width - right, y1: y(top * share), y2: y(top * share) }),
      s("text", { class: "axis", x: left - 6, y: y(top * share) + 4, "text-anchor": "end" }, unit(top * share)),
    ]),
    [1, 2 / 3, 1 / 3, 0].map((share) =>
      s("text", { class: "axis", x: x(end - share * span), y: height - 4, "text-anchor": share === 1 ? "start" : share === 0 ? "end" : "middle" }, share === 0 ? "now" : `−${duration(share * span)}`),
    ),
    found.map(({ tone, at }, place) => [
      place === 0 && at.length > 1 && s("polygon", { class: `area ${tone}`, points: [`${at[0].split(",")[0]},${floor}`, ...at, `${at.at(-1).split(",")[0]},${floor}`].join(" ") }),
      at.length > 1 && s("polyline", { class: tone, points: at.join(" ") }),
      at.length === 1 && s("circle", { class: tone, cx: at[0].split(",")[0], cy: at[0].split(",")[1], r: 2.5 }),
    ]),
  );
}

function sums(samples) {
  const rates = samples.map((each) => each.records_per_second);
  const commits = samples.reduce((sum, each) => sum + each.commits, 0);
  const spent = samples.reduce((sum, each) => sum + each.commits * (each.commit_ms_average ?? 0), 0);
  return {
    now: rates.at(-1),
    mean: rates.reduce((a, b) => a + b, 0) / rates.length,
    peak: Math.max(...rates),
    commits,
    average: commits === 0 ? null : spent / commits,
    longest: commits === 0 ? null : Math.max(...samples.map((each) => each.commit_ms_max ?? 0)),
  };
}

function told(pairs) {
  return h("dl", { class: "told" }, pairs.map(([name, text, key]) => h("div", { "data-figure": name }, h("dt", null, key && h("i", { class: `key ${key}` }), name), h("dd", null, text))));
}

function sampleRow(each) {
  return row(String(each.begin), [clock(each.begin), rate(each.records_per_second), count(each.commits), milliseconds(each.commit_ms_average), milliseconds(each.commit_ms_max)]);
}

export const history = {
  title: "The last hour",
  question: "How much is processed, and how long commits take; every ten seconds, since the start at most.",
  load: (_, signal) => get("history", signal),
  show(place, { samples }, _, show) {
    if (samples.length === 0) {
      show(place, h("p", { class: "none" }, "Nothing has run yet."));
      return;
    }
    const sum = sums(samples);
    // Text in a drawing that is made larger would be larger too: it is drawn as wide as it is shown.
    const room = place.clientWidth;
    const width = Math.max(280, (room >= 936 ? (room - 16) / 2 : room) - 34);
    show(
      place,
      h("div", { class: "charts" },
      h(
        "section",
        { class: "card", "aria-label": "Throughput" },
        h("h2", null, "Throughput", h("small", null, "records a second")),
        told([["now", rate(sum.now)], ["mean", rate(sum.mean)], ["peak", rate(sum.peak)]]),
        chart("Records a second over the last hour", samples, [{ of: (each) => each.records_per_second, tone: "first" }], (value) => (value < 10 ? String(value) : count(value)), width),
      ),
      h(
        "section",
        { class: "card", "aria-label": "Commit latency" },
        h("h2", null, "Commit latency", h("small", null, "average and longest")),
        told([["commits", count(sum.commits)], ["average", milliseconds(sum.average), "first"], ["longest", milliseconds(sum.longest), "second"]]),
        chart(
          "Time of commits over the last hour, average and longest",
          samples,
          [{ of: (each) => each.commit_ms_average, tone: "first" }, { of: (each) => each.commit_ms_max, tone: "second" }],
          (value) => `${value < 10 ? value : count(value)} ms`,
          width,
        ),
      ),
      ),
      h(
        "details",
        { "data-key": "table" },
        h("summary", null, "As a table"),
        table("The last hour", ["From", "Throughput", "Commits", "Average", "Longest"], [...samples].reverse().map(sampleRow)),
      ),
    );
  },
};
