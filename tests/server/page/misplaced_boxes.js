// Boxes of random graphs: none may lie over another one, and each lies below all that give to it.
async () => {
  const { layout } = await import('./page/graph_layout.js');
  let seed = 1;
  const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
  const found = [];
  for (let round = 0; round < 100; round += 1) {
    const vertices = Array.from({ length: 1 + random(14) }, (_, id) => (
      { id: `v${id}`, width: 40 + random(200), height: 20 + random(80) }));
    const edges = [];
    vertices.forEach(({ id }, place) => {
      for (let each = 0; each < place; each += 1) if (random(4) === 0) edges.push({ from: `v${each}`, to: id });
    });
    const { boxes, width, height, lines } = layout(vertices, edges, 10);
    const at = new Map(boxes.map((each) => [each.id, each]));
    for (const { from, to } of edges) if (at.get(to).y < at.get(from).y + at.get(from).height) found.push(`${round}: ${from} ${to}`);
    for (const a of boxes) {
      if (a.x - a.width / 2 < -0.01 || a.x + a.width / 2 > width + 0.01 || a.y + a.height > height + 0.01) found.push(`${round}: ${a.id} outside`);
      for (const b of boxes) {
        const isApart = Math.abs(a.x - b.x) >= (a.width + b.width) / 2 - 0.01 || a.y >= b.y + b.height || b.y >= a.y + a.height;
        if (a.id < b.id && !isApart) found.push(`${round}: ${a.id} over ${b.id}`);
      }
    }
    if (lines.length !== edges.length) found.push(`${round}: lines`);
  }
  return found;
}
