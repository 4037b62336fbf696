// Where the boxes of a graph without circles go: layers from top to bottom, as few crossings as a few sweeps leave.
//
// Vertices are { id, width, height }, edges { from, to }. Edges that pass layers get a bend in each of them. All of it is
// plain numbers; see `graph.js` for the drawing. After Sugiyama, Tagawa and Toda (1981), with barycenters.

const GAP_Y = 44;
const SWEEPS = 6;

function layersOf(vertices, edges) {
  const above = new Map(vertices.map(({ id }) => [id, []]));
  for (const { from, to } of edges) above.get(to).push(from);
  const layer = new Map();
  const deepest = (id) => {
    if (!layer.has(id)) layer.set(id, Math.max(-1, ...above.get(id).map(deepest)) + 1);
    return layer.get(id);
  };
  for (const { id } of vertices) deepest(id);
  return layer;
}

// Adds what stands for an edge in the layers that it passes, so that nothing is drawn there.
function bent(vertices, edges, layer) {
  const all = vertices.map((each) => ({ ...each, layer: layer.get(each.id) }));
  const steps = [];
  const paths = edges.map((edge) => {
    const path = [edge.from];
    for (let at = layer.get(edge.from) + 1; at < layer.get(edge.to); at += 1) {
      const id = `${edge.from}\u0000${edge.to}\u0000${at}`;
      all.push({ id, width: 0, height: 0, layer: at });
      path.push(id);
    }
    path.push(edge.to);
    for (let index = 1; index < path.length; index += 1) steps.push([path[index - 1], path[index]]);
    return { edge, path };
  });
  return { all, steps, paths };
}

function neighbours(ids, steps) {
  const above = new Map(ids.map((id) => [id, []]));
  const below = new Map(ids.map((id) => [id, []]));
  for (const [from, to] of steps) {
    below.get(from).push(to);
    above.get(to).push(from);
  }
  return { above, below };
}

const mean = (numbers, otherwise) => (numbers.length === 0 ? otherwise : numbers.reduce((a, b) => a + b) / numbers.length);

function order(rows, { above, below }) {
  const index = new Map();
  const number = (row) => row.forEach((each, place) => index.set(each.id, place));
  rows.forEach(number);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const isDown = sweep % 2 === 0;
    for (const row of isDown ? rows : [...rows].reverse()) {
      const beside = isDown ? above : below;
      const wanted = new Map(row.map((each) => [each.id, mean(beside.get(each.id).map((id) => index.get(id)), index.get(each.id))]));
      row.sort((a, b) => wanted.get(a.id) - wanted.get(b.id));
      number(row);
    }
  }
}

// Moves boxes towards what they are connected with; none over another one. The middle of a row stays about where it is.
function settle(row, gap, wanted) {
  for (const each of row) each.x = wanted(each);
  for (let index = 1; index < row.length; index += 1) {
    const before = row[index - 1];
    row[index].x = Math.max(row[index].x, before.x + (before.width + row[index].width) / 2 + gap);
  }
  const off = mean(row.map((each) => wanted(each) - each.x), 0);
  for (const each of row) each.x += off;
}

function place(rows, { above, below }, gap) {
  const x = new Map();
  const at = (id) => x.get(id);
  const keep = (row) => row.forEach((each) => x.set(each.id, each.x));
  for (const row of rows) {
    settle(row, gap, () => 0);
    keep(row);
  }
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const isDown = sweep % 2 === 0;
    const beside = isDown ? above : below;
    for (const row of isDown ? rows : [...rows].reverse()) {
      settle(row, gap, (each) => mean(beside.get(each.id).map(at), at(each.id)));
      keep(row);
    }
  }
}

// Returns width and height, each box with the middle of its top ({ id, x, y, width, height }), and each edge with the
// points that it goes through. `gap` is the least between two boxes of a layer.
export function layout(vertices, edges, gap) {
  const layer = layersOf(vertices, edges);
  const { all, steps, paths } = bent(vertices, edges, layer);
  const rows = [];
  for (const each of all) (rows[each.layer] ??= []).push(each);
  const beside = neighbours(all.map((each) => each.id), steps);
  order(rows, beside);
  place(rows, beside, gap);
  let y = 0;
  for (const row of rows) {
    const height = Math.max(...row.map((each) => each.height));
    for (const each of row) Object.assign(each, { y, rowHeight: height });
    y += height + GAP_Y;
  }
  const left = Math.min(...all.map((each) => each.x - each.width / 2));
  for (const each of all) each.x -= left;
  const found = new Map(all.map((each) => [each.id, each]));
  return {
    width: Math.max(...all.map((each) => each.x + each.width / 2)),
    height: y - GAP_Y,
    boxes: vertices.map(({ id }) => found.get(id)),
    lines: paths.map(({ edge, path }) => ({
      edge,
      points: path.flatMap((id, index) => {
        const { x, y: top, height, rowHeight } = found.get(id);
        if (index === 0) return [[x, top + height]];
        return index === path.length - 1 ? [[x, top]] : [[x, top], [x, top + rowHeight]];
      }),
    })),
  };
}
