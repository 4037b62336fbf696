// Which view is open, and asking for it again and again: every two seconds, as long as somebody looks.

import { Refused, get, hasToken, keepToken } from "./api.js";
import { h, show } from "./dom.js";
import { clock } from "./format.js";
import { showOverview, showSilence } from "./overview.js";
import { config } from "./config.js";
import { history } from "./history.js";
import { letters } from "./letters.js";
import { stores } from "./stores.js";
import { tasks } from "./tasks.js";
import { topology } from "./topology.js";
import { windows } from "./windows.js";

const EVERY_MS = 2000;
const VIEWS = { topology, tasks, stores, windows, "dead-letters": letters, history, config };

const place = document.getElementById("view");
let open = null; // { name, rest, view, abort }
let timer = null;
let lastAnswer = null;
let isArriving = false;
let isRefused = false; // and the view has to be built again

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // somebody has typed it
  }
}

// Hashes are #/VIEW/REST; any other one, such as that of the link to the view, moves within the page.
function wanted() {
  const [, name, ...rest] = location.hash.split("/");
  if (!location.hash.startsWith("#/")) return open === null ? ["topology", null] : null;
  return [name in VIEWS ? name : "topology", rest.length === 0 ? null : decoded(rest.join("/"))];
}

function go() {
  const found = wanted();
  if (found === null) return;
  const [name, rest] = found;
  const isNew = open === null || open.name !== name;
  open?.abort.abort();
  delete place.dataset.view;
  if (isNew) {
    open?.view.leave?.();
    show(place, h("p", { class: "none" }, "Loading …"));
  }
  open = { name, rest, view: VIEWS[name], abort: new AbortController() };
  for (const link of document.querySelectorAll("#views a")) {
    if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  show(document.getElementById("title"), open.view.title);
  show(document.getElementById("question"), open.view.question);
  if (isNew) enter();
  isArriving = true;
  refresh();
}

function enter() {
  isRefused = false;
  open.view.enter?.(place);
}

async function refresh() {
  clearTimeout(timer);
  const { view, rest, abort } = open;
  try {
    const [overview, found] = await Promise.all([
      get("overview", abort.signal),
      view.load(rest, abort.signal).catch((error) => {
        if (error instanceof Refused && error.status !== 401) return error;
        throw error;
      }),
    ]);
    if (abort.signal.aborted) return;
    lastAnswer = Date.now();
    showOverview(overview);
    if (found instanceof Refused) {
      isRefused = true;
      show(place, h("p", { class: "waits" }, found.message));
    } else {
      if (isRefused) enter();
      view.show(place, found, rest, show);
      if (isArriving) view.arrive?.(place, rest);
      isArriving = false;
    }
    place.dataset.view = rest === null ? open.name : `${open.name}/${rest}`;
    place.dataset.shown = String(Number(place.dataset.shown ?? 0) + 1);
  } catch (error) {
    if (abort.signal.aborted) return;
    if (error instanceof Refused && error.status === 401) {
      askForToken();
      return;
    }
    showSilence(lastAnswer === null ? null : clock(lastAnswer), error.message);
  }
  timer = document.hidden ? null : setTimeout(refresh, view.everyMs ?? EVERY_MS);
}

function askForToken() {
  const dialog = document.getElementById("token");
  show(document.getElementById("token-problem"), hasToken() ? "That one was not right." : "");
  if (!dialog.open) dialog.showModal();
}

document.querySelector("#token form").addEventListener("submit", (event) => {
  const field = event.target.elements.token;
  keepToken(field.value);
  field.value = "";
  refresh();
});
document.getElementById("token").addEventListener("cancel", (event) => event.preventDefault());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && timer === null && !document.getElementById("token").open) refresh();
});
addEventListener("hashchange", go);
go();
