// The users' own page: where am I signed in, end that, this wasn't me.

import { Api, Refusal, query } from "../shared/api.js";
import { announce, ask, button, complain, fill, focusOn, h, isIdle } from "../shared/dom.js";
import { deviceOf, placeOf } from "../shared/device.js";
import { name } from "../shared/names.js";
import { ReceiptView, Receipts } from "../shared/receipt.js";
import { tally } from "../shared/tally.js";
import { language, parts, t } from "../shared/text.js";
import { keepTrue, when } from "../shared/times.js";

const api = new Api();
const page = h("main", { class: "page", "aria-busy": "true" });
const receipts = new Receipts(1);
const problem = h("p", { class: "problem", role: "alert" });
const life = new AbortController();
let isOver = false;
let shown = "";
/** Of the page of the list that is looked at; the first has none. */
let cursor = null;
let asked = 0;
/** This session is given a new secret, and the old one is refused before anybody here knows the new one. */
let isRenewed = false;

/** Answers may come in another order than they were asked for: the newest question counts. */
async function load() {
  if (isOver || isRenewed) return;
  const number = ++asked;
  const counts = () => number === asked && !isRenewed;
  return trying(
    async () => {
      const [me, list] = await Promise.all([api.get("me"), api.get(query("me/sessions", { cursor }))]);
      if (!counts() || isOver) return;
      // A later page of what has been ended meanwhile says nothing of what is left.
      const isPast = list.sessions.length === 0 && cursor !== null;
      if (!isPast) return show(me, list);
      cursor = null;
      await load();
    },
    { counts },
  );
}

/** To the next page of the list, which takes the place of this one. */
async function turn(next) {
  const [before, number] = [cursor, asked + 1];
  cursor = next;
  if ((await load()) !== null) focusOn(page.querySelector("[data-act=list]") ?? page.querySelector("#others"));
  else if (asked === number) cursor = before;
}

/** Does something that may be refused, and says why it was; `gone` is for where there is nothing to end. */
async function trying(work, { gone, counts = () => true } = {}) {
  problem.textContent = "";
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (isOver || !counts()) return null;
    if (error.code === "no_session") signedOut();
    else {
      if (page.getAttribute("aria-busy") === "true") page.replaceChildren(heading(), problem, button(t("retry"), load));
      page.removeAttribute("aria-busy");
      const isGone = gone !== undefined && error.code === "not_found";
      if (isGone) gone();
      complain(problem, isGone ? t("ended_already") : error.words);
    }
    return null;
  }
}

const heading = () => h("h1", {}, t("account_title"));

function show(me, { sessions, next }) {
  // Where the same sessions are left, what is new of them is told in its place, and the rest stays.
  const state = JSON.stringify([sessions.map(({ id }) => id), next, cursor]);
  if (state === shown) {
    for (const session of [me, ...sessions]) renew(session);
    return;
  }
  shown = state;
  const others = sessions.filter(({ current }) => !current);
  const isAlone = others.length === 0 && cursor === null;
  page.removeAttribute("aria-busy");
  replaceAll(
    h("header", { class: "head" }, tally(), h("div", {}, heading(), h("p", { class: "note" }, parts("account_as", { subject: name(me.subject) })))),
    problem,
    h("section", { class: "card", "aria-labelledby": "here" }, h("h2", { id: "here" }, t("this_device")), h("ul", { class: "devices" }, device(me))),
    h(
      "section",
      { class: "card", "aria-labelledby": "others" },
      h("div", { class: "row head" }, h("h2", { id: "others" }, t("other_devices")), !isAlone && button(t("sign_out_others"), endOthers, { "data-act": "others" })),
      isAlone ? h("p", { class: "empty" }, t("others_none")) : list(others, next),
    ),
    receipts.element,
    h(
      "section",
      { class: "card warning", "aria-labelledby": "not-me" },
      h("h2", { id: "not-me" }, t("not_me")),
      h("p", {}, t("not_me_body")),
      button(t("not_me_button"), notMe, { kind: "danger", "data-act": "not-me" }),
    ),
    h("p", { class: "back" }, h("a", { href: "/", "data-act": "back" }, t("account_back"))),
  );
}

/** What has the focus keeps it; else what does the same now gets it, or what it was among. */
function replaceAll(...elements) {
  const before = document.activeElement;
  const hadFocus = page.contains(before);
  const session = before.closest("[data-session]")?.dataset.session;
  page.replaceChildren(...elements);
  if (!hadFocus) return;
  const same = session === undefined ? `[data-act="${before.dataset.act}"]` : `[data-session="${session}"] button`;
  const around = session === undefined ? "h1" : "#others";
  focusOn(before.isConnected ? before : (page.querySelector(same) ?? page.querySelector(around)));
}

/** A page of the list, and the way to the next one. */
function list(others, next) {
  const items = h("ul", { class: "devices", "data-act": "list" }, others.map(device));
  return [items, next !== null && h("div", { class: "row end" }, button(t("show_more"), () => turn(next), { "data-act": "more" }))];
}

function device(session) {
  const item = h("li", { "data-session": session.id }, about(session));
  item.append(button(t("sign_out_device"), session.current ? signOut : () => endOne(session, item), { "aria-label": outOf(session, item) }));
  return item;
}

function about(session) {
  return h(
    "div",
    {},
    h("strong", {}, deviceOf(session.device)),
    h("p", { class: "note" }, placeOf(session.device) ?? t("place_unknown")),
    h("p", { class: "note" }, session.current ? parts("since", { when: when(session.created) }) : parts("used", { when: when(session.last_seen) })),
  );
}

const outOf = ({ current }, item) => t("sign_out_of", { device: current ? t("this_device") : item.querySelector("strong").textContent });

/** Tells what is new of a session that is shown: when it was last used is what people go by. */
function renew(session) {
  const item = page.querySelector(`[data-session="${session.id}"]`);
  const [before, now] = [item?.querySelector("div"), about(session)];
  if (!before || before.isEqualNode(now)) return;
  before.replaceWith(now);
  item.querySelector("button")?.setAttribute("aria-label", outOf(session, item));
}

async function signOut() {
  if ((await trying(() => api.text("logout", { method: "POST" }))) === null) return;
  over(t("signed_out"), h("p", {}, t("signed_out_here_body")));
}

async function endOne(session, item) {
  const ended = () => {
    asked++; // what is on its way is of before
    const isHere = isIdle(item);
    item.classList.add("ended");
    item.querySelector("button")?.replaceWith(h("span", { class: "note" }, t("signed_out_here")));
    if (isHere) focusOn(item);
  };
  const receipt = await trying(() => api.delete(`me/sessions/${session.id}`), { gone: ended });
  if (receipt === null) return;
  ended();
  const what = h("span");
  what.append(deviceOf(session.device));
  follow(parts("receipt_one", { device: what }), receipt);
}

async function endOthers() {
  const sure = await ask({ title: t("sign_out_others_title"), body: h("p", {}, t("sign_out_others_body")), confirm: t("sign_out_others"), cancel: t("cancel"), kind: "main" });
  if (sure === null) return;
  isRenewed = true;
  const receipt = await trying(() => api.delete("me/sessions"));
  isRenewed = false;
  asked++; // what is on its way has the old one
  if (receipt === null) return;
  const isHere = isIdle(page.querySelector("[data-act=others]"));
  cursor = null;
  const { heading } = follow(t("receipt_others"), receipt);
  if (isHere) heading.focus();
  await load();
}

function follow(title, receipt) {
  const words = { published: (n) => t("people_others", { n }), unpublished: t("people_others_unpublished") };
  const view = new ReceiptView({ title, receipt, words, signal: life.signal });
  receipts.add(view);
  return view;
}

async function notMe() {
  const sure = await ask({ title: t("not_me_title"), body: h("p", {}, t("not_me_body")), confirm: t("not_me_confirm"), cancel: t("cancel") });
  if (sure === null) return;
  const receipt = await trying(() => api.post("me/not-me"));
  if (receipt === null) return;
  const words = { published: (n) => t("people_all", { n }), unpublished: t("people_all_unpublished") };
  over(t("not_me_done"), h("p", {}, t("not_me_next")), new ReceiptView({ title: t("receipt_all"), receipt, words, level: "h2" }).element);
}

function signedOut() {
  if (isOver) return;
  over(t("signed_out"), h("p", {}, t("signed_out_body")));
  announce(t("signed_out"));
}

/** The last thing that this page says. Its own address leads to the log-in, and back here. */
function over(title, ...rest) {
  isOver = true;
  life.abort();
  const first = h("h1", {}, title);
  page.removeAttribute("aria-busy");
  page.replaceChildren(tally({ class: "tally big apart" }), first, ...rest, h("p", {}, h("a", { class: "button main", href: "./" }, t("sign_in_again"))));
  document.title = title;
  focusOn(first);
}

document.documentElement.lang = language;
document.title = t("account_title");
page.replaceChildren(heading(), h("p", { class: "empty loading" }, t("loading")));
fill(page);
keepTrue();
load();
// What was ended elsewhere shows up when somebody looks; asking now and then would keep the
// session from going idle.
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && load());
window.addEventListener("focus", load);
