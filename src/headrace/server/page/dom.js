// Makes elements, and brings what is shown in line with what is to be shown.
//
// What an application has in its records is text here, never markup: nothing in this directory parses HTML.

const SVG = "http://www.w3.org/2000/svg";

function made(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

// An element with attributes; those that are null or false are left out. Children are elements or text.
export function h(name, attributes, ...children) {
  return made(document.createElement(name), attributes, children);
}

// The same for a drawing.
export function s(name, attributes, ...children) {
  return made(document.createElementNS(SVG, name), attributes, children);
}

// What the reader has changed stays: what is unfolded, and what is written into a field.
const OF_THE_READER = { DETAILS: new Set(["open"]), INPUT: new Set(["value"]) };

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null;
}

function isLike(shown, wanted) {
  return shown !== undefined && shown.nodeName === wanted.nodeName && keyOf(shown) === keyOf(wanted);
}

function bring(shown, wanted) {
  if (wanted.nodeType !== Node.ELEMENT_NODE) {
    if (shown.nodeValue !== wanted.nodeValue) shown.nodeValue = wanted.nodeValue;
    return;
  }
  const kept = OF_THE_READER[shown.nodeName] ?? new Set();
  for (const { name } of [...shown.attributes]) {
    if (!wanted.hasAttribute(name) && !kept.has(name)) shown.removeAttribute(name);
  }
  for (const { name, value } of [...wanted.attributes]) {
    if (shown.getAttribute(name) !== value && !kept.has(name)) shown.setAttribute(name, value);
  }
  show(shown, ...wanted.childNodes);
}

// Let `parent` have these children. Elements that stay what they are keep focus, selection and scroll position: they
// are those in the same place, or of the same `data-key`. Listeners of `children` are lost: the parent has to listen.
export function show(parent, ...children) {
  const wanted = children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false);
  const nodes = wanted.map((each) => (each instanceof Node ? each : document.createTextNode(each)));
  const keyed = new Map([...parent.childNodes].filter(keyOf).map((node) => [keyOf(node), node]));
  nodes.forEach((node, place) => {
    const key = keyOf(node);
    const found = key === null ? undefined : keyed.get(key);
    const here = parent.childNodes[place];
    if (found !== undefined && found !== here) parent.insertBefore(found, here ?? null);
    const shown = parent.childNodes[place];
    if (isLike(shown, node)) bring(shown, node);
    else if (shown !== undefined && keyOf(shown) === null) shown.replaceWith(node);
    else parent.insertBefore(node, shown ?? null);
  });
  while (parent.childNodes.length > nodes.length) parent.lastChild.remove();
}

// A table that can be scrolled sideways where it has no room; `rows` are made by `row`. On a phone each row is a card,
// whose cells say what they are: roles keep it a table then for who hears it.
export function table(caption, heads, rows) {
  for (const each of rows) [...each.children].forEach((cell, place) => cell.setAttribute("data-label", heads[place]));
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h(
      "table",
      { role: "table" },
      h("caption", { class: "hidden" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads.map((head) => h("th", { scope: "col", role: "columnheader" }, head)))),
      h("tbody", { role: "rowgroup" }, rows),
    ),
  );
}

// A row; the first cell names it.
export function row(key, cells, attributes) {
  return h(
    "tr",
    { role: "row", "data-key": key, ...attributes },
    cells.map((cell, place) =>
      place === 0 ? h("th", { scope: "row", role: "rowheader" }, h("div", null, cell)) : h("td", { role: "cell" }, h("div", null, cell)),
    ),
  );
}
