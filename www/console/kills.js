// What has been ended from this page, each with its receipt.

import { h } from "../shared/dom.js";
import { ReceiptView, Receipts } from "../shared/receipt.js";
import { t } from "../shared/text.js";

const SHOWN_MAX = 8;

export class Kills {
  constructor({ api, signal }) {
    Object.assign(this, { api, signal });
    this.list = new Receipts(SHOWN_MAX);
    this.empty = h("p", { class: "note" }, t("receipts_empty"));
    this.element = h("section", { class: "card", "aria-labelledby": "receipts" }, h("h2", { id: "receipts" }, t("receipts")), this.empty, this.list.element);
  }

  /** Shows a receipt and follows it: `published` and `done` are called when it is. */
  add(title, receipt, { published, done } = {}) {
    const { signal } = this;
    const view = new ReceiptView({ title, receipt, signal, published, done, ask: (id) => this.api.get(`revocations/${id}`) });
    this.empty.hidden = true;
    this.list.add(view);
    return view;
  }
}
