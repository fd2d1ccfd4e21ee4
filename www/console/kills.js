// What has been ended from this page, each with its receipt.

import { h } from "../shared/dom.js";
import { ReceiptView } from "../shared/receipt.js";
import { t } from "../shared/text.js";

const SHOWN_MAX = 8;

export class Kills {
  constructor({ api }) {
    this.api = api;
    this.list = h("div", { class: "receipts" });
    this.empty = h("p", { class: "note" }, t("receipts_empty"));
    this.element = h("section", { class: "card", "aria-labelledby": "receipts" }, h("h2", { id: "receipts" }, t("receipts")), this.empty, this.list);
  }

  /** Shows a receipt and follows it; `done` once it has come true. */
  add(title, receipt, done) {
    const view = new ReceiptView({ title, receipt, done, ask: (id) => this.api.get(`revocations/${id}`) });
    this.empty.hidden = true;
    this.list.prepend(view.element);
    while (this.list.children.length > SHOWN_MAX) this.list.lastElementChild.remove();
    return view;
  }
}
