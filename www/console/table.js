// Sessions as a table; on a narrow screen each is a card. The roles are written out, since a table
// that is laid out otherwise is none for the browser.

import { announce, button, focusOn, h, isIdle } from "../shared/dom.js";
import { deviceOf, placeOf } from "../shared/device.js";
import { name } from "../shared/names.js";
import { t } from "../shared/text.js";
import { exact, when } from "../shared/times.js";

const COLUMNS = ["device", "place", "seen", "level", "expires", "end"];

/** `end`, where sessions can be ended, is called with a session and its row. */
export function table(sessions, end) {
  const columns = COLUMNS.filter((column) => end !== null || column !== "end");
  const head = columns.map((column) => h("th", { role: "columnheader", scope: "col", class: column }, t(`column_${column}`)));
  const rows = sessions.map((session) => new Row(session, columns, end));
  const element = h(
    "table",
    { class: "table", role: "table", "aria-labelledby": "found" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
    h("tbody", { role: "rowgroup" }, rows.map((row) => row.element)),
  );
  return { element, allEnded: () => rows.forEach((row) => row.ended({ quietly: true })) };
}

class Row {
  constructor(session, columns, end) {
    const expires = session.idle_expires < session.absolute_expires ? session.idle_expires : session.absolute_expires;
    const cells = {
      device: [h("strong", {}, deviceOf(session.device)), details(session)],
      place: placeOf(session.device) ?? h("span", { class: "note" }, t("place_unknown")),
      seen: when(session.last_seen),
      level: String(session.level),
      expires: when(expires),
      end: [],
    };
    if (end !== null) {
      const device = h("span");
      device.append(deviceOf(session.device));
      this.button = button(t("end"), () => end(session, this), { kind: "danger small", "aria-label": t("end_one_of", { device: device.textContent }), "data-session": session.id });
      cells.end = this.button;
    }
    this.element = h(
      "tr",
      { role: "row" },
      columns.map((column) => h("td", { role: "cell", class: column, "data-label": t(`column_${column}`) }, cells[column])),
    );
  }

  ended({ quietly = false } = {}) {
    if (this.element.classList.contains("ended")) return;
    this.element.classList.add("ended");
    const isHere = isIdle(this.button);
    this.button?.replaceWith(h("span", { class: "note" }, t("ended")));
    if (quietly) return;
    // Not on the next button: a second press would end another session. Who has gone on stays there.
    if (isHere) focusOn(this.element);
    announce(t("ended"));
  }
}

function details(session) {
  const { first_prefix, last_prefix, user_agent } = session.device;
  const networks = [...new Set([first_prefix, last_prefix].filter(Boolean))].join(" → ");
  const facts = [
    ["detail_id", h("code", {}, session.id)],
    ["detail_started", exact(session.created)],
    ["detail_auth", exact(session.auth_time)],
    ["detail_idle", exact(session.idle_expires)],
    ["detail_absolute", exact(session.absolute_expires)],
    ["detail_networks", networks && name(networks)],
    ["detail_agent", user_agent && name(user_agent)],
    ["detail_claims", session.claims && name(JSON.stringify(session.claims), { tag: "code" })],
    ["detail_generation", String(session.generation)],
  ];
  return h(
    "details",
    {},
    h("summary", {}, t("details")),
    h("dl", {}, facts.filter(([, fact]) => fact).map(([key, fact]) => [h("dt", {}, t(key)), h("dd", {}, fact)])),
  );
}
