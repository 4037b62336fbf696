// Every property with where its value came from.

import { get } from "./api.js";
import { h, row, show, table } from "./dom.js";
import { plural } from "./format.js";

let properties = [];
let filter = null;
let isSetAlone = null;
let list = null;

function showList() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = properties.filter((each) => {
    const text = `${each.name} ${each.value} ${each.origin} ${each.meaning}`.toLowerCase();
    return (!isSetAlone.checked || each.origin !== "default") && words.every((word) => text.includes(word));
  });
  const rows = found.map((each) =>
    row(each.name, [each.name, h("code", null, each.value), each.origin, each.meaning], { "data-property": each.name, class: each.origin === "default" ? "default" : "given" }),
  );
  show(list, h("p", { class: "none", role: "status" }, plural(found.length, "property").replace("propertys", "properties")), table("Properties", ["Property", "Value", "Origin", "Meaning"], rows));
}

export const config = {
  title: "Configuration",
  question: "What is in force, and where each value came from.",
  load: (_, signal) => get("config", signal),
  enter(place) {
    filter = h("input", { type: "search", id: "filter", autocomplete: "off", spellcheck: "false" });
    isSetAlone = h("input", { type: "checkbox", id: "set-alone" });
    list = h("div");
    filter.addEventListener("input", showList);
    isSetAlone.addEventListener("change", showList);
    place.replaceChildren(
      h("div", { class: "asked" }, h("label", { for: "filter" }, "Find ", filter), h("label", { for: "set-alone", class: "check" }, isSetAlone, " only what was set")),
      list,
    );
  },
  show(_, found) {
    const isGiven = (each) => each.origin !== "default";
    properties = [...found.properties.filter(isGiven), ...found.properties.filter((each) => !isGiven(each))];
    showList();
  },
};
