// Draws one sub-topology: topics as pills, nodes as boxes with what went through them, records a second on the edges.

import { s } from "./dom.js";
import { count, plural, rate } from "./format.js";
import { layout } from "./graph_layout.js";

const NODE_HEIGHT = 62;
const STORE_HEIGHT = 20;
const PILL_HEIGHT = 28;
const MARGIN = 4;

// Widths, and how many characters have room. On a phone two branches stand side by side.
const WIDE = { node: 224, gap: 28, pill: 280, title: 24, name: 33, where: 14, store: 29 };
const NARROW = { node: 144, gap: 12, pill: 150, title: 14, name: 19, where: 18, store: 16 };

// Names that Kafka Streams makes, such as KSTREAM-FLATMAPVALUES-0000000002: what the node does is in the middle.
const MADE = /^K[A-Z]+-([A-Z-]+?)-\d+$/;

// Names differ at their ends as often as at their beginnings.
function cut(text, length) {
  if (text.length <= length) return text;
  const end = Math.floor(length / 3);
  return `${text.slice(0, length - end - 1)}…${text.slice(text.length - end)}`;
}

export function titleOf(node) {
  const found = MADE.exec(node.name);
  const title = found === null ? node.name : found[1].toLowerCase().replaceAll("-", " ");
  return node.calls ? `${title} · ${node.calls}` : title;
}

// A topic above or below the nodes is another vertex for each way: one that is read and written here makes no circle.
function graphOf(part, sizes) {
  const vertices = new Map();
  const edges = [];
  const add = (id, rest) => vertices.set(id, { id, ...rest });
  const pill = (way, topic) => {
    add(`${way} ${topic}`, { kind: "topic", way, topic, width: Math.min(sizes.pill, 40 + 7.4 * topic.length), height: PILL_HEIGHT });
    return `${way} ${topic}`;
  };
  for (const node of part.nodes) {
    const height = NODE_HEIGHT + STORE_HEIGHT * (node.stores?.length ?? 0);
    add(node.name, { kind: "node", node, width: sizes.node, height });
    if (node.kind === "source") {
      for (const topic of node.topics.length > 0 ? node.topics : [node.pattern]) edges.push({ from: pill("in", topic), to: node.name, topic });
    }
    if (node.kind === "sink") {
      const topic = node.topic ?? "chosen for each record";
      edges.push({ from: node.name, to: pill("out", topic), topic });
    }
    for (const child of node.children) edges.push({ from: node.name, to: child });
  }
  return { vertices: [...vertices.values()], edges };
}

// Of an edge between nodes, the rate is known where all that the one gives, or the other gets, goes along it.
export function rateOf(edge, part, counts) {
  const node = (name) => part.nodes.find((each) => each.name === name);
  if (edge.topic !== undefined) {
    const found = counts.topics[edge.topic];
    return (node(edge.to) === undefined ? found?.produced_rate : found?.consumed_rate) ?? null;
  }
  if (node(edge.from).kind === "source") return counts.nodes[edge.from]?.rate ?? null;
  return node(edge.to).parents.length === 1 ? (counts.nodes[edge.to]?.rate ?? null) : null;
}

function curve(points) {
  const [first, ...rest] = points;
  let [x, y] = first;
  let path = `M${x} ${y}`;
  for (const [toX, toY] of rest) {
    const middle = (y + toY) / 2;
    path += ` C${x} ${middle} ${toX} ${middle} ${toX} ${toY}`;
    [x, y] = [toX, toY];
  }
  return path;
}

function line({ edge, points }, part, counts) {
  const found = rateOf(edge, part, counts);
  const [x, y] = points[Math.floor((points.length - 1) / 2)];
  const [toX, toY] = points[Math.floor((points.length - 1) / 2) + 1];
  return s(
    "g",
    { class: found > 0 ? "edge flows" : "edge" },
    s("path", { d: curve(points), "marker-end": "url(#arrow)" }),
    found !== null && s("text", { x: (x + toX) / 2, y: (y + toY) / 2 + 4, "data-edge": `${edge.from} → ${edge.to}` }, rate(found)),
  );
}

function topic({ id, topic: name, way, x, y, width }, links) {
  const to = links.get(name);
  const drawn = s(
    "g",
    { class: "topic", transform: `translate(${x - width / 2} ${y})` },
    s("title", null, name),
    s("rect", { width, height: PILL_HEIGHT, rx: PILL_HEIGHT / 2 }),
    s("text", { x: width / 2, y: 18 }, cut(name, Math.floor((width - 24) / 7))),
  );
  if (to === undefined || to[way] === undefined) return drawn;
  return s("a", { href: `#/topology/part-${to[way]}`, "data-key": id, "aria-label": `topic ${name}, sub-topology ${to[way]}` }, drawn);
}

function badges(found) {
  const texts = [];
  if (found?.failed > 0) texts.push(["bad", `${count(found.failed)} failed`]);
  if (found?.dropped > 0) texts.push(["warn", `${count(found.dropped)} dropped`]);
  return texts;
}

function box({ node, x, y, width, height }, counts, chosen, sizes) {
  const found = counts.nodes[node.name];
  const marks = badges(found);
  const processed = found?.processed === null || found?.processed === undefined ? "" : count(found.processed);
  const said = [titleOf(node), node.kind, ...marks.map(([, text]) => text)].join(", ");
  const tone = marks.length === 0 ? "" : marks[0][0];
  const title = titleOf(node);
  const isCrowded = sizes === NARROW && marks.length > 0;
  return s(
    "g",
    { class: `node ${node.kind} ${tone}`, transform: `translate(${x - width / 2} ${y})`, "data-key": node.name },
    s(
      "a",
      { href: `#/topology/${encodeURIComponent(node.name)}`, "aria-label": said, "aria-current": chosen === node.name ? "true" : null },
      s("title", null, `${node.name}, declared at ${node.declared}`),
      s("rect", { class: "box", width, height, rx: 6 }),
      s("text", { class: "what", x: 10, y: 20 }, cut(title, sizes.title - (processed === "" ? 0 : processed.length))),
      s("text", { class: "count", x: width - 10, y: 20 }, processed),
      s("text", { class: "full", x: 10, y: 37 }, title.startsWith(node.name) ? node.kind : cut(node.name, sizes.name)),
      !isCrowded && s("text", { class: "where", x: 10, y: 53 }, cut(node.declared, marks.length > 0 ? sizes.where : 24)),
      s("text", { class: "mark", x: width - 10, y: 53 }, marks.map(([name, text], place) => s("tspan", { class: name }, (place > 0 ? " · " : "") + text))),
    ),
    (node.stores ?? []).map((store, place) =>
      s(
        "a",
        { href: `#/stores/${encodeURIComponent(store)}`, class: "store", "aria-label": `store ${store}`, transform: `translate(8 ${NODE_HEIGHT + place * STORE_HEIGHT - 2})` },
        s("rect", { width: width - 16, height: STORE_HEIGHT - 4, rx: 3 }),
        s("path", { d: "M7 5v6c0 2 9 2 9 0V5c0-2-9-2-9 0c0 2 9 2 9 0" }),
        s("text", { x: 22, y: 12 }, cut(store, sizes.store)),
      ),
    ),
  );
}

// `links` tell of a topic which sub-topology writes it (`in`: where it comes from) or reads it (`out`).
export function drawn(part, counts, links, chosen) {
  const sizes = matchMedia("(max-width: 720px)").matches ? NARROW : WIDE;
  const { vertices, edges } = graphOf(part, sizes);
  const { width, height, boxes, lines } = layout(vertices, edges, sizes.gap);
  const size = { width: Math.ceil(width) + 2 * MARGIN, height: Math.ceil(height) + 2 * MARGIN };
  return s(
    "svg",
    { ...size, viewBox: `${-MARGIN} ${-MARGIN} ${size.width} ${size.height}`, role: "group", "aria-label": `Graph of ${plural(part.nodes.length, "node")}` },
    lines.map((each) => line(each, part, counts)),
    boxes.map((each) => (each.kind === "topic" ? topic(each, links) : box(each, counts, chosen, sizes))),
  );
}

// The tip of the edges, once for the page.
export function arrow() {
  return s(
    "svg",
    { class: "hidden", "aria-hidden": "true", width: 0, height: 0 },
    s(
      "defs",
      null,
      s("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, s("path", { d: "M0 0.5L7 4L0 7.5z" })),
    ),
  );
}
