// The operators' console: sign-in, and then everything on one page. The key is held by `Api`, in
// memory, for as long as the page lives.

import { Api, Refusal, isHeaderText } from "../shared/api.js";
import { button, fill, h } from "../shared/dom.js";
import { name } from "../shared/names.js";
import { tally } from "../shared/tally.js";
import { language, parts, t } from "../shared/text.js";
import { keepTrue } from "../shared/times.js";
import { Activity } from "./activity.js";
import { Health } from "./health.js";
import { Kills } from "./kills.js";
import { Measures } from "./measures.js";
import { Sessions } from "./sessions.js";
import { siteKill } from "./site_kill.js";

document.documentElement.lang = language;
document.title = t("console_title");
keepTrue();
signIn();

function signIn() {
  const field = h("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": "key-note key-problem" });
  const problem = h("p", { id: "key-problem", class: "problem", role: "alert" });
  const go = h("button", { type: "submit", class: "button main" }, t("sign_in"));
  const form = h(
    "form",
    {
      class: "card sign-in",
      on: {
        submit: async (event) => {
          event.preventDefault();
          problem.textContent = "";
          go.disabled = true;
          try {
            await enter(field.value.trim());
          } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            problem.textContent = error.words;
            field.select();
          } finally {
            go.disabled = false;
          }
        },
      },
    },
    tally({ class: "tally big" }),
    h("h1", {}, t("console_title")),
    h("p", { class: "note" }, location.host),
    h("label", { for: "key" }, t("admin_key")),
    field,
    problem,
    go,
    h("p", { class: "note", id: "key-note" }, t("admin_key_note")),
  );
  fill(h("main", { class: "threshold" }, form));
  field.focus();
}

async function enter(text) {
  if (!isHeaderText(text)) throw new Refusal(0, { code: "key_form", title: t("admin_key_form") });
  const api = new Api(text);
  const key = await api.get("key");
  work(api, key);
}

function work(api, key) {
  const life = new AbortController();
  const world = { api, key, may: (scope) => key.scopes.includes(scope), signal: life.signal };
  const kills = new Kills(world);
  const activity = new Activity(world);
  const health = new Health(world);
  const measures = new Measures(world, health);
  const sessions = new Sessions(world, kills, (subject) => activity.watch(subject));
  activity.tells(health);
  const leave = () => {
    life.abort();
    signIn();
  };
  fill(
    h("a", { class: "skip", href: "#subject", on: { click: (event) => (event.preventDefault(), sessions.focus()) } }, t("skip")),
    h(
      "header",
      { class: "bar" },
      tally(),
      h("h1", {}, t("console_title")),
      h("p", { class: "chip" }, parts("site_named", { site: name(key.site) })),
      health.summary,
      h("div", { class: "who" }, h("p", {}, parts("signed_in_as", { id: name(key.id) })), button(t("sign_out"), leave)),
    ),
    h(
      "main",
      { class: "desk" },
      sessions.element,
      h("div", { class: "side" }, kills.element, health.element, siteKill(world, kills, () => sessions.again())),
      activity.element,
      measures.element,
    ),
  );
  health.start();
  activity.start();
  measures.start();
  sessions.focus();
}
