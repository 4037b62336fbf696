// What runs, and what went through it.

import { get } from "./api.js";
import { h, row, table } from "./dom.js";
import { count, plural, rate } from "./format.js";
import { arrow, drawn, titleOf } from "./graph.js";

let known = null; // the topology of an application never changes

async function load(_, signal) {
  const [plan, counts] = await Promise.all([known ?? get("topology", signal), get("nodes", signal)]);
  known = plan;
  return { plan, counts };
}

// By topic, the sub-topologies between which it lies.
function linksOf(plan) {
  const links = new Map();
  const of = (topic) => links.get(topic) ?? links.set(topic, {}).get(topic);
  for (const part of plan.subtopologies) {
    for (const node of part.nodes) {
      if (node.kind === "sink" && node.topic !== null) of(node.topic).in = part.id;
      if (node.kind === "source") for (const topic of node.topics) of(topic).out = part.id;
    }
  }
  return links;
}

function reasons(found) {
  const told = Object.entries(found?.reasons ?? {});
  if (told.length === 0) return h("span", { class: "none" }, "none");
  return h("ul", { class: "plain" }, told.map(([reason, number]) => h("li", null, `${count(number)} × ${reason}`)));
}

function details(node, found) {
  const links = (names, to) => names.flatMap((name, place) => [place > 0 ? ", " : "", h("a", { href: to(name) }, name)]);
  const facts = [
    ["node", node.name],
    ["kind", node.kind],
    ["declared", h("code", null, node.declared)],
    node.topics && ["reads", node.topics.join(", ") || node.pattern],
    node.topic !== undefined && ["writes", node.topic ?? "a topic that is chosen for each record"],
    node.stores?.length && ["stores", links(node.stores, (name) => `#/stores/${encodeURIComponent(name)}`)],
    node.children.length > 0 && ["gives to", links(node.children, (name) => `#/topology/${encodeURIComponent(name)}`)],
    ["processed", found?.processed === null ? "counted at metrics.recording.level=debug" : `${count(found?.processed)}, ${rate(found?.rate)}`],
    ["dropped or failed", reasons(found)],
  ].filter(Boolean);
  return h(
    "section",
    { class: "chosen", "data-key": "chosen", "aria-label": "The node that was chosen", "aria-live": "polite" },
    h("h2", null, titleOf(node), h("a", { href: "#/topology" }, "Close")),
    h("dl", { class: "facts" }, facts.map(([name, text]) => h("div", null, h("dt", null, name), h("dd", null, text)))),
  );
}

function nodeRow(node, found) {
  const tone = found?.failed > 0 ? "bad" : found?.dropped > 0 ? "warn" : null;
  return row(
    node.name,
    [
      h("a", { href: `#/topology/${encodeURIComponent(node.name)}` }, node.name),
      node.kind,
      h("code", null, node.declared),
      count(found?.processed),
      rate(found?.rate),
      count(found?.dropped),
      count(found?.failed),
    ],
    { class: tone, "data-node": node.name },
  );
}

const HEADS = ["Node", "Kind", "Declared", "Processed", "Rate", "Dropped", "Failed"];

function section(part, counts, links, chosen) {
  const name = part.is_global ? "Global stores" : `Sub-topology ${part.id}`;
  return h(
    "section",
    { class: "card part", "data-key": `part-${part.id}`, "data-part": part.id, "aria-label": name },
    h("h2", { id: `part-${part.id}`, tabindex: -1 }, name, h("small", null, plural(part.nodes.length, "node"))),
    h("div", { class: "scroll graph", tabindex: 0, role: "region", "aria-label": `Graph of ${name}` }, drawn(part, counts, links, chosen)),
    h("details", null, h("summary", null, "As a table"), table(`Nodes of ${name}`, HEADS, part.nodes.map((node) => nodeRow(node, counts.nodes[node.name])))),
  );
}

// At level info records within a sub-topology are not counted one by one.
function uncounted(counts) {
  const unknown = Object.values(counts.nodes).filter((each) => !each.is_counted && each.rate === null);
  const isAsked = Object.values(counts.nodes).some((each) => each.rate !== null);
  if (unknown.length === 0 || !isAsked) return null;
  return h("p", { class: "none", "data-key": "uncounted" }, `Of ${plural(unknown.length, "node")} it is not known how much goes through: within a sub-topology nothing is counted, and it does not follow from what is read, written and dropped. `, h("code", null, "metrics.recording.level=debug"), " counts each node, and takes records one by one, which is slower.");
}

export const topology = {
  title: "Topology",
  question: "What runs, how much goes through it, and where records are dropped or fail.",
  load,
  show(place, { plan, counts }, chosen, show) {
    const node = plan.subtopologies.flatMap((part) => part.nodes).find((each) => each.name === chosen);
    const links = linksOf(plan);
    show(
      place,
      arrow(),
      uncounted(counts),
      h("div", { class: "parts", "data-key": "parts" }, plan.subtopologies.map((part) => section(part, counts, links, chosen))),
      node === undefined ? null : details(node, counts.nodes[node.name]),
    );
  },
  // A link from a topic leads to the sub-topology behind it.
  arrive(place, chosen) {
    if (chosen?.startsWith("part-")) document.getElementById(chosen)?.focus();
  },
};
