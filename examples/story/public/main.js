// The story: two banks, a thief at both, one button.

import { announce, button, fill, h } from "/shared/dom.js";
import { tally } from "/shared/tally.js";
import { factsOf } from "./facts.js";
import { Half } from "./half.js";
import { language, parts, span, t, yen } from "./text.js";

const TICK_MS = 100;
const NAMES = ["plain", "guarded"];

const mark = tally({ class: "tally big" });
const halves = Object.fromEntries(NAMES.map((name) => [name, new Half(name)]));
const lead = h("p", { class: "lead" });
const hint = h("p", { class: "hint" });
const verdict = h("p", { class: "verdict" });
const inAll = h("p", { class: "note" });
const problem = h("p", { class: "problem", role: "alert" });
const real = h("div", { class: "real" });
const press = button("", act, { kind: "danger", class: "button danger press", hidden: true });
const page = h(
  "main",
  { class: "story", "aria-busy": "true" },
  h("header", { class: "head" }, mark, h("div", {}, h("h1", {}, t("title")), lead)),
  h("div", { class: "stage" }, h("div", { class: "words" }, hint, verdict, inAll, problem), press),
  h("div", { class: "halves" }, NAMES.map((name) => halves[name].element)),
  h("section", { class: "about", "aria-labelledby": "real" }, h("h2", { id: "real" }, t("real_title")), real),
);

let state = null;
let offset = 0; // this page's clock, when that of the play is at its beginning
const said = new Set();

const now = () => (state.phase === "running" ? performance.now() - offset : state.elapsed);
const present = () => ({ ...state, elapsed: now() });

async function act() {
  problem.textContent = "";
  const where = state.phase === "running" ? "not-me" : "begin";
  try {
    const { status } = await fetch(where, { method: "POST" });
    if (![204, 409].includes(status)) throw new Error(String(status)); // 409: somebody else was faster
  } catch {
    problem.textContent = t("press_failed");
  }
}

/** Says something of a play once. */
function say(key, values) {
  const what = `${state.play} ${key}`;
  if (said.has(what)) return;
  said.add(what);
  announce(t(key, values));
}

function showStage() {
  const { phase, reported, sides } = state;
  const facts = Object.fromEntries(NAMES.map((name) => [name, factsOf(sides[name], present())]));
  page.dataset.phase = reported && phase === "running" ? "reported" : phase;
  const label = { waiting: t("begin"), opening: t("opening"), running: t("not_me"), over: t("again") }[phase];
  if (press.textContent !== label) press.textContent = label;
  press.classList.toggle("danger", phase === "running");
  press.classList.toggle("main", phase !== "running");
  press.toggleAttribute("data-resting", phase === "opening" || (phase === "running" && reported));
  if (press.hasAttribute("data-resting")) press.setAttribute("aria-disabled", "true");
  else press.removeAttribute("aria-disabled");

  const hints = { waiting: t("lead_waiting"), opening: t("lead_waiting"), running: t(reported ? "hint_reported" : facts.plain.left === 0 ? "hint_expired" : "hint_running"), over: t(reported ? "hint_over" : "hint_over_unpressed") };
  if (hint.textContent !== hints[phase]) hint.textContent = hints[phase];
  const amounts = (key) => Object.fromEntries(NAMES.map((name) => [name, h("b", { class: name }, facts[name][key] === null ? "–" : yen(facts[name][key]))]));
  verdict.replaceChildren(...(phase === "over" ? parts("verdict", amounts(reported ? "lostAfter" : "lost")) : []));
  inAll.replaceChildren(...(phase === "over" && reported ? parts("verdict_all", amounts("lost")) : []));
  for (const element of [verdict, inAll]) element.hidden = element.childNodes.length === 0;

  if (phase === "running" && !reported) say("said_begun");
  if (reported) say("said_reported");
  if (facts.guarded.took !== null) {
    say("said_guarded", { took: span(facts.guarded.took) });
    mark.classList.add("apart");
  } else mark.classList.remove("apart");
  if (phase === "running" && reported && facts.plain.condition === "refused") say("said_plain");
  if (phase === "over") say("said_over", { verdict: `${hint.textContent} ${verdict.textContent}` });
}

function showAll() {
  page.removeAttribute("aria-busy");
  press.hidden = false;
  lead.replaceChildren(...parts("lead", { amount: yen(state.amount) }));
  const link = (name) => h("a", { href: state.sides[name].url, target: "_blank", rel: "noopener noreferrer" }, state.sides[name].url);
  real.replaceChildren(
    h("p", {}, t("real_parts")),
    h("p", {}, t("real_kind", { time: span(state.access_seconds * 1_000) })),
    h("p", {}, parts("real_try", { plain: link("plain"), guarded: link("guarded") })),
  );
  for (const name of NAMES) halves[name].update(state.sides[name], present());
  showStage();
}

function listen() {
  const events = new EventSource("events");
  events.addEventListener("state", ({ data }) => {
    problem.textContent = "";
    state = JSON.parse(data);
    offset = performance.now() - state.elapsed;
    showAll();
  });
  events.addEventListener("side", ({ data }) => {
    const { play, name, reported, summary, transfer } = JSON.parse(data);
    if (state?.play !== play) return;
    state.reported = reported;
    const side = state.sides[name];
    Object.assign(side, summary);
    if (transfer !== null) side.transfers.push(transfer);
    halves[name].update(side, present());
    showStage();
  });
  events.addEventListener("error", () => (problem.textContent = t("lost_connection")));
}

document.documentElement.lang = language;
document.title = t("title");
fill(page);
setInterval(() => {
  if (state?.phase !== "running") return;
  for (const name of NAMES) halves[name].tick(present());
}, TICK_MS);
listen();
