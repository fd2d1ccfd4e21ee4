// The end of everybody's sessions: typed, since it is meant once in a year.
// `published` is called when its receipt is.

import { Refusal } from "../shared/api.js";
import { ask, button, h, isIdle } from "../shared/dom.js";
import { name } from "../shared/names.js";
import { parts, t } from "../shared/text.js";

export function siteKill({ api, key, may }, kills, published) {
  const problem = h("p", { class: "problem", role: "alert" });
  const open = button(
    t("site_kill_open"),
    async () => {
      problem.textContent = "";
      const field = h("input", { id: "site-name", autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
      const typed = await ask({
        title: t("site_kill_title"),
        body: h("p", {}, parts("site_kill_warning", { site: name(key.site, { tag: "strong" }) })),
        label: h("label", { for: "site-name" }, t("site_kill_label")),
        field,
        isGood: (value) => value === key.site,
        confirm: t("site_kill_confirm"),
        cancel: t("cancel"),
      });
      if (typed === null) return;
      try {
        const receipt = await api.delete("sessions", { confirm: typed });
        const isHere = isIdle(open);
        const { heading } = kills.add(parts("receipt_of_site", { site: name(key.site) }), receipt, { published });
        if (isHere) heading.focus();
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        problem.textContent = error.words;
      }
    },
    { kind: "danger quiet" },
  );
  return h(
    "section",
    { class: "card", "aria-labelledby": "site-kill" },
    h("h2", { id: "site-kill" }, t("site_kill")),
    h("p", { class: "note" }, t("site_kill_body")),
    may("revoke") ? open : h("p", { class: "note" }, t("no_revoke")),
    problem,
  );
}
