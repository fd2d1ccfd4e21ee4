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

  /** Shows a receipt and follows it: `published` and `done` are called when it is. */
  add(title, receipt, { published, done } = {}) {
    const view = new ReceiptView({ title, receipt, published, done, ask: (id) => this.api.get(`revocations/${id}`) });
    this.empty.hidden = true;
    this.list.prepend(view.element);
    while (this.list.children.length > SHOWN_MAX) this.list.lastElementChild.remove();
    return view;
  }
}
